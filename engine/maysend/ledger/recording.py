"""Facts in, events out: what one transaction of the ledger reads and writes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from ..events import OWN_CHOICES, ChannelUnsubscribed, Fact, from_microseconds, microseconds
from ..status import CHANNEL, Standing
from . import statements
from .chain import SALT_BYTES, START, digest, link
from .erasure import Tombstones, without_erased
from .standings import Subject, load, save, standing_of, subjects_of
from .tables import ERASABLE, EventRow, events

_NEWEST = select(events.c.seq, events.c.recorded_at, events.c.hash).order_by(events.c.seq.desc()).limit(1)


@dataclass(slots=True)
class Recorded:
    """What became of facts: for each its row of ``events``, or None; and the places of those that were refused."""

    rows: list[EventRow | None] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


def record(
    connection: Connection, facts: Sequence[Fact], *, retried: bool = False, spare_own_choices: bool = False
) -> Recorded:
    """Record the facts that change anything, in order; the caller holds the writers' lock and commits.

    A fact whose ``event_id`` is there already changes nothing. With ``retried`` an earlier try may have been committed
    unheard, so that its events are told as if recorded now. With ``spare_own_choices`` a yes is refused against a no
    that a subject said by page, one-click, API, reply or feedback.
    """
    known = _recorded(connection, [fact.event_id for fact in facts])
    named = [subjects_of(fact) for fact in facts]
    before = load(connection, chain.from_iterable(named))
    standings = {subject: standing_of(rows) for subject, rows in before.items()}
    erased = Tombstones.of(connection).stand_in(connection, standings)
    seq, now, head = _head(connection)
    salts = BytesIO(os.urandom(SALT_BYTES * len(ERASABLE) * len(facts)))
    touched: dict[Subject, int] = {}
    rows: list[EventRow] = []
    told = Recorded()
    for place, (given, subjects) in enumerate(zip(facts, named, strict=True)):
        if given.event_id in known:
            told.rows.append(known[given.event_id] if retried else None)
            continue
        told.rows.append(None)
        if spare_own_choices and given.subscribed and any(_is_own_no(standings[s], given, now) for s in subjects):
            told.refused.append(place)
            continue
        fact = without_erased(given, erased)
        if fact is None:
            continue
        subjects = subjects if fact is given else subjects_of(fact)
        if (at := _hear(fact, subjects, standings, now)) is None:
            continue
        seq += 1
        touched |= dict.fromkeys(subjects, seq)
        row = _row(fact, seq, at, now, salts, head)
        head = row.hash
        rows.append(row)
        known[fact.event_id] = None
        told.rows[-1] = row
    statements.write_rows(connection, events, rows)
    save(connection, before, standings, touched)
    return told


def read(connection: Connection, subjects: Iterable[Subject]) -> dict[Subject, Standing]:
    """What each subject has answered, erased or not."""
    standings = {subject: standing_of(rows) for subject, rows in load(connection, subjects).items()}
    Tombstones.of(connection).stand_in(connection, standings)
    return standings


def event_of(row: EventRow) -> ChannelUnsubscribed:
    """A row of ``events`` as the event it is."""
    return ChannelUnsubscribed(
        seq=row.seq,
        event_id=row.event_id,
        occurred_at=from_microseconds(row.occurred_at),
        recorded_at=from_microseconds(row.recorded_at),
        channel=row.channel,
        group=row.group_name or None,
        address=row.address,
        profile=row.profile,
        resubscribed=row.subscribed,
        type=row.type,
        source=row.source,
        reason=row.reason,
        campaign_id=row.campaign,
        campaign_type=row.campaign_type,
        variant=row.variant,
        revision=row.revision,
        text_hash=row.text_hash,
    )


def about(channel: str | None, address: str | None, profile: str | None) -> Any:
    """The condition on ``events`` that either subject is named, on one channel or any."""
    subjects = [
        events.c[name] == value for name, value in (("address", address), ("profile", profile)) if value is not None
    ]
    conditions = [or_(*subjects)] if subjects else []
    if channel is not None:
        conditions.append(events.c.channel == channel)
    return and_(True, *conditions)


def _is_own_no(standing: Standing, fact: Fact, now: int) -> bool:
    """Whether a yes would overturn a no of the person's own, or what erasing them has left of it."""
    group = fact.group or CHANNEL
    at = now if fact.occurred_at is None else microseconds(fact.occurred_at)
    return standing.hears(group, True, at) and any(no.source in OWN_CHOICES for no in standing.noes(group))


def _hear(fact: Fact, subjects: Iterable[Subject], standings: Mapping[Subject, Standing], now: int) -> int | None:
    """Let the fact's subjects take it in, and return when it occurred; None where it changes nothing for them."""
    group = fact.group or CHANNEL
    named = [(standings[subject], fact.type if subject.level == "address" else None) for subject in subjects]
    if fact.occurred_at is None:
        latest = [standing.latest for standing, _ in named]
        at = max([now, *[last + 1 for last in latest if last is not None]])
    else:
        at = microseconds(fact.occurred_at)
    for standing, kind in named:
        if standing.hears(group, fact.subscribed, at, kind, source=fact.source):
            break
    else:
        return None
    for standing, kind in named:
        standing.apply(group, fact.subscribed, at, kind, source=fact.source)
    return at


def _head(connection: Connection) -> tuple[int, int, bytes]:
    """The last event's ``seq`` and hash, and the time of recording: now, though never before the last event's."""
    now = time.time_ns() // 1000
    for seq, recorded_at, head in statements.rows_of(connection, _NEWEST):
        return seq, max(now, recorded_at), head
    return 0, now, START


def _recorded(connection: Connection, ids: Sequence[str]) -> dict[str, EventRow | None]:
    found = map(EventRow._make, statements.rows_where(connection, events, "event_id", ids))
    return {row.event_id: row._replace(subscribed=bool(row.subscribed)) for row in found}


def _row(fact: Fact, seq: int, at: int, now: int, fresh: BytesIO, before: bytes) -> EventRow:
    """The row of an event that follows the one whose hash is ``before``; ``fresh`` are random bytes for its salts."""
    covered = (
        seq,
        fact.event_id,
        at,
        now,
        fact.channel,
        fact.group or CHANNEL,
        fact.subscribed,
        fact.type,
        fact.source,
        fact.campaign,
        fact.campaign_type,
        fact.variant,
        fact.revision,
        fact.text_hash,
    )
    erasable = (fact.address, fact.profile, fact.reason)
    salts = [None if value is None else fresh.read(SALT_BYTES) for value in erasable]
    digests = [
        digest(value, salt) if value is not None and salt else None for value, salt in zip(erasable, salts, strict=True)
    ]
    return EventRow._make((*covered, *erasable, *salts, *digests, link(covered, digests, before)))
