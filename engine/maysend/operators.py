"""What an operator means: a column, an operand, and the SQL that is true, false or unknown (NULL) of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from sqlglot import exp

from .columns import NUMBERS, TIMES, ColumnType, Kind
from .moments import Clock, by_clock, is_date
from .trees import both, cast, either, missing, opposite
from .where import Near, Window

E = exp.Expr
_TEXT: frozenset[Kind] = frozenset(("text",))
_SCALARS: frozenset[Kind] = _TEXT | NUMBERS | TIMES | {"boolean"}
_EARTH_KM = 6371.0088


@dataclass(frozen=True, slots=True)
class Operator:
    """``kinds`` are the columns it applies to; ``build`` makes its SQL and raises ValueError on an unfit operand."""

    kinds: frozenset[Kind]
    build: Callable[[E, ColumnType, Any, Clock], E]


def literal(value: Any, kind: Kind, clock: Clock) -> E:
    """A declared value as a constant of a column's kind.

    Raises ValueError, with a person's message, where it does not fit.
    """
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    if kind == "text":
        if isinstance(value, str):
            return exp.Literal.string(value)
        raise ValueError(
            f'is text, and {shown} is not; write "{str(value).lower() if isinstance(value, bool) else value}"'
        )
    if kind == "boolean":
        if isinstance(value, bool):
            return exp.true() if value else exp.false()
        raise ValueError(f"is true or false, and {shown} is neither")
    if kind in NUMBERS:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return number(value, kind)
        raise ValueError(f"is a number, and {shown} is not")
    if kind in TIMES:
        if not isinstance(value, str):
            raise ValueError(f"is a {kind}, and {shown} is not")
        if kind == "date" and not is_date(value):
            raise ValueError(f"is a date, and {shown} is not one such as 2024-01-31")
        return instant(clock.bound(value), kind, clock)
    raise ValueError(f"is of a kind ({kind}) that nothing compares with")


def instant(moment: datetime, kind: Kind, clock: Clock) -> E:
    """An instant as the constant that a column of ``kind`` (a date, timestamp or instant) compares with."""
    if kind == "instant":
        return cast(exp.Literal.string(by_clock(moment, UTC).isoformat(sep=" ")), "timestamptz")
    local = by_clock(moment, clock.zone).replace(tzinfo=None)
    if kind == "date":
        return cast(exp.Literal.string(local.date().isoformat()), "date")
    return cast(exp.Literal.string(local.isoformat(sep=" ")), "timestamp")


def on_wall_clock(value: E, kind: Kind, clock: Clock) -> E:
    """A time column on the wall clock of the project's zone."""
    return exp.AtTimeZone(this=value, zone=exp.Literal.string(clock.zone.key)) if kind == "instant" else value


def number(value: int | float, kind: Kind) -> E:
    """An exact decimal constant; a double where the column is one, or where the number is infinite."""
    if isinstance(value, float) and not math.isfinite(value):
        return cast(exp.Literal.string("Infinity" if value > 0 else "-Infinity"), "double")
    exact = (
        exp.Literal.number(format(Decimal(repr(value)), "f")) if value >= 0 else exp.Neg(this=number(-value, "decimal"))
    )
    return cast(exact, "double") if kind == "float" else exact


def mistake(operator: str, operand: Any, column: ColumnType, clock: Clock) -> str | None:
    """Why an operator and operand do not fit a column, as the end of a sentence that starts with its name."""
    declared = OPERATORS[operator]
    if column.kind not in declared.kinds:
        fitting = sorted(name for name, other in OPERATORS.items() if column.kind in other.kinds)
        return f"is {_a(column)}; {operator} does not apply to it (these do: {', '.join(fitting)})"
    try:
        declared.build(exp.column("x"), column, operand, clock)
    except ValueError as error:
        return str(error)
    return None


def apply(operator: str, column: E, type_: ColumnType, operand: Any, clock: Clock) -> E:
    """The SQL of ``column operator operand``: true, false, or NULL where the column is."""
    return OPERATORS[operator].build(column, type_, operand, clock)


def near(latitude: E, longitude: E, place: Near) -> E:
    """Whether a point lies within ``km`` of a place on a sphere (haversine); unknown where it is on no map."""

    def radians(value: E) -> E:
        return exp.func("RADIANS", value)

    def half_sine_squared(value: E) -> E:
        sine = exp.func("SIN", exp.Div(this=exp.paren(value), expression=exp.Literal.number(2), typed=False))
        return exp.Mul(this=sine, expression=sine.copy())

    here = [number(place.latitude, "float"), number(place.longitude, "float")]
    lat, lon = cast(latitude, "double"), cast(longitude, "double")
    across = exp.Mul(
        this=exp.Mul(this=exp.func("COS", radians(here[0].copy())), expression=exp.func("COS", radians(lat.copy()))),
        expression=half_sine_squared(exp.Sub(this=radians(lon.copy()), expression=radians(here[1].copy()))),
    )
    arc = exp.Add(
        this=half_sine_squared(exp.Sub(this=radians(lat.copy()), expression=radians(here[0].copy()))), expression=across
    )
    bounded = exp.Case(
        ifs=[exp.If(this=exp.GT(this=arc, expression=number(1, "float")), true=number(1, "float"))], default=arc.copy()
    )
    kilometres = exp.Mul(this=number(2 * _EARTH_KM, "float"), expression=exp.func("ASIN", exp.func("SQRT", bounded)))
    on_map = both(
        [
            _between(lat.copy(), number(-90, "float"), number(90, "float")),
            _between(lon.copy(), number(-180, "float"), number(180, "float")),
        ]
    )
    return exp.Case(ifs=[exp.If(this=on_map, true=exp.LTE(this=kilometres, expression=number(place.km, "float")))])


def _a(column: ColumnType) -> str:
    return f"{'an' if str(column)[0] in 'aeio' else 'a'} {column} column"


def _between(value: E, low: E, high: E) -> E:
    return both([exp.GTE(this=value, expression=low), exp.LTE(this=value.copy(), expression=high)])


def _compare(node: type[exp.Binary], column: E, type_: ColumnType, operand: Any, clock: Clock) -> E:
    return node(this=column, expression=literal(operand, type_.kind, clock))


def _one_of(column: E, type_: ColumnType, operand: Sequence[Any], clock: Clock) -> E:
    return exp.In(this=column, expressions=[literal(value, type_.kind, clock) for value in operand])


def _exists(column: E, _type: ColumnType, operand: bool, _clock: Clock) -> E:
    gone = missing(column)
    return opposite(gone) if operand else gone


def _range(column: E, type_: ColumnType, operand: Sequence[Any], clock: Clock) -> E:
    low, high = (literal(value, type_.kind, clock) for value in operand)
    return _between(column, low, high)


def _within(column: E, type_: ColumnType, operand: Window, clock: Clock) -> E:
    low, high = (instant(moment, type_.kind, clock) for moment in clock.bounds(operand))
    return _between(column, low, high)


def _text(make: Callable[[E, E], E], column: E, type_: ColumnType, operand: Any, clock: Clock) -> E:
    return make(column, literal(operand, type_.kind, clock))


def _has(join: Callable[[list[E]], E], column: E, type_: ColumnType, operand: Sequence[Any], clock: Clock) -> E:
    """Membership item by item, with a NULL in the list never a match: the one reading all backends share."""
    if type_.item is None or type_.item not in _SCALARS:
        raise ValueError("is a list of a kind that nothing compares with")
    hits: list[E] = [
        exp.Coalesce(
            this=exp.ArrayContains(this=column.copy(), expression=literal(value, type_.item, clock)),
            expressions=[exp.false()],
        )
        for value in operand
    ]
    return exp.Case(ifs=[exp.If(this=opposite(missing(column.copy())), true=join(hits))])


def _not(build: Callable[..., E]) -> Callable[..., E]:
    return lambda *arguments: opposite(build(*arguments))


def _near(*_: Any) -> E:
    raise ValueError("is one column; near takes two, as property: [latitude, longitude]")


_contains = partial(_text, lambda value, text: exp.Contains(this=value, expression=text))
_matches = partial(_text, lambda value, text: exp.RegexpLike(this=value, expression=text))

OPERATORS: Mapping[str, Operator] = {
    "equals": Operator(_SCALARS, partial(_compare, exp.EQ)),
    "not_equals": Operator(_SCALARS, partial(_compare, exp.NEQ)),
    "in": Operator(_SCALARS, _one_of),
    "not_in": Operator(_SCALARS, _not(_one_of)),
    "exists": Operator(_SCALARS | {"list", "other"}, _exists),
    "contains": Operator(_TEXT, _contains),
    "not_contains": Operator(_TEXT, _not(_contains)),
    "starts_with": Operator(_TEXT, partial(_text, lambda value, text: exp.StartsWith(this=value, expression=text))),
    "ends_with": Operator(_TEXT, partial(_text, lambda value, text: exp.EndsWith(this=value, expression=text))),
    "matches": Operator(_TEXT, _matches),
    "not_matches": Operator(_TEXT, _not(_matches)),
    "greater_than": Operator(NUMBERS | TIMES, partial(_compare, exp.GT)),
    "at_least": Operator(NUMBERS | TIMES, partial(_compare, exp.GTE)),
    "less_than": Operator(NUMBERS | TIMES, partial(_compare, exp.LT)),
    "at_most": Operator(NUMBERS | TIMES, partial(_compare, exp.LTE)),
    "between": Operator(NUMBERS | TIMES, _range),
    "before": Operator(TIMES, partial(_compare, exp.LT)),
    "after": Operator(TIMES, partial(_compare, exp.GT)),
    "within": Operator(TIMES, _within),
    "has_any": Operator(frozenset(("list",)), partial(_has, either)),
    "has_all": Operator(frozenset(("list",)), partial(_has, both)),
    "near": Operator(NUMBERS, _near),
}
"""Every operator of a ``property`` leaf, by its name in YAML."""
