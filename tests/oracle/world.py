"""A world read: every value typed, every row found by its profile."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from .addresses import normalize
from .times import Clock

Key = int | str
Plain = Mapping[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Typed rows; ``types`` says of each column what it holds."""

    types: dict[str, str]
    rows: list[Row]


@dataclass(frozen=True)
class Behaviour:
    """The rows of one kind of event; ``profile`` and ``at`` name the columns that say whose and when."""

    table: Table
    profile: str
    at: str


@dataclass(frozen=True)
class Profile:
    key: Key
    row: Row


@dataclass(frozen=True)
class Fact:
    """An answer somebody gave, for ``group`` or (None) the whole channel."""

    channel: str
    group: str | None
    address: str | None
    profile: str | None
    subscribed: bool
    at: datetime
    type: str | None
    source: str = ""


@dataclass(frozen=True)
class World:
    clock: Clock
    types: dict[str, str]
    profiles: list[Profile]
    events: dict[str, Behaviour]
    sends: Plain
    sent: Table
    lists: dict[str, Table]
    channels: Plain
    groups: Plain
    segments: Plain
    campaigns: Plain
    frequency_caps: list[Plain]
    control_groups: Plain
    facts: list[Fact]

    def address(self, profile: Profile, channel: str) -> str | None:
        """The normalized address that reaches the profile on the channel, or None where there is no valid one."""
        declared = self.channels[channel]
        found = profile.row.get(declared["address"])
        return None if found is None else normalize(str(found), declared["type"])


def read(plain: Plain) -> World:
    """Type a plain world (see the package's docstring)."""
    key = plain.get("key", "id")
    table = _table(plain["columns"], plain.get("profiles", ()))
    sends = plain.get("sends", {"columns": {}})
    return World(
        clock=Clock(datetime.fromisoformat(plain["as_of"]).astimezone(UTC), ZoneInfo(plain.get("timezone", "UTC"))),
        types=table.types,
        profiles=[Profile(row[key], row) for row in table.rows],
        events={
            name: Behaviour(_table(event["columns"], event.get("rows", ())), event["profile"], event["at"])
            for name, event in plain.get("events", {}).items()
        },
        sends=sends,
        sent=_table(sends["columns"], sends.get("rows", ())),
        lists={name: _table(each["columns"], each["rows"]) for name, each in plain.get("lists", {}).items()},
        channels=plain["channels"],
        groups=plain.get("groups", {}),
        segments=plain.get("segments", {}),
        campaigns=plain["campaigns"],
        frequency_caps=list(plain.get("frequency_caps", ())),
        control_groups=plain.get("control_groups", {}),
        facts=[_fact(fact) for fact in plain.get("facts", ())],
    )


def _fact(plain: Plain) -> Fact:
    profile = plain.get("profile")
    return Fact(
        plain["channel"],
        plain.get("group"),
        plain.get("address"),
        None if profile is None else str(profile),
        plain["answer"] == "subscribed",
        datetime.fromisoformat(plain["at"]).astimezone(UTC),
        plain.get("type"),
        plain.get("source", ""),
    )


def _table(columns: Plain, rows: Iterable[Plain]) -> Table:
    types = dict(_flat(columns))
    return Table(types, [{name: _value(_inside(row, name), types[name]) for name in types} for row in rows])


def _flat(columns: Plain, within: str = "") -> Iterable[tuple[str, str]]:
    """A struct's fields stand under their dotted names."""
    for name, kind in columns.items():
        if isinstance(kind, Mapping):
            yield from _flat(kind, f"{within}{name}.")
        else:
            yield within + name, kind


def _inside(row: Plain, name: str) -> Any:
    """The value under a column's name, or under a struct's dotted one; None where it or its struct is missing."""
    if name in row:
        return row[name]
    first, dot, rest = name.partition(".")
    inner = row.get(first) if dot else None
    return _inside(inner, rest) if inner is not None else None


def _value(value: Any, kind: str) -> Any:
    """A value of its column's type. NaN is a missing value."""
    if value is None:
        return None
    match kind:
        case "integer":
            return int(value)
        case "number":
            number = float(value)
            return None if math.isnan(number) else number
        case "decimal":
            return Decimal(str(value))
        case "date":
            return date.fromisoformat(value)
        case "timestamp":
            return datetime.fromisoformat(value)
        case "instant":
            return datetime.fromisoformat(value).astimezone(UTC)
        case _ if kind.startswith("list of "):
            return [_value(item, kind.removeprefix("list of ")) for item in value]
    return value
