"""Standings from events alone, subject by subject: for proof, and for the past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Engine, or_, select, tuple_

from ..status import Standing
from . import stores
from .standings import Subject
from .tables import EventRow, events, status

_AT_ONCE = 200


def subject_pages(engine: Engine) -> Iterator[list[Subject]]:
    """Everybody who has a row in ``status``, some at a time."""
    key = (status.c.subject, status.c.channel, status.c.level)
    after: tuple[str, ...] | None = None
    while True:
        query = select(*key).distinct().order_by(*key).limit(_AT_ONCE)
        if after:
            query = query.where(tuple_(*key) > tuple_(*after))
        with stores.clear_errors(engine), engine.connect() as connection:
            page = [tuple(row) for row in connection.execute(query)]
        if not page:
            return
        yield [Subject(channel, level, value) for value, channel, level in page]
        after = page[-1]


def events_of(connection: Connection, subjects: Sequence[Subject]) -> Iterator[tuple[Subject, EventRow]]:
    """The events that name the subjects, in the order of commits, with the subject that each is about."""
    wanted = set(subjects)
    named = [
        events.c[level].in_([subject.value for subject in subjects if subject.level == level])
        for level in ("address", "profile")
    ]
    for row in map(EventRow._make, connection.execute(select(events).where(or_(*named)).order_by(events.c.seq))):
        for subject in subjects_named(row):
            if subject in wanted:
                yield subject, row


def subjects_named(row: EventRow) -> Iterator[Subject]:
    if row.address is not None:
        yield Subject(row.channel, "address", row.address)
    if row.profile is not None:
        yield Subject(row.channel, "profile", row.profile)


def take_in(standing: Standing, subject: Subject, row: EventRow) -> None:
    """Apply an event to the standing of a subject it names."""
    kind = row.type if subject.level == "address" else None
    standing.apply(row.group_name, row.subscribed, row.occurred_at, kind, source=row.source)
