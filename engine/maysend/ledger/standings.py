"""Standings as rows of ``status``: what each subject has answered, and what of it is in force."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Select, select

from ..events import Fact
from ..status import CHANNEL, Answer, Standing
from . import stores
from .tables import status

_AT_ONCE = 500
_SIGN = {True: 1, False: -1, None: 0}
_KEY = ("channel", "level", "subject", "group_name")


class Subject(NamedTuple):
    """Who answers, on a channel."""

    channel: str
    level: Literal["address", "profile"]
    value: str


def subjects_of(fact: Fact) -> list[Subject]:
    named: list[Subject] = []
    if fact.address:
        named.append(Subject(fact.channel, "address", fact.address))
    if fact.profile:
        named.append(Subject(fact.channel, "profile", fact.profile))
    return named


class Row(NamedTuple):
    """What a row of ``status`` says of one subject's answer for one group (the channel's, under ``CHANNEL``)."""

    answer: int
    answered_at: int | None
    source: str | None
    in_force: int
    suppressed: bool
    types: str
    last_yes: int | None


Rows = dict[str, Row]
"""A subject's rows, by group."""

_NAMES = (*_KEY, *Row._fields, "seq")


def load(connection: Connection, subjects: Iterable[Subject]) -> dict[Subject, Rows]:
    """What ``status`` holds of each subject; nothing for one who never answered."""
    found: dict[Subject, Rows] = {subject: {} for subject in subjects}
    for query in queries(found):
        for channel, level, subject, group, *row, _ in connection.execute(query):
            found[Subject(channel, level, subject)][group] = Row(*row)
    return found


def queries(subjects: Iterable[Subject]) -> Iterator[Select[Any]]:
    """Queries for all rows of ``status`` of the subjects, a part of them each."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for subject in subjects:
        wanted.setdefault(subject[:2], []).append(subject.value)
    for (channel, level), values in wanted.items():
        for start in range(0, len(values), _AT_ONCE):
            some = values[start : start + _AT_ONCE]
            about = (status.c.channel == channel, status.c.level == level, status.c.subject.in_(some))
            yield select(*(status.c[name] for name in _NAMES)).where(*about)


def standing_of(rows: Rows) -> Standing:
    """The standing that rows hold."""
    standing = Standing()
    for group, row in rows.items():
        if row.answer:
            assert row.answered_at is not None
            standing.answers[group] = Answer(row.answer > 0, row.answered_at, row.source)
        if group == CHANNEL:
            standing.types = json.loads(row.types) if row.types else {}
            standing.last_yes = row.last_yes
    return standing


def rows_of(standing: Standing) -> Rows:
    """The rows that hold a standing."""
    rows = {group: _row(standing, group) for group in standing.answers}
    if CHANNEL not in rows and (standing.types or standing.last_yes is not None):
        rows[CHANNEL] = _row(standing, CHANNEL)
    return rows


def _row(standing: Standing, group: str) -> Row:
    own = standing.answers.get(group)
    of_channel = group == CHANNEL
    return Row(
        answer=_SIGN[own.subscribed if own else None],
        answered_at=own.at if own else None,
        source=own.source if own else None,
        in_force=_SIGN[standing.in_force(group)],
        suppressed=of_channel and standing.suppressed,
        types=json.dumps(standing.types, sort_keys=True) if of_channel and standing.types else "",
        last_yes=standing.last_yes if of_channel else None,
    )


def save(
    connection: Connection,
    before: Mapping[Subject, Rows],
    standings: Mapping[Subject, Standing],
    touched: Mapping[Subject, int],
) -> None:
    """Write the rows of ``status`` that changed, each with the ``seq`` of its subject's last event (``touched``)."""
    changed = [
        dict(zip(_NAMES, (*subject, group, *row, seq), strict=True))
        for subject, seq in sorted(touched.items())  # by key, as the table is: each of its pages is met once
        for group, row in rows_of(standings[subject]).items()
        if before[subject].get(group) != row
    ]
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")  # either is slow to import
    upsert = dialect.insert(status)
    values = {column.name: upsert.excluded[column.name] for column in status.c if column.name not in _KEY}
    stores.write_rows(connection, upsert.on_conflict_do_update(index_elements=_KEY, set_=values), changed)
