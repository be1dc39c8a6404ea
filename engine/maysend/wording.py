"""Conditions in plain words, with the values they saw."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlglot import exp

from .conditions import Aggregate, Kept, Scope
from .where import Bucket, Did, InGroups, InList, InSegment, Interest, Leaf, Measure, Near, OnChannel, Property, Window

_PHRASES = {
    "equals": "{}",
    "not_equals": "anything but {}",
    "in": "in {}",
    "not_in": "outside {}",
    "contains": "text that contains {}",
    "not_contains": "text without {}",
    "starts_with": "text that starts with {}",
    "ends_with": "text that ends with {}",
    "matches": "text that matches {}",
    "not_matches": "text that does not match {}",
    "greater_than": "greater than {}",
    "at_least": "at least {}",
    "less_than": "less than {}",
    "at_most": "at most {}",
    "before": "before {}",
    "after": "after {}",
    "has_any": "a list with any of {}",
    "has_all": "a list with all of {}",
}


def show(value: Any) -> str:
    """A value as people read it: text in quotes, dates by day and month, lists in brackets."""
    match value:
        case None:
            return "missing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{value}'"
        case datetime():
            return day(value) + f" {value:%H:%M}"
        case date():
            return day(value)
        case Decimal() | float():
            return f"{value.normalize():f}" if isinstance(value, Decimal) and value.is_finite() else f"{value:g}"
        case list() | tuple():
            return "[" + ", ".join(show(item) for item in value) + "]"
    return str(value)


def day(moment: date) -> str:
    """3 May 1998"""
    return f"{moment.day} {moment:%B %Y}"


def phrase(operator: str, operand: Any) -> str:
    """An operator and its operand, as what a value should be."""
    match operand:
        case Window():
            return str(operand)
        case Near():
            return f"within {operand.km:g} km of {operand.latitude:g}, {operand.longitude:g}"
    if operator == "exists":
        return "there" if operand else "missing"
    if operator == "between":
        return f"between {show(operand[0])} and {show(operand[1])}"
    words = (
        ", ".join(item if isinstance(item, str) else show(item) for item in operand)
        if isinstance(operand, tuple)
        else show(operand)
    )
    return _PHRASES[operator].format(words)


def seen(leaf: Leaf, scope: Scope) -> list[exp.Expr]:
    """The features whose values ``describe`` needs, in its order."""
    match leaf:
        case Property(column=str(name)):
            return [scope.column(name)[0]]
        case Property(column=(latitude, longitude)):
            return [scope.column(latitude)[0], scope.column(longitude)[0]]
        case Did():
            kept = Kept(
                leaf.event, leaf.within, (leaf.where,) if leaf.where else (), leaf.time_of_day, leaf.day_of_week
            )
            wanted = [Aggregate(kept, "count")]
            wanted += [Aggregate(kept, "sum", measure.of) for measure in leaf.measures if measure.of]
            return [scope.aggregate(aggregate)[0] for aggregate in wanted]
        case Interest():
            kept = Kept(leaf.event, leaf.within, (leaf.where,) if leaf.where else ())
            if leaf.percent is None:
                return [scope.aggregate(Aggregate(kept, "most_often", leaf.column))[0]]
            hit = Property(leaf.column, leaf.operator, leaf.operand)
            hits = Aggregate(Kept(leaf.event, leaf.within, (*kept.where, hit)), "count")
            return [scope.aggregate(aggregate)[0] for aggregate in (hits, Aggregate(kept, "count"))]
        case InGroups():
            names = scope.active_groups() if leaf.groups is None else leaf.groups
            return [scope.in_group(name) for name in names]
        case Bucket(salt=salt):
            return [scope.bucket(salt)]
    return []


def describe(leaf: Leaf, truth: bool | None, values: list[Any], scope: Scope) -> str:
    """One leaf in words: what was asked, and what was seen; ``truth`` is None where the property is missing."""
    match leaf:
        case Property(column=(latitude, longitude)):
            place = f"{latitude}, {longitude} is {show(values[0])}, {show(values[1])}"
            return f"{place}{': ' if truth else ', not '}{phrase(leaf.operator, leaf.operand)}"
        case Property(column=name):
            if leaf.operator == "exists" or values[0] is None:
                return f"{name} is {'missing' if values[0] is None else 'there'}"
            wanted = phrase(leaf.operator, leaf.operand)
            said = f"{name} is {show(values[0])}"
            return said if truth and leaf.operator == "equals" else f"{said}{': ' if truth else ', not '}{wanted}"
        case Did():
            return _did(leaf, bool(truth), values)
        case Interest(percent=None):
            wanted = phrase(leaf.operator, leaf.operand)
            said = f"{leaf.column} of {leaf.event} is most often {show(values[0])}"
            return f"{said}{': ' if truth else ', not '}{wanted}"
        case Interest(percent=percent):
            wanted = phrase(leaf.operator, leaf.operand)
            said = f"{values[0]} of {values[1]} {leaf.event} have {leaf.column} {wanted}"
            return f"{said}, {'' if truth else 'not '}at least {percent:g} %"
        case InGroups():
            names = scope.active_groups() if leaf.groups is None else leaf.groups
            held = [name for name, value in zip(names, values, strict=True) if value]
            asked = f"{leaf.match} of {', '.join(names)}"
            return (
                f"subscribed to {', '.join(held) or 'none'}; {'must not be' if leaf.excluded else 'asked for'} {asked}"
            )
        case OnChannel(channel=channel, state="reachable"):
            return f"{'has' if truth else 'has no'} valid address on {channel}"
        case OnChannel(channel=channel, state=state):
            other = {"subscribed": "unsubscribed", "unsubscribed": "subscribed"}
            return f"is {state if truth else other[state]} on {channel}"
        case InSegment(segment=name):
            return f"{'in' if truth else 'not in'} segment {name}"
        case InList(source=source):
            return f"{'in' if truth else 'not in'} {source}"
        case Bucket(low=low, high=high):
            return f"bucket is {values[0]}{': ' if truth else ', not '}between {low} and {high}"


def _did(leaf: Did, truth: bool, values: list[Any]) -> str:
    when = f" {leaf.within}" if leaf.within else ""
    also = " with these properties" if leaf.where or leaf.time_of_day or leaf.day_of_week else ""
    count = "never" if not values[0] else "once" if values[0] == 1 else f"{values[0]} times"
    said = f"did {leaf.event}{also} {count}{when}"
    sums = iter(values[1:])
    for measure in leaf.measures:
        said += f", {_measured(measure, values[0], sums)}"
    if leaf.first_time:
        said += ", asked for the first time ever"
    if leaf.last_time:
        said += f", asked for the last time {phrase(leaf.last_time.operator, leaf.last_time.operand)}"
    return said if truth or leaf.measures else f"{said}; asked for {'never' if leaf.negated else 'at least once'}"


def _measured(measure: Measure, count: int, sums: Any) -> str:
    wanted = phrase(measure.comparison.operator, measure.comparison.operand)
    if measure.kind == "count":
        return f"asked for {wanted}"
    total = next(sums)
    value = total if measure.kind == "sum" else float(total) / count if count else None
    return f"{measure.kind} of {measure.of} is {show(value)}, asked for {wanted}"
