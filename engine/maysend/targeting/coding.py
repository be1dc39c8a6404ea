"""Features coded as small integers, for lookups.

A predicate on one feature splits its values into buckets; one representative per bucket stands for all of them, and
the predicate's own SQL is run over the representatives. A predicate on several features, or one that compares with no
constants (a text search), becomes a truth of its own, packed eight to a code.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import reduce
from math import ceil, floor, isqrt
from typing import Any

from sqlglot import exp

from ..columns import NUMBERS, TIMES, ColumnType
from ..trees import cast, column, columns_in, has, missing, named, number, select, small, table, written
from . import buckets
from .features import Feature
from .lookups import Code, Predicate

E = exp.Expr
_PACKED = 8
_MOST_CUTS = 1000
_CASES = 2
_WIDEST = 20_000
_LARGEST = 1 << 50
_INTEGER = 1 << 31
_ORDERS = (exp.GT, exp.GTE, exp.LT, exp.LTE)
_BELOW = (exp.LT, exp.GTE)
_UP_TO = (exp.GT, exp.LTE)
_INSIDE = (exp.And, exp.Or, exp.Not, exp.Paren, exp.Coalesce)


Constants = dict[E, set[type[E]]]
"""Constants, and by which operators a feature is compared with each."""

Span = tuple[Any, Any]
"""The smallest and the largest value of a feature: numbers or dates."""


def is_coded(test: E, features: Mapping[str, Feature], listed: Container[str]) -> bool:
    """Whether a test looks at one feature, whose values are ``listed`` or split into buckets by its constants."""
    asked = [features[name] for name in columns_in(test)]
    if len(asked) != 1 or asked[0].word:
        return False
    return asked[0].name in listed or _way(test, asked[0]) is not None


def searched(test: E) -> Iterator[str]:
    """The features that a test compares with no constants: text that it searches, lists that it looks into."""
    for node, compared in _comparisons(test):
        if compared is None and len(names := columns_in(node)) == 1:
            yield names.pop()


def codes(
    predicates: Iterable[Predicate],
    features: Mapping[str, Feature],
    spans: Mapping[str, Span],
    listed: Container[str],
) -> list[Code]:
    """Every predicate put where it is cheapest to test.

    ``spans`` has the features whose smallest and largest value are known; a whole number or a date of a small span is
    its own code, and so is a float that is compared with whole numbers alone. For those ``listed``, table
    ``listed <feature>`` has every ``value`` there is, and its ``code``.
    """
    single: dict[tuple[str, str], _Single] = {}
    rest: list[Predicate] = []
    for predicate in predicates:
        asked = [features[name] for name in columns_in(predicate.test)]
        way = _way(predicate.test, asked[0]) if len(asked) == 1 and not asked[0].word else None
        if len(asked) == 1 and asked[0].name in listed:
            way = "listed", {}
        if way:
            span = asked[0].span or spans.get(asked[0].name)
            kept = single.setdefault((asked[0].name, way[0]), _Single(asked[0], way[0], span))
            kept.add(predicate, way[1])
        else:
            rest.append(predicate)
    found = [group.code(f"c{index}") for index, group in enumerate(single.values())]
    return [*found, *truths(rest, len(found))]


def _way(test: E, feature: Feature) -> tuple[str, Constants] | None:
    """How a predicate on one feature is coded, and the constants it compares with; None where it cannot be."""
    if feature.type.kind == "boolean":
        return "truth", {}
    if feature.span:
        return "itself", {}
    constants: Constants = {}
    ordered = False
    for node, compared in _comparisons(test):
        if compared is None:
            return None
        ordered = ordered or isinstance(node, _ORDERS)
        for constant in compared:
            constants.setdefault(constant, set()).add(type(node))
    if feature.type.kind in NUMBERS | TIMES and len(constants) <= _MOST_CUTS:
        return "range", constants
    return None if ordered else ("value", constants)


def _comparisons(node: E) -> Iterator[tuple[E, list[E] | None]]:
    """Every comparison in a test with the constants it compares a column with; None for one that does otherwise."""
    match node:
        case _ if isinstance(node, _INSIDE):
            for child in node.iter_expressions():
                yield from _comparisons(child)
        case exp.Boolean():
            pass
        case exp.In(this=exp.Column()) if node.expressions:
            yield node, list(node.expressions)
        case exp.Is(this=exp.Column(), expression=exp.Null()):
            yield node, []
        case exp.EQ() | exp.NEQ() | exp.GT() | exp.GTE() | exp.LT() | exp.LTE() if isinstance(node.this, exp.Column):
            yield node, [node.expression]
        case _:
            yield node, None


@dataclass(slots=True)
class _Single:
    """The predicates on one feature that are coded in one way."""

    feature: Feature
    way: str
    span: Span | None
    predicates: list[Predicate] = field(default_factory=list)
    constants: Constants = field(default_factory=dict)

    def add(self, predicate: Predicate, constants: Constants) -> None:
        self.predicates.append(predicate)
        for constant, operators in constants.items():
            self.constants.setdefault(constant, set()).update(operators)

    def code(self, name: str) -> Code:
        match self.way:
            case "truth":
                return self._truths(name)
            case "listed":
                return self._listed(name)
            case "itself" if self.span:
                return self._itself(name, self.span[1])
            case "range" if self.span and self.feature.type.kind == "float":
                return self._half_steps(name, *self.span) if self._whole(self.span) else self._ranges(name)
            case "range" if self.span and self.constants and _steps(self.span) < _WIDEST:
                return self._steps(name, *self.span)
            case "range":
                return self._ranges(name)
        return self._values(name)

    @property
    def _column(self) -> exp.Column:
        return column(self.feature.name)

    def _missing(self) -> E:
        return missing(self._column)

    def _truths(self, name: str) -> Code:
        code = exp.Case(
            ifs=[exp.If(this=self._column, true=small(2)), exp.If(this=self._missing(), true=small(0))],
            default=small(1),
        )
        rows = [(0, exp.null()), (1, exp.false()), (2, exp.true())]
        return Code(name, code, self._rows(rows), self.predicates)

    def _listed(self, name: str) -> Code:
        """Code 0 is missing, and every value that there is has its own."""
        listed = f"listed {self.feature.name}"
        nothing = select(named(small(0), "code"), named(exp.null(), self.feature.name))
        values = select(column("code"), named(column("value"), self.feature.name)).from_(table(listed), copy=False)
        rows = exp.union(values, nothing, distinct=False)
        if self.feature.numbered:
            return Code(name, column(self.feature.numbered), rows, self.predicates)
        found = exp.Coalesce(this=column("code", f"v{name}"), expressions=[small(0)])
        joined = select(column("value"), column("code")).from_(table(listed), copy=False)
        return Code(name, found, rows, self.predicates, self.feature.name, joined)

    def _itself(self, name: str, high: int) -> Code:
        """The code is the value, from 0 on and never missing."""
        values = select(named(column("step"), "code"), named(column("step"), self.feature.name))
        every = values.from_(_count(high).subquery("n", copy=False), copy=False)
        return Code(name, self._column, every, self.predicates)

    def _steps(self, name: str, low: Any, high: Any) -> Code:
        """Code n + 1 is the value n steps above the lowest.

        Whole numbers are counted in 32 bits, or in 64 where they need them: a column of 8 bits has no room for codes.
        """
        step = column("step")
        if self.feature.type.kind == "date":
            first = buckets.constant(low, self.feature.type)
            above: E = exp.DateDiff(this=self._column, expression=first)
            value: E = cast(exp.DateAdd(this=first.copy(), expression=step, unit=exp.var("DAY")), "date")
        else:
            fits = low >= -_INTEGER and high < _INTEGER
            own = cast(self._column, "integer") if fits else self._column
            above = exp.Sub(this=own, expression=exp.paren(small(low)))
            value = exp.Add(this=number(low), expression=step)
        code = exp.Coalesce(this=exp.Add(this=above, expression=small(1)), expressions=[small(0)])
        return Code(name, code, self._stepped(value, _steps((low, high))), self.predicates)

    def _whole(self, span: Span) -> bool:
        """Whether a float of a small span is compared with whole numbers alone."""
        if not all(isinstance(end, float) and abs(end) < _LARGEST for end in span):
            return False
        compared = [buckets.python(constant, self.feature.type) for constant in self.constants]
        whole = all(one.is_finite() and one == one.to_integral_value() for one in compared)
        return whole and 2 * _steps(span) < _WIDEST

    def _half_steps(self, name: str, low: float, high: float) -> Code:
        """Code 2n + 1 is the whole number n above the lowest, and 2n + 2 all between that and the next."""
        first, last = floor(low), ceil(high)
        whole = exp.Add(this=exp.Floor(this=self._column), expression=exp.Ceil(this=self._column))
        lowest = buckets.constant(Decimal(2 * first - 1), ColumnType("integer"))
        above = exp.Sub(this=cast(whole, "bigint"), expression=exp.paren(lowest))
        half = exp.Mul(this=column("step"), expression=exp.Literal.number("0.5"))
        value = cast(exp.Add(this=buckets.constant(Decimal(first), ColumnType("integer")), expression=half), "double")
        code = exp.Coalesce(this=above, expressions=[small(0)])
        return Code(name, code, self._stepped(value, 2 * (last - first)), self.predicates)

    def _stepped(self, value: E, last: int) -> exp.Query:
        """Code n + 1 for the ``value`` of step n, until the last; code 0 for none."""
        step = column("step")
        values = select(named(exp.Add(this=step, expression=small(1)), "code"), named(value, self.feature.name))
        nothing = select(named(small(0), "code"), named(exp.null(), self.feature.name))
        return exp.union(values.from_(_count(last).subquery("n", copy=False), copy=False), nothing, distinct=False)

    def _ranges(self, name: str) -> Code:
        """Code n + 1 is the gap above the n-th border, where a border is below a cut or above it, as operators ask."""
        cuts: dict[Any, tuple[E, set[type[E]]]] = {}
        for constant, operators in self.constants.items():
            cuts.setdefault(buckets.python(constant, self.feature.type), (constant, set()))[1].update(operators)
        borders = [
            (cut, operator, constant)
            for cut, (constant, operators) in sorted(cuts.items())
            for operator, ordered in ((exp.LT, _BELOW), (exp.LTE, _UP_TO))
            if any(one in ordered or one not in _ORDERS for one in operators)
        ]

        def below(low: int, high: int) -> E:
            if low == high:
                return small(low + 1)
            middle = (low + high) // 2
            _, operator, constant = borders[middle]
            test = operator(this=self._column, expression=constant.copy())
            return exp.Case(ifs=[exp.If(this=test, true=below(low, middle))], default=below(middle + 1, high))

        code = exp.Case(ifs=[exp.If(this=self._missing(), true=small(0))], default=below(0, len(borders)))
        gaps = buckets.gaps([(cut, operator is exp.LTE) for cut, operator, _ in borders], self.feature.type)
        rows = [(0, exp.null()), *((index + 1, buckets.constant(gap, self.feature.type)) for index, gap in gaps)]
        return Code(name, code, self._rows(rows), self.predicates)

    def _values(self, name: str) -> Code:
        """Code 0 is missing, 1 any value that no predicate names, and each value named has its own."""
        named = list(self.constants)
        rows: list[tuple[int, E]] = [(0, exp.null()), (1, self._other())]
        rows += [(index + 2, constant.copy()) for index, constant in enumerate(named)]
        missing = exp.If(this=self._missing(), true=small(0))
        if len(named) <= _CASES:
            ifs = [
                exp.If(this=exp.EQ(this=self._column, expression=value.copy()), true=small(index + 2))
                for index, value in enumerate(named)
            ]
            return Code(name, exp.Case(ifs=[*ifs, missing], default=small(1)), self._rows(rows), self.predicates)
        found = exp.Coalesce(this=column("code", f"v{name}"), expressions=[exp.Case(ifs=[missing], default=small(1))])
        rows_of = exp.values(
            [(constant.copy(), small(index + 2)) for index, constant in enumerate(named)],
            alias="v",
            columns=["value", "code"],
        )
        values = select(column("value"), column("code")).from_(rows_of, copy=False)
        return Code(name, found, self._rows(rows), self.predicates, self.feature.name, values)

    def _other(self) -> E:
        values = [buckets.python(constant, self.feature.type) for constant in self.constants]
        if self.feature.type.kind == "text":
            return exp.Literal.string("?" * (max((len(value) for value in values), default=0) + 1))
        return (
            buckets.constant(buckets.beyond(max(values), self.feature.type), self.feature.type)
            if values
            else exp.Literal.number(0)
        )

    def _rows(self, rows: Sequence[tuple[int, E]]) -> exp.Select:
        values = exp.values(
            [(small(code), value) for code, value in rows], alias="v", columns=["code", self.feature.name]
        )
        return select(column("code"), column(self.feature.name)).from_(values, copy=False)


def numbered(values: Sequence[str], number: str = "code") -> exp.Select:
    """Each ``value``, and its number from 1 on."""
    rows = [(exp.Literal.string(value), small(place)) for place, value in enumerate(values, 1)]
    known = exp.values(rows, alias="v", columns=["value", number])
    return select(column("value"), column(number)).from_(known, copy=False)


def _count(last: int) -> exp.Select:
    """``step``: the whole numbers from 0 to ``last``, as numbers of two digits."""
    base = isqrt(last) + 1
    low, high = (exp.values([(small(digit),) for digit in range(base)], alias=d, columns=["digit"]) for d in "lh")
    step = exp.Add(this=exp.Mul(this=column("digit", "h"), expression=small(base)), expression=column("digit", "l"))
    query = select(named(step, "step")).from_(high, copy=False).join(low, join_type="cross", copy=False)
    within = exp.LTE(this=column("step"), expression=small(last))
    return select(column("step")).from_(query.subquery("numbers", copy=False), copy=False).where(within, copy=False)


def truths(predicates: Sequence[Predicate], start: int = 0) -> Iterator[Code]:
    """Every predicate as a truth of its own, eight to a code: the code's bits are the truths."""
    tests = list({predicate.text: predicate.test for predicate in predicates}.items())
    for index, offset in enumerate(range(0, len(tests), _PACKED)):
        name = f"c{start + index}"
        packed = dict(tests[offset : offset + _PACKED])
        bits = {sql: 1 << place for place, sql in enumerate(packed)}
        ones = [
            exp.Case(ifs=[exp.If(this=packed[sql].copy(), true=small(bit))], default=small(0))
            for sql, bit in bits.items()
        ]
        codes = exp.values([(small(code),) for code in range(1 << len(packed))], alias="v", columns=["code"])
        told = {sql: has(column("code"), bit) for sql, bit in bits.items()}
        asked = [replace(p, test=told[p.text], text=written(told[p.text])) for p in predicates if p.text in told]
        yield Code(
            name,
            _sum(ones),
            select(column("code")).from_(codes, copy=False),
            asked,
        )


def _sum(terms: Sequence[E]) -> E:
    return reduce(lambda total, term: exp.Add(this=total, expression=term), terms)


def _steps(span: Span) -> int:
    low, high = span
    return int((high - low).days if isinstance(low, date) else high - low)
