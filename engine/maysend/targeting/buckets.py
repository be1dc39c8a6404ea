"""A value for every bucket that constants split a column into, so that a predicate can be tried on each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from sqlglot import exp

from ..columns import ColumnType, Kind
from ..trees import Type, cast

E = exp.Expr
_TYPES: dict[Kind, Type] = {"date": "date", "timestamp": "timestamp", "instant": "timestamptz"}
_PAST = {1: "10001-01-01", -1: "0000-01-01"}
"""Times past all that a condition can name, which databases have and Python has not."""
_ANY: dict[str, Any] = {
    "date": date(2000, 1, 1),
    "timestamp": datetime.fromisoformat("2000-01-01"),
    "instant": datetime.fromisoformat("2000-01-01T00:00:00+00:00"),
}


def python(constant: E, type_: ColumnType) -> Any:
    """A constant as a Python value that sorts as the column does."""
    if isinstance(constant, exp.Cast):
        text = constant.this
        match type_.kind:
            case "date":
                return date.fromisoformat(text.name)
            case "timestamp" | "instant":
                return datetime.fromisoformat(text.name)
        return python(text, type_) if not text.is_string else Decimal(text.name)
    if isinstance(constant, exp.Neg):
        return -python(constant.this, type_)
    if isinstance(constant, exp.Boolean):
        return constant.this
    return constant.name if constant.is_string else Decimal(constant.name)


def constant(value: Any, type_: ColumnType) -> E:
    """A value of ``python``, ``gaps`` or ``beyond`` as a constant."""
    if isinstance(value, date | str):
        text = exp.Literal.string(str(value))
        return cast(text, _TYPES[type_.kind]) if type_.kind in _TYPES else text
    if not value.is_finite():
        return cast(exp.Literal.string("Infinity" if value > 0 else "-Infinity"), "double")
    plain = exp.Literal.number(format(abs(value), "f"))
    signed: E = exp.Neg(this=plain) if value < 0 else plain
    return cast(signed, "double") if type_.kind == "float" else signed


def gaps(borders: list[tuple[Any, bool]], type_: ColumnType) -> Iterator[tuple[int, Any]]:
    """A value for each gap that can have one. A border is a cut, and whether the cut itself is below it."""
    if not borders:
        yield 0, beyond(None, type_)
        return
    ends: list[tuple[Any, bool] | None] = [None, *borders, None]
    for index, (low, high) in enumerate(pairwise(ends)):
        if high and high[1]:
            value = high[0]
        elif low and not low[1]:
            value = low[0]
        elif low and high:
            value = _between(low[0], high[0], type_)
        else:
            value = beyond(low[0], type_) if low else beyond(high[0], type_, -1) if high else None
        if value is not None:
            yield index, value


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
        else beyond(high if low.is_infinite() else low, type_, -1 if low.is_infinite() else 1)
    )


def beyond(cut: Any, type_: ColumnType, direction: int = 1) -> Any:
    """A value past a cut, or None where there is none; past the calendar that Python has, a time as text."""
    if cut is None:
        return _ANY.get(type_.kind, Decimal(0))
    if isinstance(cut, date):
        step = timedelta(microseconds=1) if isinstance(cut, datetime) else timedelta(days=1)
        try:
            return cut + direction * step
        except OverflowError:
            return _PAST[direction]
    if not cut.is_finite():
        return None if (cut > 0) == (direction > 0) else Decimal(0)
    return cut + direction * (abs(cut) + 1)
