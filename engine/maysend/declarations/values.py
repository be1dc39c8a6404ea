"""Values of the right shape that cannot be read all the same, or that nothing can ever equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import re2

from ..documents import Document
from ..errors import Problem
from ..where import Bucket, Condition, Did, Interest, Near, Path, Property, Window, leaves

_QUIET = re2.Options()
_QUIET.log_errors = False


def unreadable(document: Document, condition: Condition, *, event: bool = False) -> Iterator[Problem]:
    """Every value in ``condition`` that cannot be read; with ``event``, also what cannot be asked of an event."""
    for leaf in leaves(condition):
        match leaf:
            case Property(operator=operator, operand=operand, at=at):
                yield from _columns(document, leaf)
                yield from _operand(document, (*at, operator), operator, operand)
            case _ if event:
                yield document.problem(leaf.at, "an event's where holds property, all, any and not, and nothing else")
            case Did():
                yield from _did(document, leaf)
            case Interest(operator=operator, operand=operand, percent=percent, at=at):
                place = (*at, "most_often" if percent is None else "share")
                yield from _operand(document, (*place, operator), operator, operand)
                yield from _kept(document, place, leaf)
            case Bucket(low=low, high=high, at=at):
                yield from _ordered(document, (*at, "bucket", "between"), (low, high))


def _columns(document: Document, leaf: Property) -> Iterator[Problem]:
    two = isinstance(leaf.column, tuple)
    if two != isinstance(leaf.operand, Near):
        message = f'"{leaf.operator}" takes one column' if two else '"near" takes two columns: [latitude, longitude]'
        yield document.problem((*leaf.at, "property"), message)


def _operand(document: Document, place: Path, operator: str, operand: Any) -> Iterator[Problem]:
    match operand:
        case Window():
            yield from _window(document, place, operand)
        case Near(latitude=latitude, longitude=longitude):
            for index, (value, most) in enumerate(((latitude, 90), (longitude, 180))):
                if not -most <= value <= most:
                    name = ("latitude", "longitude")[index]
                    yield document.problem(
                        (*place, "of", index), f"{value} is no {name}: those go from -{most} to {most}"
                    )
        case str() if operator in ("matches", "not_matches"):
            try:
                re2.compile(operand, _QUIET)
            except re2.error as error:
                reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error
                yield document.problem(place, f'"{operand}" is not a regular expression that RE2 reads: {reason}')
        case str() if operator in ("greater_than", "at_least", "less_than", "at_most", "before", "after"):
            yield from _moment(document, place, operand)
        case tuple() if operator == "between":
            yield from _ordered(document, place, operand)


def _did(document: Document, leaf: Did) -> Iterator[Problem]:
    yield from _kept(document, leaf.at, leaf)
    for measure in leaf.measures:
        if measure.comparison.operator == "between" and isinstance(measure.comparison.operand, tuple):
            yield from _ordered(document, (*leaf.at, measure.kind, "between"), measure.comparison.operand)
    if leaf.last_time:
        place = (*leaf.at, "last_time", leaf.last_time.operator)
        yield from _operand(document, place, leaf.last_time.operator, leaf.last_time.operand)
    if leaf.including_never and not leaf.measures:
        message = '"including_never" says how those count who never did it; it needs count, sum or average'
        yield document.problem((*leaf.at, "including_never"), message, key=True)


def _kept(document: Document, place: Path, leaf: Did | Interest) -> Iterator[Problem]:
    """The problems of what says which events count."""
    if leaf.within:
        yield from _window(document, (*place, "within"), leaf.within)
    if leaf.where:
        yield from unreadable(document, leaf.where, event=True)


def _window(document: Document, place: Path, window: Window) -> Iterator[Problem]:
    if window.between:
        yield from _ordered(document, (*place, "between"), window.between)


def _ordered(document: Document, place: Path, ends: Sequence[Any]) -> Iterator[Problem]:
    """A problem where an end of a range is no date, or where the range is empty."""
    if isinstance(ends[0], str) != isinstance(ends[1], str):
        yield document.problem(place, f"{ends[0]} and {ends[1]} are no range: one is a number, and the other a date")
        return
    first: Any
    last: Any
    first, last = ends
    if isinstance(first, str):
        if unread := [p for index, text in enumerate(ends) for p in _moment(document, (*place, index), text)]:
            yield from unread
            return
        first, last = datetime.fromisoformat(first), datetime.fromisoformat(last)
        if (first.tzinfo is None) != (last.tzinfo is None):
            return
    if first > last:
        yield document.problem(place, f"nothing lies between {ends[0]} and {ends[1]}; the smaller comes first")


def _moment(document: Document, place: Path, text: str) -> Iterator[Problem]:
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        yield document.problem(place, f'"{text}" is not in the calendar: {error}')
