"""Operators of a property: a value, an operand, and True, False or None (unknown, where the value is missing)."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from .times import Clock
from .world import Plain, Row

TIMES = ("date", "timestamp", "instant")
EARTH_KM = 6371.0088

BESIDES = ("property", "of", "event", "within", "where", "percent")


def operation(leaf: Plain, besides: tuple[str, ...] = BESIDES) -> tuple[str, Any]:
    """The operator in a mapping and its operand."""
    ((operator, operand),) = [(name, value) for name, value in leaf.items() if name not in besides]
    return operator, operand


def passes(value: Any, kind: str, operator: str, operand: Any, clock: Clock) -> bool | None:
    """What the operator says of a value of a column of this kind."""
    if operator == "exists":
        return bool((value is not None) == operand)
    if value is None:
        return None
    if operator.startswith("not_"):
        return not passes(value, kind, operator.removeprefix("not_"), operand, clock)
    match operator:
        case "within":
            low, high = clock.window(operand, kind)
            return bool(low <= value <= high)
        case "has_any":
            return any(_has(value, wanted, kind, clock) for wanted in operand)
        case "has_all":
            return all(_has(value, wanted, kind, clock) for wanted in operand)
        case "matches":
            return re.search(operand, value, re.ASCII) is not None
        case "contains":
            return bool(operand in value)
        case "starts_with":
            return bool(value.startswith(operand))
        case "ends_with":
            return bool(value.endswith(operand))
        case "in":
            return any(value == typed(each, kind, clock) for each in operand)
        case "between":
            low, high = (typed(each, kind, clock) for each in operand)
            return bool(low <= value <= high)
        case _:
            return compare(value, operator, typed(operand, kind, clock))


def compare(value: Any, operator: str, bound: Any) -> bool:
    """One value against another of its kind."""
    match operator:
        case "equals":
            return bool(value == bound)
        case "greater_than" | "after":
            return bool(value > bound)
        case "less_than" | "before":
            return bool(value < bound)
        case "at_least":
            return bool(value >= bound)
        case "at_most":
            return bool(value <= bound)
    raise ValueError(f"{operator} is no operator")


def typed(operand: Any, kind: str, clock: Clock) -> Any:
    """An operand as a value of the column's kind: exact beside integers and decimals, a double beside doubles."""
    if kind in TIMES:
        return clock.literal(operand, kind)
    if kind == "number":
        return float(operand)
    if kind in ("integer", "decimal"):
        return Decimal(str(operand))
    return operand


def near(row: Row, columns: list[str], place: Plain) -> bool | None:
    """Whether a point lies within so many kilometres of a place, on a sphere; unknown where it is on no map."""
    latitude, longitude = (row[column] for column in columns)
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    lat, lon, here_lat, here_lon = (math.radians(float(each)) for each in (latitude, longitude, *place["of"]))
    haversine = math.sin((lat - here_lat) / 2) ** 2
    haversine += math.cos(lat) * math.cos(here_lat) * math.sin((lon - here_lon) / 2) ** 2
    return bool(2 * EARTH_KM * math.asin(math.sqrt(min(haversine, 1.0))) <= place["km"])


def _has(items: list[Any], wanted: Any, kind: str, clock: Clock) -> bool:
    """Whether a list holds a value; a missing item is never it."""
    item_kind = kind.removeprefix("list of ")
    return any(item is not None and item == typed(wanted, item_kind, clock) for item in items)
