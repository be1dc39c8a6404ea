"""Values that columns hold and operands compare with: few, so that they often meet, and awkward."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]

TEXTS = [
    "rock",
    "Rock",
    "",
    "jazz",
    "Caf\u00e9",
    "Cafe\u0301",
    "Stra\u00dfe",
    "\u0130",
    "'; --",
    'a "b"',
    "%",
    "NO",
    "1",
]
PATTERNS = ["rock", "^R", "o.k$", "^$", "[a-j]", "(?i)rock", "z|'", "\\d", "^.{4}$"]
INTEGERS = [0, 1, -1, 3, 100, 9007199254740993]
SUMMABLE = ["0.00", "0.10", "0.20", "-0.30", "10.00"]
DYADIC: list[Any] = [0.0, 0.5, -0.0, -2.5, 3.0, "inf", "-inf", "nan"]
NUMBERS: list[Any] = [*DYADIC, 0.1]
POOLS: dict[str, list[Any]] = {
    "text": TEXTS,
    "integer": INTEGERS,
    "number": NUMBERS,
    "decimal": SUMMABLE,
    "boolean": [True, False],
}
ITEMS = {"list of text": "text", "list of integer": "integer", "list of number": "number"}

_MOMENTS = [
    ("UTC", "2024-06-01T12:00:00+00:00"),
    ("America/New_York", "2024-03-10T12:30:00+00:00"),  # hours after the clocks went forward
    ("Europe/Berlin", "2024-10-27T00:30:00+00:00"),  # in the hour that comes twice
    ("Asia/Kolkata", "2024-02-29T20:00:00+00:00"),  # already the 1st of March there
    ("Australia/Lord_Howe", "2024-03-31T00:00:00+00:00"),  # clocks that move by half an hour
    ("Pacific/Auckland", "2023-12-31T11:30:00.000001+00:00"),
    ("America/Sao_Paulo", "2024-03-31T02:59:59+00:00"),  # still the 30th there
]
AGO = [
    timedelta(),
    timedelta(days=1),
    timedelta(days=7),
    timedelta(seconds=-1),
    timedelta(days=7, microseconds=1),
    timedelta(hours=3),
    timedelta(days=31),
    timedelta(days=365),
    timedelta(days=366),
    timedelta(days=-7),
]
TIMES = ("date", "timestamp", "instant")
LENGTHS = [
    "1 day",
    "7 days",
    "3 hours",
    "1 month",
    "90 minutes",
    "2 weeks",
    "1 year",
    "24 hours",
    "13 months",
    "90 days",
]


class At(NamedTuple):
    """A time not yet known: the ``place``-th of ``AGO`` before as-of, as a column of ``kind`` holds it."""

    kind: str
    place: int

    def before(self, era: Era) -> str:
        wall = era.as_of.astimezone(ZoneInfo(era.zone)).replace(tzinfo=None)
        match self.kind:
            case "instant":
                return (era.as_of - AGO[self.place]).isoformat()
            case "timestamp":
                return (wall - AGO[self.place]).isoformat()
        return (wall - AGO[self.place]).date().isoformat()


@dataclass(frozen=True)
class Era:
    """As-of in a zone."""

    zone: str
    as_of: datetime

    def settle(self, part: Any) -> Any:
        """A part of a world with its times known."""
        if isinstance(part, At):
            return part.before(self)
        if isinstance(part, list):
            return [self.settle(item) for item in part]
        return {key: self.settle(value) for key, value in part.items()} if isinstance(part, dict) else part


ERAS = [Era(zone, datetime.fromisoformat(as_of)) for zone, as_of in _MOMENTS]


def either(*strategies: Strategy) -> Strategy:
    """One of the strategies, each as likely as the next; ``one_of`` would weigh them by their own branches."""
    return st.sampled_from(strategies).flatmap(lambda strategy: strategy)


def pool(kind: str) -> list[Any]:
    """The values that columns of a kind hold, the plainest first."""
    return POOLS[kind] if kind in POOLS else [At(kind, place) for place in range(len(AGO))]


@cache
def value(kind: str) -> Strategy:
    """A value of a column of this kind, often missing."""
    if kind in ITEMS:
        return st.lists(st.sampled_from([*pool(ITEMS[kind]), None]), max_size=3)
    return st.sampled_from(pool(kind))


@cache
def operand(kind: str) -> Strategy:
    """A value as a declaration writes it."""
    kind = ITEMS.get(kind, kind)
    if kind in ("number", "decimal"):
        return st.sampled_from([_plain(each) for each in pool(kind) if each != "nan"])
    return st.sampled_from([*INTEGERS, 0.5] if kind == "integer" else pool(kind))


@cache
def interval(kind: str) -> Strategy:
    """Two operands, the smaller first."""
    pair = st.tuples(operand(kind), operand(kind))
    if kind in TIMES:
        return pair.map(lambda ends: sorted(ends, key=lambda at: -AGO[at.place]))
    return pair.map(sorted)


def _plain(drawn: Any) -> float:
    number = float(drawn)
    return int(number) if number.is_integer() and not str(number).startswith("-0") else number
