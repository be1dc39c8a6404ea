"""One pass over each event table for the aggregates of all conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from ..columns import ColumnType, Kind, Table
from ..conditions import Aggregate, Typed, keeps
from ..model import EventTable
from ..moments import Clock
from ..trees import cast, column, missing, named, table
from .features import as_key, value

E = exp.Expr


@dataclass(frozen=True, slots=True)
class Events:
    """An event table as conditions see it: what is later than as-of, or has no time, is not there.

    ``relation`` holds it, ``kinds`` are its columns, and ``key`` is the kind of the profiles' key.
    """

    declared: EventTable
    relation: str
    kinds: Table
    clock: Clock
    key: Kind

    def per_profile(self, wanted: Mapping[Aggregate, str]) -> exp.Select:
        """One row per profile: ``profile``, as a key, and a column for each aggregate wanted."""
        columns = [named(self.measure(aggregate), name) for aggregate, name in wanted.items()]
        return self._select(named(self._profile(), "profile"), *columns).group_by(self._profile())

    def favourite(self, aggregate: Aggregate, name: str) -> exp.Select:
        """One row per profile: ``profile`` and its most frequent value of a column, the smallest of those that tie."""
        assert aggregate.column
        choice, _ = self.column(aggregate.column)
        chosen = (self._profile(), choice, exp.Count(this=exp.Star()))
        names = ("profile", "choice", "times")
        counted = (
            self._select(*(named(what, as_) for what, as_ in zip(chosen, names, strict=True)))
            .where(keeps(aggregate.kept, self.column, self._at(), self.clock))
            .where(exp.not_(missing(choice.copy())))
            .group_by(self._profile(), choice.copy())
        )
        order = [exp.Ordered(this=column("times"), desc=True), exp.Ordered(this=column("choice"), desc=False)]
        rank = exp.Window(this=exp.RowNumber(), partition_by=[column("profile")], order=exp.Order(expressions=order))
        ranked = exp.select(column("profile"), column("choice"), named(rank, "rank"))
        first = exp.EQ(this=column("rank"), expression=exp.Literal.number(1))
        return (
            exp.select(column("profile"), named(column("choice"), name))
            .from_(ranked.from_(counted.subquery("counted")).subquery("ranked"))
            .where(first)
        )

    def column(self, name: str) -> Typed:
        return value(self.kinds, name, "e"), self.kinds[name]

    def _at(self) -> Typed:
        return self.column(self.declared.at)

    def _profile(self) -> E:
        found, kind = self.column(self.declared.profile)
        return as_key(found, kind.kind, self.key)

    def _select(self, *columns: E) -> exp.Select:
        time, kind = self._at()
        so_far = exp.LTE(this=time, expression=self.clock.literal(self.clock.as_of, kind.kind))
        return exp.select(*columns).from_(table(self.relation, "e")).where(so_far)

    def measure(self, aggregate: Aggregate) -> E:
        kept = keeps(aggregate.kept, self.column, self._at(), self.clock)
        if aggregate.function == "count":
            return exp.Count(this=exp.Case(ifs=[exp.If(this=kept, true=exp.Literal.number(1))]))
        if aggregate.function == "sum":
            assert aggregate.column
            return _total(kept, *self.column(aggregate.column))
        time, _ = self._at()
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
    infinity, minus = (cast(exp.Literal.string(text), "double") for text in ("Infinity", "-Infinity"))
    infinite = exp.In(this=number.copy(), expressions=[infinity, minus])
    beyond = exp.Sum(this=exp.Case(ifs=[exp.If(this=exp.and_(kept.copy(), infinite), true=number.copy())]))
    defined = exp.Case(ifs=[exp.If(this=exp.not_(exp.IsNan(this=beyond)), true=beyond.copy())])
    counted = exp.Coalesce(this=cast(total, "double"), expressions=[cast(exp.Literal.number(0), "double")])
    return exp.Case(ifs=[exp.If(this=missing(beyond.copy()), true=counted)], default=defined)
