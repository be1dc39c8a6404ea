"""Standings as rows of ``status``: what each subject has answered, and what of it is in force."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, RowMapping, Select, select
from sqlalchemy.dialects import postgresql, sqlite

from ..events import Fact
from ..status import CHANNEL, Answer, Standing
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


def load(connection: Connection, subjects: Iterable[Subject]) -> dict[Subject, Standing]:
    """What each subject has answered; an empty standing for one who never did."""
    standings = {subject: Standing() for subject in subjects}
    for query in queries(standings):
        for row in connection.execute(query).mappings():
            _take_in(standings[Subject(row["channel"], row["level"], row["subject"])], row)
    return standings


def queries(subjects: Iterable[Subject]) -> Iterator[Select[Any]]:
    """Queries for all rows of ``status`` of the subjects, a part of them each."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for subject in subjects:
        wanted.setdefault(subject[:2], []).append(subject.value)
    for (channel, level), values in wanted.items():
        for start in range(0, len(values), _AT_ONCE):
            some = values[start : start + _AT_ONCE]
            yield select(status).where(status.c.channel == channel, status.c.level == level, status.c.subject.in_(some))


def _take_in(standing: Standing, row: RowMapping) -> None:
    if row["answer"]:
        standing.answers[row["group_name"]] = Answer(row["answer"] > 0, row["answered_at"], row["source"])
    if row["group_name"] == CHANNEL:
        standing.types, standing.last_yes = json.loads(row["types"] or "{}"), row["last_yes"]


def status_rows(subject: Subject, standing: Standing) -> dict[str, dict[str, Any]]:
    """The rows of ``status`` that hold a standing, by group."""
    whole = standing.types or standing.last_yes is not None
    return {
        group: _status_row(subject, standing, group) for group in {*standing.answers, *([CHANNEL] if whole else [])}
    }


def _status_row(subject: Subject, standing: Standing, group: str) -> dict[str, Any]:
    own = standing.answers.get(group)
    of_channel = group == CHANNEL
    return {
        "channel": subject.channel,
        "level": subject.level,
        "subject": subject.value,
        "group_name": group,
        "answer": _SIGN[own.subscribed if own else None],
        "answered_at": own.at if own else None,
        "source": own.source if own else None,
        "in_force": _SIGN[standing.in_force(group)],
        "suppressed": of_channel and standing.suppressed,
        "types": json.dumps(standing.types, sort_keys=True) if of_channel and standing.types else "",
        "last_yes": standing.last_yes if of_channel else None,
    }


def save(
    connection: Connection,
    before: Mapping[Subject, Mapping[str, Any]],
    standings: Mapping[Subject, Standing],
    touched: Mapping[Subject, int],
) -> None:
    """Write the rows of ``status`` that changed, each with the ``seq`` of its subject's last event."""
    changed = [
        {**row, "seq": touched[subject]}
        for subject, old in before.items()
        for group, row in status_rows(subject, standings[subject]).items()
        if old.get(group) != row
    ]
    if not changed:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    upsert = dialect.insert(status)
    values = {column.name: upsert.excluded[column.name] for column in status.c if column.name not in _KEY}
    connection.execute(upsert.on_conflict_do_update(index_elements=_KEY, set_=values), changed)
