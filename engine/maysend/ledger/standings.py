"""Standings as rows of ``status``: what each subject has answered, and what of it is in force."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from ..events import Fact
from ..status import CHANNEL, Answer, Standing
from . import statements
from .tables import status

_SIGN = {True: 1, False: -1, None: 0}


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


def load(connection: Connection, subjects: Iterable[Subject]) -> dict[Subject, Rows]:
    """What ``status`` holds of each subject; nothing for one who never answered."""
    found: dict[Subject, Rows] = {subject: {} for subject in subjects}
    for subject, group, row, _ in rows_about(connection, found):
        found[subject][group] = row
    return found


def rows_about(connection: Connection, subjects: Iterable[Subject]) -> Iterator[tuple[Subject, str, Row, int]]:
    """All rows of ``status`` of the subjects: whose, for which group, and the event that last changed it."""
    wanted = set(subjects)
    values = dict.fromkeys(subject.value for subject in wanted)
    for value, channel, level, group, *row, seq in statements.rows_where(connection, status, "subject", list(values)):
        if (subject := Subject(channel, level, value)) in wanted:
            yield subject, group, Row(*row), seq


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
    rows = {group: _row(standing, group, answer) for group, answer in standing.answers.items()}
    if CHANNEL not in rows and (standing.types or standing.last_yes is not None):
        rows[CHANNEL] = _row(standing, CHANNEL, None)
    return rows


def _row(standing: Standing, group: str, own: Answer | None) -> Row:
    answer, at, source = (_SIGN[own.subscribed], own.at, own.source) if own else (0, None, None)
    if group != CHANNEL:
        return Row(answer, at, source, _SIGN[standing.in_force(group)], False, "", None)
    types = json.dumps(standing.types, sort_keys=True) if standing.types else ""
    return Row(answer, at, source, _SIGN[standing.in_force(group)], standing.suppressed, types, standing.last_yes)


def save(
    connection: Connection,
    before: Mapping[Subject, Rows],
    standings: Mapping[Subject, Standing],
    touched: Mapping[Subject, int],
) -> None:
    """Write the rows of ``status`` that changed, each with the ``seq`` of its subject's last event (``touched``)."""
    changed = [
        (subject.value, subject.channel, subject.level, group, *row, seq)
        for subject, seq in touched.items()
        for group, row in rows_of(standings[subject]).items()
        if before[subject].get(group) != row
    ]
    changed.sort(key=itemgetter(0, 1, 2, 3))  # by key, as the table is: each of its pages is met once
    statements.write_rows(connection, status, changed, replace=True)
