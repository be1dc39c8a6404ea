"""One pass over each event table for the aggregates of all conditions."""

from __future__ import annotations

from sqlglot import exp

from ..columns import ColumnType, Table
from ..conditions import Aggregate, Typed, keeps
from ..model import EventTable
from ..moments import Clock
from .features import value
from .names import column, table

E = exp.Expr


def per_profile(
    declared: EventTable, relation: str, kinds: Table, wanted: dict[Aggregate, str], clock: Clock
) -> exp.Select:
    """One row per profile of an event table: ``profile`` (as text) and a column for each aggregate wanted."""
    events = _Events(declared, relation, kinds, clock)
    columns = [exp.alias_(events.measure(aggregate), name, quoted=True) for aggregate, name in wanted.items()]
    return events.select(exp.alias_(events.profile(), "profile", quoted=True), *columns).group_by(events.profile())


def favourite(
    declared: EventTable, relation: str, kinds: Table, aggregate: Aggregate, name: str, clock: Clock
) -> exp.Select:
    """One row per profile: ``profile`` and its most frequent value of a column, the smallest of those that tie."""
    events = _Events(declared, relation, kinds, clock)
    assert aggregate.column
    choice, _ = events.column(aggregate.column)
    times = exp.alias_(exp.Count(this=exp.Star()), "times", quoted=True)
    counted = (
        events.select(
            exp.alias_(events.profile(), "profile", quoted=True), exp.alias_(choice, "choice", quoted=True), times
        )
        .where(keeps(aggregate.kept, events.column, events.at(), clock))
        .where(exp.not_(exp.Is(this=choice.copy(), expression=exp.null())))
        .group_by(events.profile(), choice.copy())
    )
    order = exp.Order(
        expressions=[exp.Ordered(this=column("times"), desc=True), exp.Ordered(this=column("choice"), desc=False)]
    )
    rank = exp.Window(this=exp.RowNumber(), partition_by=[column("profile")], order=order)
    ranked = exp.select(column("profile"), column("choice"), exp.alias_(rank, "rank", quoted=True)).from_(
        counted.subquery("counted")
    )
    first = exp.EQ(this=column("rank"), expression=exp.Literal.number(1))
    return (
        exp.select(column("profile"), exp.alias_(column("choice"), name, quoted=True))
        .from_(ranked.subquery("ranked"))
        .where(first)
    )


class _Events:
    """An event table as conditions see it: what is later than as-of, or has no time, is not there."""

    def __init__(self, declared: EventTable, relation: str, kinds: Table, clock: Clock) -> None:
        self.declared, self.relation, self.kinds, self.clock = declared, relation, kinds, clock

    def column(self, name: str) -> Typed:
        return value(self.kinds, name, "e"), self.kinds[name]

    def at(self) -> Typed:
        return self.column(self.declared.at)

    def profile(self) -> E:
        return exp.cast(value(self.kinds, self.declared.profile, "e"), "text")

    def select(self, *columns: E) -> exp.Select:
        time, kind = self.at()
        so_far = exp.LTE(this=time, expression=self.clock.literal(self.clock.as_of, kind.kind))
        return exp.select(*columns).from_(table(self.relation, "e")).where(so_far)

    def measure(self, aggregate: Aggregate) -> E:
        kept = keeps(aggregate.kept, self.column, self.at(), self.clock)
        if aggregate.function == "count":
            return exp.Count(this=exp.Case(ifs=[exp.If(this=kept, true=exp.Literal.number(1))]))
        if aggregate.function == "sum":
            assert aggregate.column
            return _total(kept, *self.column(aggregate.column))
        time, _ = self.at()
        kept_time = exp.Case(ifs=[exp.If(this=kept, true=time)])
        return exp.Min(this=kept_time) if aggregate.function == "first" else exp.Max(this=kept_time)


def _total(kept: E, number: E, kind: ColumnType) -> E:
    """A sum that does not depend on the order of its rows: floats are added as decimals of nine places, unless one of
    them is infinite."""
    if kind.kind == "decimal":
        return exp.Sum(this=exp.Case(ifs=[exp.If(this=kept, true=number)]))
    exact = exp.TryCast(this=number.copy(), to=exp.DataType.build("decimal(28, 9)"))
    total: E = exp.Sum(this=exp.Case(ifs=[exp.If(this=kept.copy(), true=exact)]))
    if kind.kind == "integer":
        return total
    infinity, minus = (exp.cast(exp.Literal.string(text), "double") for text in ("Infinity", "-Infinity"))
    infinite = exp.In(this=number.copy(), expressions=[infinity, minus])
    beyond = exp.Sum(this=exp.Case(ifs=[exp.If(this=exp.and_(kept.copy(), infinite), true=number.copy())]))
    defined = exp.Case(ifs=[exp.If(this=exp.not_(exp.IsNan(this=beyond)), true=beyond.copy())])
    counted = exp.Coalesce(this=exp.cast(total, "double"), expressions=[exp.cast(exp.Literal.number(0), "double")])
    return exp.Case(ifs=[exp.If(this=exp.Is(this=beyond.copy(), expression=exp.null()), true=counted)], default=defined)
