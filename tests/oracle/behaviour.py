"""What profiles did: ``did``, ``did_not``, ``most_often`` and ``share`` over the events of one profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import Any

from .answers import Consent
from .operators import compare, operation, passes
from .times import Clock
from .world import Plain, Profile, Row, World

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LEDGER_EVENT = "Channel Unsubscribed"
LEDGER_COLUMNS = {
    "channel": "text",
    "group": "text",
    "address": "text",
    "profile": "text",
    "type": "text",
    "subscription_type": "text",
    "resubscribed": "boolean",
    "occurred_at": "instant",
}

Where = Callable[[Plain, Row, dict[str, str]], bool | None]
"""Evaluates a ``where`` over one event's row."""


@dataclass(frozen=True)
class Events:
    """One profile's events up to as-of."""

    rows: list[Row]
    at: str
    types: dict[str, str]


def events_of(world: World, consent: Consent, profile: Profile, name: str) -> Events:
    """The events of a name that are the profile's and are dated, and not later than as-of."""
    if name == LEDGER_EVENT:
        rows = [
            {
                "channel": event.channel,
                "group": event.group,
                "address": event.address,
                "profile": event.profile,
                "type": event.type,
                "subscription_type": "Account" if event.address else "Profile",
                "resubscribed": event.subscribed,
                "occurred_at": event.at,
            }
            for event in consent.named(profile)
        ]
        return _until_as_of(world.clock, rows, "occurred_at", LEDGER_COLUMNS)
    behaviour = world.events[name]
    whose = behaviour.profile
    own = [row for row in behaviour.table.rows if row[whose] is not None and str(row[whose]) == str(profile.key)]
    return _until_as_of(world.clock, own, behaviour.at, behaviour.table.types)


def did(leaf: Plain, events: Events, clock: Clock, where: Where) -> bool:
    """The whole of ``did`` and ``did_not``."""
    if "did_not" in leaf:
        positive = {"did" if key == "did_not" else key: value for key, value in leaf.items()}
        return not did(positive, events, clock, where)
    ever = [row for row in events.rows if _passes(row, leaf, events, clock, where)]
    kept = [row for row in ever if _within(row[events.at], leaf, events, clock)]
    if not kept and not leaf.get("including_never"):
        return False
    checks: list[bool | None] = []
    if "count" in leaf:
        checks.append(_measured(Fraction(len(kept)), leaf["count"]))
    if "sum" in leaf:
        checks.append(_measured(_sum(kept, leaf["sum"]["of"]), leaf["sum"]))
    if "average" in leaf:
        total = _sum(kept, leaf["average"]["of"])
        average = None if total is None or not kept else total / len(kept)
        checks.append(_measured(average, leaf["average"]))
    if leaf.get("first_time"):
        first = min((row[events.at] for row in ever), default=None)
        checks.append(first is not None and _within(first, leaf, events, clock))
    if "last_time" in leaf:
        last = max((row[events.at] for row in kept), default=None)
        operator, operand = operation(leaf["last_time"], besides=())
        checks.append(passes(last, events.types[events.at], operator, operand, clock))
    return all(checks)


def most_often(leaf: Plain, events: Events, clock: Clock, where: Where) -> bool:
    """Whether the most frequent value of a property (of several the smallest) passes the operator."""
    kept = _kept(leaf, events, clock, where)
    counts = Counter(row[leaf["property"]] for row in kept if row[leaf["property"]] is not None)
    if not counts:
        return False
    value = min(counts, key=lambda each: (-counts[each], each))
    operator, operand = operation(leaf)
    return passes(value, events.types[leaf["property"]], operator, operand, clock) is True


def share(leaf: Plain, events: Events, clock: Clock, where: Where) -> bool:
    """Whether at least ``percent`` of the events have a property that passes the operator."""
    kept = _kept(leaf, events, clock, where)
    if not kept:
        return False
    operator, operand = operation(leaf)
    kind = events.types[leaf["property"]]
    passing = sum(passes(row[leaf["property"]], kind, operator, operand, clock) is True for row in kept)
    return Fraction(passing, len(kept)) * 100 >= Fraction(str(leaf["percent"]))


def _until_as_of(clock: Clock, rows: list[Row], at: str, types: dict[str, str]) -> Events:
    now = clock.express(clock.as_of, types[at])
    return Events([row for row in rows if row[at] is not None and row[at] <= now], at, types)


def _kept(leaf: Plain, events: Events, clock: Clock, where: Where) -> list[Row]:
    return [
        row
        for row in events.rows
        if _passes(row, leaf, events, clock, where) and _within(row[events.at], leaf, events, clock)
    ]


def _passes(row: Row, leaf: Plain, events: Events, clock: Clock, where: Where) -> bool:
    """Whether an event is one that the leaf asks for, whenever it was."""
    if "where" in leaf and where(leaf["where"], row, events.types) is not True:
        return False
    moment = row[events.at]
    wall = clock.wall(moment) if isinstance(moment, datetime) else datetime.combine(moment, time())
    if "day_of_week" in leaf and DAYS[wall.weekday()] not in leaf["day_of_week"]:
        return False
    if "time_of_day" in leaf:
        start, end = (time.fromisoformat(text) for text in leaf["time_of_day"]["between"])
        clock_time = wall.time()
        over_midnight = start > end
        return clock_time >= start or clock_time <= end if over_midnight else start <= clock_time <= end
    return True


def _within(moment: Any, leaf: Plain, events: Events, clock: Clock) -> bool:
    if "within" not in leaf:
        return True
    low, high = clock.window(leaf["within"], events.types[events.at])
    return bool(low <= moment <= high)


def _sum(rows: list[Row], column: str) -> Fraction | float | None:
    """The exact sum, a missing number counting as 0; None where infinities of both signs leave no number."""
    values = [row[column] for row in rows if row[column] is not None]
    infinite = {value for value in values if value in (float("inf"), float("-inf"))}
    if len(infinite) == 2:
        return None
    return infinite.pop() if infinite else sum((Fraction(value) for value in values), Fraction(0))


def _measured(value: Fraction | float | None, bound: Plain) -> bool:
    """A measured number against a bound or a range; none passes nothing."""
    if value is None:
        return False
    operator, operand = operation(bound, besides=("of",))
    if operator == "between":
        return bool(_number(operand[0]) <= value <= _number(operand[1]))
    if operator == "not_equals":
        return value != _number(operand)
    return compare(value, operator, _number(operand))


def _number(operand: float) -> Fraction | float:
    return operand if operand in (float("inf"), float("-inf")) else Fraction(Decimal(str(operand)))
