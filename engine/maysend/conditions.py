"""A condition as SQL over features: the one place that knows what a leaf means (what an operator means: operators.py).

``Scope`` is what a condition may ask about a profile. Whoever compiles provides it and learns in passing which columns,
aggregates and statuses are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sqlglot import exp

from . import operators
from .columns import ColumnType
from .moments import Clock, seconds
from .trees import both, cast, either, has, has_all, missing, opposite
from .where import (
    All,
    AnyOf,
    Bucket,
    Condition,
    Did,
    InGroups,
    InList,
    InSegment,
    Interest,
    Measure,
    Near,
    Not,
    OnChannel,
    Property,
    Window,
)

E = exp.Expr
Typed = tuple[E, ColumnType]

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_COUNT = ColumnType("integer")


@dataclass(frozen=True, slots=True)
class Kept:
    """The events of one name that a condition looks at. ``where`` conditions are over the event's own columns."""

    event: str
    within: Window | None = None
    where: tuple[Condition, ...] = ()
    time_of_day: tuple[str, str] | None = None
    day_of_week: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One value per profile over the events kept: how many, the sum of a column, the first or latest time, or the
    most frequent value of a column (ties: the smallest)."""

    kept: Kept
    function: Literal["count", "sum", "first", "latest", "most_often"]
    column: str | None = None


class Scope(Protocol):
    """What a condition may ask about a profile; every answer is SQL over features."""

    @property
    def clock(self) -> Clock: ...
    def column(self, name: str) -> Typed: ...
    def aggregate(self, aggregate: Aggregate) -> Typed: ...
    def in_group(self, group: str) -> E: ...
    def in_groups(self, groups: Sequence[str]) -> list[tuple[E, int]]: ...
    def active_groups(self) -> Sequence[str]: ...
    def on_channel(self, channel: str) -> E: ...
    def reachable(self, channel: str) -> E: ...
    def segment(self, name: str) -> Condition: ...
    def listed(self, leaf: InList) -> E: ...
    def bucket(self, salt: str) -> E: ...


def compile(condition: Condition, scope: Scope) -> E:
    """The SQL of a condition: true, false, or NULL (unknown) where a property it asks about is missing."""
    match condition:
        case All(items=items):
            return both([compile(item, scope) for item in items])
        case AnyOf(items=items):
            return either([compile(item, scope) for item in items])
        case Not(item=item):
            return opposite(compile(item, scope))
        case Property():
            return _property(condition, scope.column, scope.clock)
        case Did():
            return _did(condition, scope)
        case Interest():
            return _interest(condition, scope)
        case InGroups():
            return _in_groups(condition, scope)
        case OnChannel(channel=channel, state="reachable"):
            return scope.reachable(channel)
        case OnChannel(channel=channel, state=state):
            found = scope.on_channel(channel)
            return found if state == "subscribed" else opposite(found)
        case InSegment(segment=name):
            return known(compile(scope.segment(name), scope))
        case InList():
            return scope.listed(condition)
        case Bucket(low=low, high=high, salt=salt):
            return operators.apply("between", scope.bucket(salt), _COUNT, (low, high), scope.clock)


def known(condition: E) -> E:
    """A condition that is false where it was unknown."""
    return exp.Coalesce(this=condition, expressions=[exp.false()])


def keeps(kept: Kept, column: Callable[[str], Typed], at: Typed, clock: Clock) -> E:
    """The SQL of ``kept`` over one event: whether a condition looks at it. Never NULL where ``at`` is not."""
    time, kind = at
    tests: list[E] = []
    if kept.within:
        tests.append(operators.apply("within", time.copy(), kind, kept.within, clock))
    tests += [known(compile_event(condition, column, clock)) for condition in kept.where]
    local = operators.on_wall_clock(time.copy(), kind.kind, clock)
    if kept.time_of_day:
        tests.append(_time_of_day(local, *map(seconds, kept.time_of_day)))
    if kept.day_of_week:
        days = [exp.Literal.number(WEEKDAYS.index(day)) for day in kept.day_of_week]
        tests.append(exp.In(this=weekday(local), expressions=days))
    return both(tests) if tests else exp.true()


def compile_event(condition: Condition, column: Callable[[str], Typed], clock: Clock) -> E:
    """The SQL of an event's ``where``: properties of the event under all, any and not."""
    match condition:
        case All(items=items):
            return both([compile_event(item, column, clock) for item in items])
        case AnyOf(items=items):
            return either([compile_event(item, column, clock) for item in items])
        case Not(item=item):
            return opposite(compile_event(item, column, clock))
        case Property():
            return _property(condition, column, clock)
    raise AssertionError(f"{type(condition).__name__} has no meaning on an event")


def weekday(local: E) -> E:
    """0 for Monday to 6 for Sunday, counted from a Monday: the functions of that name differ between backends."""
    monday = cast(exp.Literal.string("1900-01-01"), "date")
    days = exp.DateDiff(this=cast(local.copy(), "date"), expression=monday, unit=exp.var("DAY"))
    week = exp.Literal.number(7)
    shifted = exp.paren(exp.Add(this=exp.paren(exp.Mod(this=days, expression=week)), expression=week.copy()))
    return exp.Mod(this=shifted, expression=week.copy())


def _time_of_day(local: E, low: int, high: int) -> E:
    """Seconds since midnight in a range, both ends in; a range that ends before it starts goes past midnight."""
    hours = exp.Mul(this=exp.Hour(this=local.copy()), expression=exp.Literal.number(3600))
    minutes = exp.Mul(this=exp.Minute(this=local.copy()), expression=exp.Literal.number(60))
    passed = exp.Add(this=exp.Add(this=hours, expression=minutes), expression=exp.Second(this=local.copy()))
    after = exp.GTE(this=passed, expression=exp.Literal.number(low))
    whole = exp.EQ(this=exp.TimestampTrunc(this=local.copy(), unit=exp.var("SECOND")), expression=local.copy())
    at_end = both([exp.EQ(this=passed.copy(), expression=exp.Literal.number(high)), whole])
    before = either([exp.LT(this=passed.copy(), expression=exp.Literal.number(high)), at_end])
    return both([after, before]) if low <= high else either([after, before])


def _property(leaf: Property, column: Callable[[str], Typed], clock: Clock) -> E:
    if isinstance(leaf.column, tuple):
        assert isinstance(leaf.operand, Near)
        (latitude, _), (longitude, _) = (column(name) for name in leaf.column)
        return operators.near(latitude, longitude, leaf.operand)
    value, kind = column(leaf.column)
    return operators.apply(leaf.operator, value, kind, leaf.operand, clock)


def _did(leaf: Did, scope: Scope) -> E:
    kept = Kept(leaf.event, leaf.within, (leaf.where,) if leaf.where else (), leaf.time_of_day, leaf.day_of_week)
    count, _ = scope.aggregate(Aggregate(kept, "count"))
    tests = [_measured(measure, kept, scope) for measure in leaf.measures]
    if not (leaf.measures and leaf.including_never):
        tests.insert(0, exp.GTE(this=count, expression=exp.Literal.number(1)))
    if leaf.first_time:
        always = Kept(leaf.event, None, kept.where, leaf.time_of_day, leaf.day_of_week)
        first, kind = scope.aggregate(Aggregate(always, "first"))
        falls = operators.apply("within", first, kind, leaf.within, scope.clock) if leaf.within else None
        tests.append(known(falls) if falls else opposite(missing(first)))
    if leaf.last_time:
        latest, kind = scope.aggregate(Aggregate(kept, "latest"))
        tests.append(known(operators.apply(leaf.last_time.operator, latest, kind, leaf.last_time.operand, scope.clock)))
    did = both(tests)
    return opposite(did) if leaf.negated else did


def _measured(measure: Measure, kept: Kept, scope: Scope) -> E:
    operator, operand = measure.comparison.operator, measure.comparison.operand
    count, kind = scope.aggregate(Aggregate(kept, "count"))
    if measure.kind == "count":
        return operators.apply(operator, count, kind, operand, scope.clock)
    total, kind = scope.aggregate(Aggregate(kept, "sum", measure.of))
    if measure.kind == "sum":
        return known(operators.apply(operator, total, kind, operand, scope.clock))
    compared = operators.apply(operator, exp.column("average"), ColumnType("decimal"), operand, scope.clock)
    return both([exp.GTE(this=count, expression=exp.Literal.number(1)), known(_times(compared, total, count))])


def _times(compared: E, total: E, count: E) -> E:
    """A comparison of an average with constants, as one of the total with the constants times the count: exact."""

    def replace(node: E) -> E:
        if isinstance(node, exp.Column):
            return total.copy()
        if isinstance(node, exp.Literal) and not node.is_string:
            return exp.paren(exp.Mul(this=node.copy(), expression=count.copy()))
        return node

    return compared.transform(replace)


def _interest(leaf: Interest, scope: Scope) -> E:
    kept = Kept(leaf.event, leaf.within, (leaf.where,) if leaf.where else ())
    if leaf.percent is None:
        value, kind = scope.aggregate(Aggregate(kept, "most_often", leaf.column))
        return known(operators.apply(leaf.operator, value, kind, leaf.operand, scope.clock))
    hit = Property(leaf.column, leaf.operator, leaf.operand)
    hits, _ = scope.aggregate(Aggregate(Kept(leaf.event, leaf.within, (*kept.where, hit)), "count"))
    events, _ = scope.aggregate(Aggregate(kept, "count"))
    enough = exp.GTE(
        this=exp.Mul(this=hits, expression=exp.Literal.number(100)),
        expression=exp.Mul(this=events.copy(), expression=operators.number(leaf.percent, "decimal")),
    )
    return both([exp.GTE(this=events, expression=exp.Literal.number(1)), enough])


def _in_groups(leaf: InGroups, scope: Scope) -> E:
    groups = scope.in_groups(scope.active_groups() if leaf.groups is None else leaf.groups)
    if not groups:
        found: E = exp.true() if leaf.match == "all" else exp.false()
    elif leaf.match == "all":
        found = both([has_all(word, bits) for word, bits in groups])
    else:
        found = either([has(word, bits) for word, bits in groups])
    return opposite(found) if leaf.excluded else found
