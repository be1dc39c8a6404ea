"""Proof: that the chain of events is whole, and that the status is what the events add up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select

from ..status import Standing
from . import chain, stores
from .erasure import Tombstones
from .replay import events_of, subject_pages, subjects_named, take_in
from .standings import Subject, load, rows_about, rows_of
from .tables import ERASABLE, EventRow, events

_PAGE = 2_000


class Fault(NamedTuple):
    """Something that is not as it was recorded; ``seq`` is the event's place."""

    seq: int
    message: str


@dataclass(slots=True)
class Proof:
    """What verifying found. ``head``, the newest event's hash, shows later that nothing was cut off, if noted down."""

    events: int = 0
    head: str = chain.START.hex()
    faults: list[Fault] = field(default_factory=list)


def verify(engine: Engine) -> Proof:
    """Read every event and every answer in force, part by part, beside whatever is being written."""
    proof = Proof()
    before, expected = chain.START, 1
    for page in _event_pages(engine):
        for row in page:
            if row.seq > expected:
                proof.faults.append(Fault(expected, _missing(expected, row.seq - 1)))
            else:
                proof.faults += [Fault(row.seq, message) for message in _faults(row, before)]
            before, expected = row.hash, row.seq + 1
            proof.events += 1
        proof.faults += _unanswered(engine, page)
    proof.head = before.hex()
    proof.faults += _status_faults(engine)
    proof.faults = sorted(set(proof.faults))
    return proof


def _event_pages(engine: Engine) -> Iterator[Sequence[EventRow]]:
    after = 0
    while True:
        query = select(events).where(events.c.seq > after).order_by(events.c.seq).limit(_PAGE)
        with stores.clear_errors(engine), engine.connect() as connection:
            page = [EventRow._make(row) for row in connection.execute(query)]
        if not page:
            return
        yield page
        after = page[-1].seq


def _missing(first: int, last: int) -> str:
    return "is missing" if first == last else f"and all up to {last} are missing"


def _faults(row: EventRow, before: bytes) -> Iterator[str]:
    if chain.link(row.covered, row.digests, before) != row.hash:
        yield "was changed, or does not follow the event before it"
    for name, value, salt, digest in zip(ERASABLE, row.erasable, row.salts, row.digests, strict=True):
        if value is None and salt is None:
            continue
        if value is None or salt is None or chain.digest(value, salt) != digest:
            yield f"its {name} was changed"


def _unanswered(engine: Engine, page: Sequence[EventRow]) -> Iterator[Fault]:
    """Subjects whose answers are in no row of ``status`` at all."""
    named = {subject: row.seq for row in page for subject in subjects_named(row)}
    with stores.clear_errors(engine), engine.connect() as connection:
        found = load(connection, named)
    for subject, seq in named.items():
        if not found[subject]:
            yield Fault(seq, f"the status of its {subject.level} is missing")


def _status_faults(engine: Engine) -> Iterator[Fault]:
    """Rows of ``status`` that are not what a replay of their subject's events gives."""
    for subjects in subject_pages(engine):
        with stores.clear_errors(engine), stores.reading(engine) as connection:
            standings, last = _replay(connection, subjects)
            rows, changed = load(connection, subjects), _last_changes(connection, subjects)
            newest = connection.execute(select(func.coalesce(func.max(events.c.seq), 0))).scalar_one()
        for subject, standing in standings.items():
            if changed[subject] > newest:
                yield Fault(changed[subject], "is missing: the status knows of it")
            elif rows[subject] != rows_of(standing):
                yield Fault(
                    last[subject] or changed[subject],
                    f"the status of a subject on {subject.channel} is not what its events add up to",
                )


def _replay(connection: Connection, subjects: Sequence[Subject]) -> tuple[dict[Subject, Standing], dict[Subject, int]]:
    """Standings from events alone, and the last event of each."""
    standings = {subject: Standing() for subject in subjects}
    Tombstones.of(connection).stand_in(connection, standings)
    last = dict.fromkeys(standings, 0)
    for subject, row in events_of(connection, subjects):
        take_in(standings[subject], subject, row)
        last[subject] = row.seq
    return standings, last


def _last_changes(connection: Connection, subjects: Iterable[Subject]) -> dict[Subject, int]:
    """The last event that each subject's rows of ``status`` know of."""
    found: dict[Subject, int] = {}
    for subject, *_, seq in rows_about(connection, subjects):
        found[subject] = max(seq, found.get(subject, 0))
    return found
