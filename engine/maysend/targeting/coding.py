"""Features coded as small integers, and lookups that say of each code which campaigns it lets pass.

A predicate on one feature splits its values into buckets; one representative per bucket stands for all of them, and
the predicate's own SQL is run over the representatives. A predicate on several features, or one that compares with no
constants (a text search), becomes a truth of its own, packed eight to a code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any

from sqlglot import exp

from ..columns import NUMBERS, TIMES, ColumnType
from ..trees import cast, column, missing, named, number, small
from .features import Feature
from .standings import Standing

E = exp.Expr
FULL = (1 << 63) - 1
WORD_BITS = 63
_PACKED = 8
_MOST_CUTS = 1000
_CASES = 12
_ORDERS = (exp.GT, exp.GTE, exp.LT, exp.LTE)
_ANY: dict[str, Any] = {
    "date": date(2000, 1, 1),
    "timestamp": datetime.fromisoformat("2000-01-01"),
    "instant": datetime.fromisoformat("2000-01-01T00:00:00+00:00"),
}
_INSIDE = (exp.And, exp.Or, exp.Not, exp.Paren, exp.Coalesce)


@dataclass(frozen=True, slots=True)
class Predicate:
    """A test that the campaigns of ``mask`` make at ``stage`` (an index into the reasons)."""

    stage: int
    test: E
    mask: int


@dataclass(slots=True)
class Code:
    """A column of codes: ``expression`` over the base, its representatives, and the predicates they are tried on.

    ``representatives`` selects ``code`` and the feature's column. ``values`` is set where the code comes from joining
    a table of values (``value``, ``code``) on ``feature``, as ``expression`` then says.
    """

    name: str
    expression: E
    representatives: exp.Query
    predicates: list[Predicate]
    feature: str = ""
    values: exp.Query | None = None

    def lookup(self, words: int) -> tuple[exp.Select, dict[int, list[int]]]:
        """The lookup's query (``code``, then ``s<stage>_<word>``), and which words it has for each stage."""
        tried = exp.select(column("code")).from_(self.representatives.subquery("r"))
        names: dict[str, str] = {}
        texts = [predicate.test.sql(copy=False) for predicate in self.predicates]
        for predicate, sql in zip(self.predicates, texts, strict=True):
            if sql not in names:
                names[sql] = f"p{len(names)}"
                truth = exp.Coalesce(this=predicate.test.copy(), expressions=[exp.false()])
                tried.select(named(truth, names[sql]), copy=False)
        query = exp.select(column("code")).from_(tried.subquery("t", copy=False), copy=False)
        present: dict[int, list[int]] = {}
        for stage in sorted({predicate.stage for predicate in self.predicates}):
            for word in range(words):
                tests = [
                    exp.Case(ifs=[exp.If(this=column(names[sql]), true=number(FULL))], default=number(FULL & ~mask))
                    for p, sql in zip(self.predicates, texts, strict=True)
                    if p.stage == stage and (mask := p.mask >> word * WORD_BITS & FULL)
                ]
                if tests:
                    query.select(named(conjunction(tests), f"s{stage}_{word}"), copy=False)
                    present.setdefault(stage, []).append(word)
        return query, present


def conjunction(words: Sequence[E]) -> E:
    """Words combined by bitwise and, as a balanced tree."""
    if len(words) == 1:
        return words[0]
    half = len(words) // 2
    return exp.BitwiseAnd(this=exp.paren(conjunction(words[:half])), expression=exp.paren(conjunction(words[half:])))


def codes(
    predicates: Iterable[Predicate], features: Mapping[str, Feature], standings: Iterable[Standing]
) -> list[Code]:
    """Every predicate put where it is cheapest to test."""
    by_alias = {standing.alias: standing for standing in standings}
    answers: dict[str, list[Predicate]] = {}
    single: dict[tuple[str, str], _Single] = {}
    rest: list[Predicate] = []
    for predicate in predicates:
        asked = [features[name] for name in {found.name for found in predicate.test.find_all(exp.Column)}]
        aliases = {feature.standing[0] if feature.word else "" for feature in asked}
        way = _way(predicate.test, asked[0]) if len(asked) == 1 and not asked[0].word else None
        if len(aliases) == 1 and "" not in aliases:
            answers.setdefault(aliases.pop(), []).append(predicate)
        elif way:
            single.setdefault((asked[0].name, way[0]), _Single(asked[0], way[0])).add(predicate, way[1])
        else:
            rest.append(predicate)
    found = [group.code(f"c{index}") for index, group in enumerate(single.values())]
    for alias, tested in answers.items():
        words = {
            feature.standing[1]: feature.name
            for feature in features.values()
            if feature.word and feature.standing[0] == alias
        }
        found.append(Code(f"c{len(found)}", column(f"code {alias}"), by_alias[alias].representatives(words), tested))
    return [*found, *_packed(rest, len(found))]


def _way(test: E, feature: Feature) -> tuple[str, dict[E, None]] | None:
    """How a predicate on one feature is coded, and the constants it compares with; None where it cannot be."""
    if feature.type.kind == "boolean":
        return "truth", {}
    constants: dict[E, None] = {}
    ordered = False
    for node, compared in _comparisons(test):
        if compared is None:
            return None
        ordered = ordered or isinstance(node, _ORDERS)
        constants.update(dict.fromkeys(compared))
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
    predicates: list[Predicate] = field(default_factory=list)
    constants: dict[E, None] = field(default_factory=dict)

    def add(self, predicate: Predicate, constants: dict[E, None]) -> None:
        self.predicates.append(predicate)
        self.constants |= constants

    def code(self, name: str) -> Code:
        match self.way:
            case "truth":
                return self._truths(name)
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

    def _ranges(self, name: str) -> Code:
        """Code 2i+1 is the gap below the i-th cut and 2i+2 the cut itself; the last gap is open."""
        cuts = sorted(
            ((_python(constant, self.feature.type), constant) for constant in self.constants),
            key=lambda cut: cut[0],
        )
        cuts = [cut for index, cut in enumerate(cuts) if not index or cut[0] != cuts[index - 1][0]]

        def below(low: int, high: int) -> E:
            if low == high:
                return small(2 * low + 1)
            middle = (low + high) // 2
            constant = cuts[middle][1]
            return exp.Case(
                ifs=[
                    exp.If(this=exp.LT(this=self._column, expression=constant.copy()), true=below(low, middle)),
                    exp.If(this=exp.EQ(this=self._column, expression=constant.copy()), true=small(2 * middle + 2)),
                ],
                default=below(middle + 1, high),
            )

        code = exp.Case(ifs=[exp.If(this=self._missing(), true=small(0))], default=below(0, len(cuts)))
        values = [cut for cut, _ in cuts]
        rows: list[tuple[int, E]] = [(0, exp.null())]
        rows += [(2 * index + 2, _constant(cut, self.feature.type)) for index, cut in enumerate(values)]
        rows += [(2 * index + 1, _constant(gap, self.feature.type)) for index, gap in _gaps(values, self.feature.type)]
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
        table = exp.values(
            [(constant.copy(), small(index + 2)) for index, constant in enumerate(named)],
            alias="v",
            columns=["value", "code"],
        )
        values = exp.select(column("value"), column("code")).from_(table)
        return Code(name, found, self._rows(rows), self.predicates, self.feature.name, values)

    def _other(self) -> E:
        values = [_python(constant, self.feature.type) for constant in self.constants]
        if self.feature.type.kind == "text":
            return exp.Literal.string("?" * (max((len(value) for value in values), default=0) + 1))
        return (
            _constant(_beyond(max(values), self.feature.type), self.feature.type) if values else exp.Literal.number(0)
        )

    def _rows(self, rows: Sequence[tuple[int, E]]) -> exp.Select:
        table = exp.values(
            [(small(code), value) for code, value in rows], alias="v", columns=["code", self.feature.name]
        )
        return exp.select(column("code"), column(self.feature.name)).from_(table)


def _packed(predicates: list[Predicate], start: int) -> Iterator[Code]:
    """Truths of their own, eight to a code: the code's bits are the truths."""
    tests = list({predicate.test.sql(): predicate.test for predicate in predicates}.items())
    for index, offset in enumerate(range(0, len(tests), _PACKED)):
        name = f"c{start + index}"
        packed = dict(tests[offset : offset + _PACKED])
        bits = {sql: 1 << place for place, sql in enumerate(packed)}
        ones = [
            exp.Case(ifs=[exp.If(this=packed[sql].copy(), true=small(bit))], default=small(0))
            for sql, bit in bits.items()
        ]
        codes = exp.values([(small(code),) for code in range(1 << len(packed))], alias="v", columns=["code"])
        asked = [
            Predicate(
                p.stage,
                exp.NEQ(
                    this=exp.paren(exp.BitwiseAnd(this=column("code"), expression=small(bits[sql]))),
                    expression=small(0),
                ),
                p.mask,
            )
            for p in predicates
            if (sql := p.test.sql()) in bits
        ]
        yield Code(
            name,
            _sum(ones),
            exp.select(column("code")).from_(codes),
            asked,
        )


def _sum(terms: Sequence[E]) -> E:
    return reduce(lambda total, term: exp.Add(this=total, expression=term), terms)


def _python(constant: E, type_: ColumnType) -> Any:
    """A constant as a Python value that sorts as the column does."""
    if isinstance(constant, exp.Cast):
        text = constant.this
        match type_.kind:
            case "date":
                return date.fromisoformat(text.name)
            case "timestamp" | "instant":
                return datetime.fromisoformat(text.name)
        return _python(text, type_) if not text.is_string else Decimal(text.name)
    if isinstance(constant, exp.Neg):
        return -_python(constant.this, type_)
    if isinstance(constant, exp.Boolean):
        return constant.this
    return constant.name if constant.is_string else Decimal(constant.name)


def _constant(value: Any, type_: ColumnType) -> E:
    match value:
        case datetime():
            return cast(
                exp.Literal.string(value.isoformat(sep=" ")), "timestamptz" if type_.kind == "instant" else "timestamp"
            )
        case date():
            return cast(exp.Literal.string(value.isoformat()), "date")
        case str():
            return exp.Literal.string(value)
    if not value.is_finite():
        return cast(exp.Literal.string("Infinity" if value > 0 else "-Infinity"), "double")
    plain = exp.Literal.number(format(abs(value), "f"))
    signed: E = exp.Neg(this=plain) if value < 0 else plain
    return cast(signed, "double") if type_.kind == "float" else signed


def _gaps(cuts: list[Any], type_: ColumnType) -> Iterator[tuple[int, Any]]:
    """A value for each gap that can have one: below the first cut, between two, and beyond the last (index len)."""
    for index, cut in enumerate(cuts):
        if not index:
            if (value := _beyond(cut, type_, -1)) is not None:
                yield 0, value
        elif (value := _between(cuts[index - 1], cut, type_)) is not None:
            yield index, value
    if not cuts:
        yield 0, _beyond(None, type_)
    elif (value := _beyond(cuts[-1], type_)) is not None:
        yield len(cuts), value


def _between(low: Any, high: Any, type_: ColumnType) -> Any:
    if isinstance(low, datetime):
        return low + timedelta(microseconds=1) if high - low > timedelta(microseconds=1) else None
    if isinstance(low, date):
        return low + timedelta(days=1) if (high - low).days > 1 else None
    if type_.kind == "float":
        if not low.is_finite():
            return Decimal(0) if not high.is_finite() else high - abs(high) - 1
        if not high.is_finite():
            return low + abs(low) + 1
        middle = float(low) / 2 + float(high) / 2
        return Decimal(repr(middle)) if float(low) < middle < float(high) else None
    return (
        (low + high) / 2
        if low.is_finite() and high.is_finite()
        else _beyond(high if low.is_infinite() else low, type_, -1 if low.is_infinite() else 1)
    )


def _beyond(cut: Any, type_: ColumnType, direction: int = 1) -> Any:
    """A value past a cut, or None where there is none."""
    if cut is None:
        return _ANY.get(type_.kind, Decimal(0))
    if isinstance(cut, datetime):
        return cut + timedelta(microseconds=direction)
    if isinstance(cut, date):
        return cut + timedelta(days=direction)
    if not cut.is_finite():
        return None if (cut > 0) == (direction > 0) else Decimal(0)
    return cut + direction * (abs(cut) + 1)
