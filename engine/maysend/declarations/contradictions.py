"""Audiences that can never have anyone, because two lines of the declarations cannot both be true.

Only what must hold for everybody is looked at: the conjuncts of a segment, those of the segments it names, and what a
campaign asks for beside. Two claims about one thing contradict where no value meets both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from ..documents import Document
from ..errors import Problem
from ..model import Campaign, Project
from ..where import (
    All,
    AnyOf,
    Bucket,
    Condition,
    Did,
    InGroups,
    InSegment,
    Not,
    OnChannel,
    Path,
    Property,
)

Value = tuple[str, Any]
"""A value beside the kind it compares with: only values of one kind are ever compared."""


@dataclass(frozen=True, slots=True)
class OneOf:
    values: frozenset[Value]


@dataclass(frozen=True, slots=True)
class NoneOf:
    values: frozenset[Value]


@dataclass(frozen=True, slots=True)
class Range:
    """Between two ends, None where it is open; ``inside`` says of each end whether it is in."""

    low: Value | None
    high: Value | None
    inside: tuple[bool, bool] = (True, True)


@dataclass(frozen=True, slots=True)
class Known:
    """There is a value, or with ``known`` false there is none."""

    known: bool


Domain = OneOf | NoneOf | Range | Known


@dataclass(frozen=True, slots=True)
class Claim:
    """What must hold of ``topic``, where it is said, and in which place of the declaration in question it comes in."""

    topic: tuple[str, Any]
    domain: Domain
    document: Document
    path: Path
    via: Path

    @property
    def place(self) -> str:
        return f"{self.document.file}:{self.document.line(self.path)}"


def contradictions(project: Project) -> Iterator[Problem]:
    """One problem for each segment and campaign that can never have anyone, naming the two lines that disagree."""
    claims = {
        name: list(_claims(project, segment.where, segment.document, None, (name,)))
        for name, segment in project.segments.items()
    }
    empty = {name: pair for name, said in claims.items() if (pair := _contradiction(said))}
    for name, pair in empty.items():
        segment = project.segments[name]
        if not empty.keys() & set(_named(segment.where)):
            yield segment.document.problem(pair[1].via, f"nobody can be in this segment: {_told(*pair)}")
    for campaign in project.campaigns.values():
        if not empty.keys() & set(campaign.include) and (never := _never(project, campaign, claims)):
            own = never[1].document is campaign.document
            via = never[1].via if own else ("audience", "include", 0)
            yield campaign.document.problem(via, f"nobody can be in this audience: {_told(*never)}")


def _named(condition: Condition) -> Iterator[str]:
    """The segments in which everybody must be."""
    for item in condition.items if isinstance(condition, All) else (condition,):
        if isinstance(item, InSegment):
            yield item.segment


def _told(first: Claim, second: Claim) -> str:
    kind, name = second.topic
    about = f'{kind} "{name}"' if isinstance(name, str) else "one condition"
    return f"{first.place} and {second.place} contradict each other on {about}"


def _never(project: Project, campaign: Campaign, claims: Mapping[str, list[Claim]]) -> tuple[Claim, Claim] | None:
    """Two claims that leave a campaign without anyone: of the first segment included, and only if none has anyone.

    ``claims`` are those of each segment.
    """
    asked = list(_asked(project, campaign))
    places: list[tuple[str, Path]] = [(name, ("audience", "include", at)) for at, name in enumerate(campaign.include)]
    included = [
        [_said(("segment", name), True, campaign.document, place, place), *claims.get(name, ())]
        for name, place in places
    ]
    pairs = [_contradiction([*said, *asked]) for said in included or [[]]]
    return pairs[0] if all(pairs) else None


def _asked(project: Project, campaign: Campaign) -> Iterator[Claim]:
    """What a campaign asks of everyone, beside its segments."""
    document, groups = campaign.document, campaign.groups
    yield from _on_channel(OnChannel(campaign.channel, "reachable"), document, ("channel",), ("channel",))
    if not campaign.ignore_unsubscribed:
        if groups is None or groups.kind == "none":
            yield from _on_channel(OnChannel(campaign.channel, "subscribed"), document, ("channel",), ("channel",))
        if groups and (groups.kind in ("all", "none") or len(groups.groups) in (1, groups.count)):
            place: Path = ("subscription_groups", groups.kind, *(("of",) if groups.kind == "at_least" else ()))
            for index, name in enumerate(groups.groups):
                at = (*place, index)
                yield _said(("subscription group", name), groups.kind != "none", document, at, at)
    for index, name in enumerate(campaign.exclude):
        place = ("audience", "exclude", index)
        yield from _claims(project, Not(InSegment(name)), document, place, ())


def _said(topic: tuple[str, Any], holds: bool, document: Document, path: Path, via: Path) -> Claim:
    return Claim(topic, OneOf(frozenset({("truth", holds)})), document, path, via)


def _claims(
    project: Project, condition: Condition, document: Document, via: Path | None, inside: tuple[str, ...]
) -> Iterator[Claim]:
    """What must hold where ``condition`` is true. ``inside`` are the segments around it, against circles."""
    path = condition.at or via or ()
    place = path if via is None else via
    match condition:
        case All(items=items):
            for item in items:
                yield from _claims(project, item, document, via, inside)
            return
        case Not(item=Property() as leaf):
            if domain := _opposite(leaf):
                yield Claim(("property", leaf.column), domain, document, path, place)
        case Not(item=InSegment(segment=name)):
            yield _said(("segment", name), False, document, path, place)
        case Not(item=OnChannel() as leaf):
            yield from _on_channel(leaf, document, path, place, holds=False)
        case Not(item=Not(item=inner)):
            yield from _claims(project, inner, document, via, inside)
            return
        case Not() | AnyOf():
            pass
        case Property(column=columns):
            for column in columns if isinstance(columns, tuple) else (columns,):
                yield Claim(("property", column), _domain(condition), document, path, place)
        case InSegment(segment=name):
            yield _said(("segment", name), True, document, path, place)
            if name in project.segments and name not in inside:
                segment = project.segments[name]
                yield from _claims(project, segment.where, segment.document, place, (*inside, name))
            return
        case OnChannel():
            yield from _on_channel(condition, document, path, place)
        case InGroups(groups=groups, match=match, excluded=excluded):
            names = [group.name for group in project.active_groups()] if groups is None else list(groups)
            if len(names) == 1 or match == ("any" if excluded else "all"):
                for name in names:
                    yield _said(("subscription group", name), not excluded, document, path, place)
        case Did(event=event, negated=negated, including_never=never):
            plain = replace(condition, negated=False, at=())
            if (not negated and not never) or (negated and plain == Did(event)):
                yield _said(("event", event), not negated, document, path, place)
        case Bucket(low=low, high=high, salt=salt):
            yield Claim(("bucket", salt), Range(("number", low), ("number", high)), document, path, place)
    same = condition.item if isinstance(condition, Not) else condition
    yield _said(("condition", same), not isinstance(condition, Not), document, path, place)


def _on_channel(leaf: OnChannel, document: Document, path: Path, via: Path, *, holds: bool = True) -> Iterator[Claim]:
    if leaf.state == "reachable":
        yield _said(("address on channel", leaf.channel), holds, document, path, via)
    else:
        yield _said(("channel", leaf.channel), (leaf.state == "subscribed") == holds, document, path, via)


def _domain(leaf: Property) -> Domain:
    """The values that pass a leaf, as far as they are known without data: at the least, that there is one."""
    operand: Any = leaf.operand
    match leaf.operator:
        case "exists":
            return Known(operand)
        case "equals":
            return OneOf(frozenset({_value(operand)}))
        case "in":
            return OneOf(frozenset(map(_value, operand)))
        case "not_equals":
            return NoneOf(frozenset({_value(operand)}))
        case "not_in":
            return NoneOf(frozenset(map(_value, operand)))
        case "at_least":
            return Range(_value(operand), None)
        case "greater_than" | "after":
            return Range(_value(operand), None, (False, True))
        case "at_most":
            return Range(None, _value(operand))
        case "less_than" | "before":
            return Range(None, _value(operand), (True, False))
        case "between":
            return Range(_value(operand[0]), _value(operand[1]))
    return Known(True)


def _opposite(leaf: Property) -> Domain | None:
    match domain := _domain(leaf):
        case OneOf(values=values):
            return NoneOf(values)
        case NoneOf(values=values):
            return OneOf(values)
        case Known(known=known) if leaf.operator == "exists":
            return Known(not known)
    return Known(True) if domain else None


def _value(value: Any) -> Value:
    if isinstance(value, bool):
        return "truth", value
    if isinstance(value, int | float):
        return "number", value
    return _text(value)


@cache
def _text(value: str) -> Value:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return "text", value
    return ("time", moment) if moment.tzinfo is None else ("instant", moment)


def _contradiction(claims: Sequence[Claim]) -> tuple[Claim, Claim] | None:
    """The first two claims that no value meets, in the order in which they are said."""
    by_topic: dict[tuple[str, Any], list[Claim]] = {}
    for claim in claims:
        others = by_topic.setdefault(claim.topic, [])
        for other in others:
            if _disjoint(other.domain, claim.domain) or _disjoint(claim.domain, other.domain):
                return other, claim
        others.append(claim)
    return None


def _disjoint(first: Domain, second: Domain) -> bool:
    """Whether no value can be in both; asked in either order."""
    match first, second:
        case Known(known=False), Known(known=known):
            return known
        case Known(known=False), _:
            return True
        case OneOf(values=values), OneOf(values=others):
            return _comparable(values | others) and not values & others
        case OneOf(values=values), NoneOf(values=others):
            return values <= others
        case OneOf(values=values), Range():
            ends = {end for end in (second.low, second.high) if end}
            return _comparable(values | ends) and not any(_inside(value, second) for value in values)
        case Range(high=high), Range(low=low) if high and low and _comparable({high, low}):
            return bool(high[1] < low[1]) or (high[1] == low[1] and not (first.inside[1] and second.inside[0]))
    return False


def _comparable(values: frozenset[Value] | set[Value]) -> bool:
    return len({kind for kind, _ in values}) == 1


def _inside(value: Value, range_: Range) -> bool:
    above = not range_.low or value[1] > range_.low[1] or (range_.inside[0] and value[1] == range_.low[1])
    return bool(
        above and (not range_.high or value[1] < range_.high[1] or (range_.inside[1] and value[1] == range_.high[1]))
    )
