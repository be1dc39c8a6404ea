"""A ``where`` as a tree: the conditions of spec 3, before anything knows about tables or SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Path = tuple[str | int, ...]
Scalar = str | int | float | bool


def _place() -> Any:
    """Where a node stands in its document; two nodes that say the same are equal wherever they stand."""
    return field(default=(), compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class All:
    items: tuple[Condition, ...]
    at: Path = _place()


@dataclass(frozen=True, slots=True)
class AnyOf:
    items: tuple[Condition, ...]
    at: Path = _place()


@dataclass(frozen=True, slots=True)
class Not:
    item: Condition
    at: Path = _place()


@dataclass(frozen=True, slots=True)
class Duration:
    """A calendar or clock length such as ``90 days``."""

    number: int
    unit: Literal["minute", "hour", "day", "week", "month", "year"]

    def __str__(self) -> str:
        return f"{self.number} {self.unit}{'' if self.number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time seen from as-of: exactly one of ``last``, ``next``, ``between`` (both ends in)."""

    last: Duration | None = None
    next: Duration | None = None
    between: tuple[str, str] | None = None

    def __str__(self) -> str:
        if self.between:
            return f"between {self.between[0]} and {self.between[1]}"
        return f"in the last {self.last}" if self.last else f"in the next {self.next}"


@dataclass(frozen=True, slots=True)
class Near:
    latitude: float
    longitude: float
    km: float


Operand = Scalar | Window | Near | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Property:
    """One operator on one column (two for ``near``): of the profile, or of an event inside ``Did.where``."""

    column: str | tuple[str, str]
    operator: str
    operand: Operand
    at: Path = _place()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number against a bound or a range: ``{at_least: 3}``."""

    operator: str
    operand: int | float | tuple[int | float, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number per profile over the events that a ``did`` keeps."""

    kind: Literal["count", "sum", "average"]
    of: str | None
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class LastTime:
    """The time of the latest event kept must pass this operator."""

    operator: str
    operand: Operand


@dataclass(frozen=True, slots=True)
class Did:
    """What a profile did, or with ``negated`` did not do."""

    event: str
    negated: bool = False
    within: Window | None = None
    where: Condition | None = None
    measures: tuple[Measure, ...] = ()
    first_time: bool = False
    last_time: LastTime | None = None
    time_of_day: tuple[str, str] | None = None
    day_of_week: tuple[str, ...] = ()
    including_never: bool = False
    at: Path = _place()


@dataclass(frozen=True, slots=True)
class Interest:
    """The most frequent value of an event's property, or with ``percent`` a share of its events."""

    event: str
    column: str
    operator: str
    operand: Operand
    percent: float | None = None
    within: Window | None = None
    where: Condition | None = None
    at: Path = _place()


@dataclass(frozen=True, slots=True)
class InGroups:
    """Membership of subscription groups; ``groups`` is None for all active ones."""

    groups: tuple[str, ...] | None
    match: Literal["any", "all"] = "any"
    excluded: bool = False
    at: Path = _place()


@dataclass(frozen=True, slots=True)
class OnChannel:
    channel: str
    state: Literal["subscribed", "unsubscribed", "reachable"]
    at: Path = _place()


@dataclass(frozen=True, slots=True)
class InSegment:
    segment: str
    at: Path = _place()


@dataclass(frozen=True, slots=True)
class InList:
    """Membership of a file of profile keys (``channel`` None) or of addresses on a channel, in column ``column``."""

    source: str
    column: str
    channel: str | None = None
    at: Path = _place()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stable number from 0 to 999 drawn from key and salt; both ends in."""

    low: int
    high: int
    salt: str = "bucket"
    at: Path = _place()


Leaf = Property | Did | Interest | InGroups | OnChannel | InSegment | InList | Bucket
Condition = All | AnyOf | Not | Leaf

MEASURES: tuple[Literal["count", "sum", "average"], ...] = ("count", "sum", "average")
_DURATION = re.compile(r"([0-9]{1,9}) +(minute|hour|day|week|month|year)s?")


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Every leaf in reading order, not following ``segment`` into other declarations nor ``where`` into events."""
    match condition:
        case All(items=items) | AnyOf(items=items):
            for item in items:
                yield from leaves(item)
        case Not(item=item):
            yield from leaves(item)
        case _:
            yield condition


def duration(text: str) -> Duration:
    """Read ``30 days``; the JSON Schema has already said it has this form.

    Raises ValueError where it has not.
    """
    if not (found := _DURATION.fullmatch(text)):
        raise ValueError(f'"{text}" is not a length of time such as "30 days"')
    return Duration(int(found[1]), found[2])  # type: ignore[arg-type] # the pattern's units are its Literal


def parse(data: Mapping[str, Any], at: Path) -> Condition:
    """A ``where`` that has passed its JSON Schema, as a tree; ``at`` is its place in the document."""
    for key, read in _READERS.items():
        if key in data:
            return read(data, at)
    raise AssertionError(f"no condition in {sorted(data)}")


def window(data: Mapping[str, Any]) -> Window:
    if "between" in data:
        first, second = data["between"]
        return Window(between=(str(first), str(second)))
    if "last" in data:
        return Window(last=duration(data["last"]))
    return Window(next=duration(data["next"]))


def _several(key: str) -> Callable[[Mapping[str, Any], Path], tuple[Condition, ...]]:
    def read(data: Mapping[str, Any], at: Path) -> tuple[Condition, ...]:
        return tuple(parse(item, (*at, key, index)) for index, item in enumerate(data[key]))

    return read


def _operand(name: str, data: Any) -> Operand:
    match name:
        case "within":
            return window(data)
        case "near":
            return Near(data["of"][0], data["of"][1], data["km"])
    return tuple(data) if isinstance(data, list) else data


def _operation(data: Mapping[str, Any], besides: Sequence[str]) -> tuple[str, Operand]:
    """The one operator in a leaf, next to the keys in ``besides``."""
    ((name, operand),) = ((key, value) for key, value in data.items() if key not in besides)
    return name, _operand(name, operand)


def _property(data: Mapping[str, Any], at: Path) -> Property:
    column = data["property"]
    operator, operand = _operation(data, ("property",))
    return Property(tuple(column) if isinstance(column, list) else column, operator, operand, at=at)


def _comparison(data: Mapping[str, Any]) -> Comparison:
    operator, operand = _operation(data, ("of",))
    return Comparison(operator, operand)  # type: ignore[arg-type] # the schema has seen to it


def _filters(data: Mapping[str, Any], at: Path) -> dict[str, Any]:
    return {
        "within": window(data["within"]) if "within" in data else None,
        "where": parse(data["where"], (*at, "where")) if "where" in data else None,
    }


def _did(data: Mapping[str, Any], at: Path) -> Did:
    negated = "did_not" in data
    last = data.get("last_time")
    return Did(
        event=data["did_not" if negated else "did"],
        negated=negated,
        measures=tuple(
            Measure(kind, data[kind].get("of"), _comparison(data[kind])) for kind in MEASURES if kind in data
        ),
        first_time=data.get("first_time", False),
        last_time=LastTime(*_operation(last, ())) if last else None,
        time_of_day=tuple(data["time_of_day"]["between"]) if "time_of_day" in data else None,
        day_of_week=tuple(data.get("day_of_week", ())),
        including_never=data.get("including_never", False),
        at=at,
        **_filters(data, at),
    )


def _interest(data: Mapping[str, Any], at: Path) -> Interest:
    key = "share" if "share" in data else "most_often"
    inner = data[key]
    operator, operand = _operation(inner, ("event", "property", "within", "where", "percent"))
    return Interest(
        event=inner["event"],
        column=inner["property"],
        operator=operator,
        operand=operand,
        percent=inner["percent"] if key == "share" else None,
        at=at,
        **_filters(inner, (*at, key)),
    )


def _in_groups(data: Mapping[str, Any], at: Path) -> InGroups:
    inner = data["subscription_groups"]
    excluded = "exclude" in inner
    groups = inner["exclude" if excluded else "include"]
    return InGroups(None if groups == "all" else tuple(groups), inner.get("match", "any"), excluded, at=at)


def _in_list(data: Mapping[str, Any], at: Path) -> InList:
    inner = data["in_list"]
    return InList(inner["source"], inner["column"], inner.get("channel"), at=at)


def _bucket(data: Mapping[str, Any], at: Path) -> Bucket:
    inner = data["bucket"]
    low, high = inner["between"]
    return Bucket(low, high, inner.get("salt", "bucket"), at=at)


_READERS: dict[str, Callable[[Mapping[str, Any], Path], Condition]] = {
    "all": lambda data, at: All(_several("all")(data, at), at=at),
    "any": lambda data, at: AnyOf(_several("any")(data, at), at=at),
    "not": lambda data, at: Not(parse(data["not"], (*at, "not")), at=at),
    "property": _property,
    "did": _did,
    "did_not": _did,
    "most_often": _interest,
    "share": _interest,
    "subscription_groups": _in_groups,
    "subscribed": lambda data, at: OnChannel(data["subscribed"], "subscribed", at=at),
    "unsubscribed": lambda data, at: OnChannel(data["unsubscribed"], "unsubscribed", at=at),
    "reachable": lambda data, at: OnChannel(data["reachable"], "reachable", at=at),
    "segment": lambda data, at: InSegment(data["segment"], at=at),
    "in_list": _in_list,
    "bucket": _bucket,
}
