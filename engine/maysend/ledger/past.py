"""What was in force at a time, as rows that can be imported again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine

from ..events import from_microseconds, isoformat, microseconds
from ..status import Standing
from . import stores
from .replay import events_of, subject_pages, take_in
from .standings import Subject, rows_of
from .tables import EventRow


class RecordedAnswer(NamedTuple):
    """One subject's last answer for a channel or a group, in the columns of the import format."""

    channel: str
    group: str
    address: str
    profile: str
    status: str
    occurred_at: str
    type: str
    reason: str


def answers_at(engine: Engine, moment: datetime) -> Iterator[RecordedAnswer]:
    """Every subject's last answers up to ``moment``, and the reports that suppress its address, by subject.

    A time is when the person answered, not when the ledger heard of it. Who was erased is not among them.
    """
    until = microseconds(moment)
    for subjects in subject_pages(engine):
        with stores.clear_errors(engine), stores.reading(engine) as connection:
            told: defaultdict[Subject, list[EventRow]] = defaultdict(list)
            for subject, row in events_of(connection, subjects):
                if row.occurred_at <= until:
                    told[subject].append(row)
        for subject in subjects:
            yield from _last_answers(subject, told[subject])


def answers_until(engine: Engine, seq: int) -> Iterator[tuple[Subject, str, int, bool, int]]:
    """The answers in force after event ``seq``: subject, group, answer, suppressed, and the subject's last event."""
    for subjects in subject_pages(engine):
        standings: defaultdict[Subject, Standing] = defaultdict(Standing)
        last: dict[Subject, int] = {}
        with stores.clear_errors(engine), stores.reading(engine) as connection:
            for subject, row in events_of(connection, subjects):
                if row.seq <= seq:
                    take_in(standings[subject], subject, row)
                    last[subject] = row.seq
        for subject, standing in standings.items():
            for group, held in rows_of(standing).items():
                yield subject, group, held.in_force, held.suppressed, last[subject]


def _last_answers(subject: Subject, rows: list[EventRow]) -> Iterator[RecordedAnswer]:
    standing = Standing()
    kept: dict[tuple[str, str], EventRow] = {}
    for row in rows:
        before = standing.answers.get(row.group_name)
        take_in(standing, subject, row)
        if standing.answers[row.group_name] is not before:
            kept["answer", row.group_name] = row
        if row.type in standing.types and standing.types[row.type] == row.occurred_at:
            kept["type", row.type] = row
    wanted = {("answer", group) for group in standing.answers} | {("type", kind) for kind in standing.types}
    for seq in sorted({kept[key].seq for key in wanted}):
        row = next(row for row in rows if row.seq == seq)
        yield RecordedAnswer(
            channel=row.channel,
            group=row.group_name,
            address=subject.value if subject.level == "address" else "",
            profile=subject.value if subject.level == "profile" else "",
            status="subscribed" if row.subscribed else "unsubscribed",
            occurred_at=isoformat(from_microseconds(row.occurred_at)),
            type=row.type if row.type in standing.types else "",
            reason=row.reason or "",
        )
