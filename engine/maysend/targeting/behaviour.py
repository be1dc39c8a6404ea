"""One pass over each event table for the aggregates of all conditions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce

from sqlglot import exp

from ..columns import ColumnType, Kind, Table
from ..conditions import Aggregate, Kept, Typed, keeps
from ..model import EventTable
from ..moments import Clock
from ..operators import instant
from ..trees import cast, column, either, missing, named, number, select, small, table
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

    def per_profile(self, wanted: Mapping[Aggregate, str], bits: int, narrow: Collection[str]) -> exp.Select:
        """One row per profile with events that any aggregate keeps: ``profile``, as a key; ``many`` events; ``n0``,
        ``n1``, … with the counts, of ``bits`` each (see ``counters``); and a column for each other aggregate.

        The sums of ``narrow`` columns need no more than a decimal of 18 digits.
        """
        found_in, sums = counters(wanted, bits), dict[str, list[E]]()
        for aggregate, name in wanted.items():
            if counter := found_in.get(name):
                one = exp.If(this=self._kept(aggregate), true=small(1 << counter.shift))
                sums.setdefault(counter.column, []).append(exp.Case(ifs=[one], default=small(0)))
        columns = [named(cast(exp.Sum(this=reduce(_plus, ones)), "bigint"), packed) for packed, ones in sums.items()]
        columns += [
            named(self.measure(aggregate, narrow), name)
            for aggregate, name in wanted.items()
            if aggregate.function != "count"
        ]
        many = named(exp.Count(this=exp.Star()), "many")
        found = self._select(named(self.profile(), "profile"), many, *columns).group_by(self.profile(), copy=False)
        if all(aggregate.kept.within for aggregate in wanted):
            windows = dict.fromkeys(Kept(self.relation, aggregate.kept.within) for aggregate in wanted)
            found.where(either([keeps(window, self.column, self._at(), self.clock) for window in windows]), copy=False)
        return found

    def widest(self, summed: Collection[str]) -> exp.Select:
        """The smallest and the largest value of each column, in turn."""
        ends = [end(this=self.column(name)[0]) for name in summed for end in (exp.Min, exp.Max)]
        return select(*ends).from_(table(self.relation, "e"), copy=False)

    def favourite(self, aggregate: Aggregate, name: str) -> exp.Select:
        """One row per profile: ``profile`` and its most frequent value of a column, the smallest of those that tie."""
        assert aggregate.column
        choice, _ = self.column(aggregate.column)
        chosen = (self.profile(), choice, exp.Count(this=exp.Star()))
        names = ("profile", "choice", "times")
        counted = (
            self._select(*(named(what, as_) for what, as_ in zip(chosen, names, strict=True)))
            .where(keeps(aggregate.kept, self.column, self._at(), self.clock), copy=False)
            .where(exp.not_(missing(choice.copy())), copy=False)
            .group_by(self.profile(), choice.copy())
        )
        order = [exp.Ordered(this=column("times"), desc=True), exp.Ordered(this=column("choice"), desc=False)]
        rank = exp.Window(this=exp.RowNumber(), partition_by=[column("profile")], order=exp.Order(expressions=order))
        ranked = select(column("profile"), column("choice"), named(rank, "rank"))
        first = exp.EQ(this=column("rank"), expression=exp.Literal.number(1))
        return (
            select(column("profile"), named(column("choice"), name))
            .from_(
                ranked.from_(counted.subquery("counted", copy=False), copy=False).subquery("ranked", copy=False),
                copy=False,
            )
            .where(first, copy=False)
        )

    def column(self, name: str) -> Typed:
        return value(self.kinds, name, "e"), self.kinds[name]

    def _at(self) -> Typed:
        return self.column(self.declared.at)

    def profile(self) -> E:
        """Whose event it is, as a key."""
        found, kind = self.column(self.declared.profile)
        return as_key(found, kind.kind, self.key)

    def _select(self, *columns: E) -> exp.Select:
        time, kind = self._at()
        so_far = exp.LTE(this=time, expression=instant(self.clock.as_of, kind.kind, self.clock))
        return select(*columns).from_(table(self.relation, "e"), copy=False).where(so_far, copy=False)

    def measure(self, aggregate: Aggregate, narrow: Collection[str]) -> E:
        kept = self._kept(aggregate)
        if aggregate.function == "sum":
            assert aggregate.column
            return _total(kept, *self.column(aggregate.column), aggregate.column in narrow)
        time, _ = self._at()
        kept_time = exp.Case(ifs=[exp.If(this=kept, true=time)])
        return exp.Min(this=kept_time) if aggregate.function == "first" else exp.Max(this=kept_time)

    def _kept(self, aggregate: Aggregate) -> E:
        return keeps(aggregate.kept, self.column, self._at(), self.clock)


@dataclass(frozen=True, slots=True)
class Counter:
    """Where a count is kept: ``bits`` of a column, from the bit ``shift`` on."""

    column: str
    shift: int
    bits: int

    def read(self, alias: str) -> E:
        """The count, from the table of that alias."""
        shifted = exp.Paren(this=exp.BitwiseRightShift(this=column(self.column, alias), expression=small(self.shift)))
        return exp.Paren(this=exp.BitwiseAnd(this=shifted, expression=number((1 << self.bits) - 1)))


def counters(wanted: Mapping[Aggregate, str], bits: int) -> dict[str, Counter]:
    """Where each count is, by its name; 45 bits to a column.

    A sum of three counts of 15 bits is still small enough for a database to see that it cannot run over: what is
    summed per profile then takes a sixth of the memory.
    """
    names = [name for aggregate, name in wanted.items() if aggregate.function == "count"]
    each = 45 // bits
    return {name: Counter(f"n{place // each}", place % each * bits, bits) for place, name in enumerate(names)}


def _plus(left: E, right: E) -> E:
    return exp.Add(this=left, expression=right)


def _total(kept: E, found: E, kind: ColumnType, narrow: bool) -> E:
    """A sum that does not depend on the order of its rows: floats are added as decimals of nine places, unless one of
    them is infinite. Infinities of both signs make it NaN: a NULL would be the 0 of who has no such event."""
    if kind.kind == "decimal":
        return exp.Sum(this=exp.Case(ifs=[exp.If(this=kept, true=found)]))
    digits = "decimal(18, 9)" if narrow else "decimal(28, 9)"
    exact = exp.TryCast(this=found.copy(), to=exp.DataType.build(digits))
    total: E = exp.Sum(this=exp.Case(ifs=[exp.If(this=kept.copy(), true=exact)]))
    if kind.kind == "integer":
        return total
    if narrow:
        return cast(total, "double")
    infinity, minus = (cast(exp.Literal.string(text), "double") for text in ("Infinity", "-Infinity"))
    infinite = exp.In(this=found.copy(), expressions=[infinity, minus])
    beyond = exp.Sum(this=exp.Case(ifs=[exp.If(this=exp.and_(kept.copy(), infinite), true=found.copy())]))
    counted = exp.Coalesce(this=cast(total, "double"), expressions=[cast(exp.Literal.number(0), "double")])
    return exp.Case(ifs=[exp.If(this=missing(beyond.copy()), true=counted)], default=beyond)
