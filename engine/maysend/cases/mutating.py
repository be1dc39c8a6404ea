"""Declarations changed on purpose, one place at a time: a change that no case notices is a condition nobody tests.

All mutations are decided in the same plans as campaigns of as many projects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, Literal

from ..documents import Document
from ..errors import Problem
from ..model import Campaign, GroupClause, Project
from ..where import (
    All,
    AnyOf,
    Condition,
    Did,
    Duration,
    InGroups,
    InSegment,
    Interest,
    Near,
    Not,
    Path,
    Property,
    Window,
    leaves,
)
from .deciding import Question, asked, decided, differences
from .reading import Case
from .worlds import Settings

_STRICT = {"at_least": "greater_than", "greater_than": "at_least", "at_most": "less_than", "less_than": "at_most"}
_STRICT |= {"before": "at_most", "after": "at_least"}
_OPTIONAL = ("within", "where", "time_of_day", "day_of_week", "last_time", "first_time", "including_never")


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change at a place. ``project`` is the declarations with it; ``touches`` are the campaigns and segments
    (marked by ``True``) that can be decided otherwise by it."""

    place: Problem
    project: Project
    touches: frozenset[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Mutations:
    """How many mutations there were of what cases look at, those that no case noticed, and the campaigns and segments
    that no case looks at, by file."""

    total: int
    survivors: Sequence[Problem]
    untested: Sequence[str]

    @property
    def noticed(self) -> int:
        return self.total - len(self.survivors)

    @property
    def percent(self) -> float:
        """How many of a hundred were noticed."""
        return 100 * self.noticed / self.total if self.total else 100

    def as_json(self) -> dict[str, Any]:
        survivors = [
            {"file": one.file, "line": one.line, "column": one.column, "mutation": one.message}
            for one in self.survivors
        ]
        return {"total": self.total, "noticed": self.noticed, "survivors": survivors, "untested": list(self.untested)}


def mutate(settings: Settings, cases: Sequence[Case]) -> Mutations:
    """Decide the cases, all of which pass, by every mutation of the declarations they look at."""
    project = settings.project
    wanted = {(question.name, question.is_segment): question.cases for question in asked(project, cases)}
    tried = [one for one in mutations(project) if one.touches & wanted.keys()]
    questions, owners = [], {}
    for mutation in tried:
        for name, is_segment in sorted(mutation.touches & wanted.keys()):
            question = Question(mutation.project, name, is_segment, wanted[name, is_segment])
            questions.append(question)
            owners[id(question)] = mutation
    noticed = {
        id(owners[id(question)])
        for question, number, reasons in decided(settings, cases, questions)
        if any(True for _ in differences(question, cases[number], reasons))
    }
    survivors = sorted(one.place for one in tried if id(one) not in noticed)
    seen = {name for name, is_segment in _looked_at(project, wanted) if is_segment}
    untested = [one.document.file for one in project.campaigns.values() if (one.name, False) not in wanted]
    untested += [one.document.file for one in project.segments.values() if one.name not in seen]
    return Mutations(len(tried), survivors, untested)


def mutations(project: Project) -> Iterator[Mutation]:
    """Every mutation of a project's segments, campaigns and policies."""
    uses = {name: _segments_of(project, one.where) for name, one in project.segments.items()}
    for segment in project.segments.values():
        touches = {(name, True) for name, used in uses.items() if segment.name in (name, *used)}
        touches |= {
            (one.name, False)
            for one in project.campaigns.values()
            if any(segment.name in (name, *uses[name]) for name in (*one.include, *one.exclude))
        }
        for path, words, changed in _changed(segment.where, segment.document):
            segments = {**project.segments, segment.name: replace(segment, where=changed)}
            place = segment.document.problem(path, words)
            yield Mutation(place, replace(project, segments=segments), frozenset(touches))
    for campaign in project.campaigns.values():
        for path, words, other in _campaign(campaign):
            campaigns = {**project.campaigns, campaign.name: other}
            place = campaign.document.problem(path, words, key=path[-1] in campaign.document.data)
            yield Mutation(place, replace(project, campaigns=campaigns), frozenset({(campaign.name, False)}))
    yield from _policies(project)


def _segments_of(project: Project, condition: Condition) -> set[str]:
    """The segments a condition names, and those that they name."""
    names = {leaf.segment for leaf in leaves(condition) if isinstance(leaf, InSegment)}
    return names.union(*(_segments_of(project, project.segments[name].where) for name in names))


def _looked_at(project: Project, wanted: Mapping[tuple[str, bool], Any]) -> set[tuple[str, bool]]:
    """The segments that cases look at, by themselves or through what they look at."""
    found = {(name, True) for name, is_segment in wanted if is_segment}
    for name, is_segment in wanted:
        if not is_segment:
            found |= {(s, True) for s in (*project.campaigns[name].include, *project.campaigns[name].exclude)}
    for name, _ in list(found):
        found |= {(inner, True) for inner in _segments_of(project, project.segments[name].where)}
    return found


# Conditions -----------------------------------------------------------------------------------------------------------


Changed = Iterator[tuple[Path, str, Condition]]
"""Where a condition changes, how in words, and the whole with the change."""


def _changed(condition: Condition, document: Document) -> Changed:
    match condition:
        case All(items=items) | AnyOf(items=items):
            for index, item in enumerate(items):
                rest = (*items[:index], *items[index + 1 :])
                if rest:
                    yield item.at, f"without {_said(document, item.at)}", replace(condition, items=rest)
                for path, words, other in _changed(item, document):
                    yield path, words, replace(condition, items=(*items[:index], other, *items[index + 1 :]))
            return
        case Not(item=item):
            yield condition.at, f"without the not around {_said(document, item.at)}", item
            for path, words, other in _changed(item, document):
                if not words.startswith("the opposite"):
                    yield path, words, replace(condition, item=other)
            return
    yield condition.at, f"the opposite of {_said(document, condition.at)}", Not(condition, at=condition.at)
    match condition:
        case Property():
            for path, words, operator, operand in _thresholds(condition.operator, condition.operand, condition.at):
                yield path, words, replace(condition, operator=operator, operand=operand)
        case Did() | Interest():
            yield from _behaviour(condition, document)
        case InGroups(groups=tuple(names), match=match_) if len(names) > 1:
            key = "exclude" if condition.excluded else "include"
            for index, name in enumerate(names):
                path = (*condition.at, "subscription_groups", key, index)
                yield path, f"without {name}", replace(condition, groups=(*names[:index], *names[index + 1 :]))
            other_match: Literal["any", "all"] = "all" if match_ == "any" else "any"
            words = f"match: {other_match} in place of {match_}"
            yield (*condition.at, "subscription_groups", "match"), words, replace(condition, match=other_match)


def _behaviour(leaf: Did | Interest, document: Document) -> Changed:
    """What a condition on events asks beside the event: each left out, moved, or changed inside."""
    at = leaf.at
    if isinstance(leaf, Interest):
        at = (*at, "most_often" if leaf.percent is None else "share")
    plain = {one.name: one.default for one in fields(leaf) if one.default is not MISSING}
    for name in _OPTIONAL:
        if name in plain and getattr(leaf, name) != plain[name]:
            yield (*at, name), f"without {name}", replace(leaf, **{name: plain[name]})
    if leaf.within and leaf.within.last:
        for words, window in _windows(leaf.within):
            yield (*at, "within"), words, replace(leaf, within=window)
    if leaf.where:
        for path, words, other in _changed(leaf.where, document):
            yield path, words, replace(leaf, where=other)
    if isinstance(leaf, Interest):
        for path, words, operator, operand in _thresholds(leaf.operator, leaf.operand, at):
            yield path, words, replace(leaf, operator=operator, operand=operand)
        return
    for index, measure in enumerate(leaf.measures):
        others = (*leaf.measures[:index], *leaf.measures[index + 1 :])
        if others or not leaf.including_never:
            yield (*at, measure.kind), f"without {measure.kind}", replace(leaf, measures=others)
        compared = measure.comparison
        for path, words, operator, operand in _thresholds(compared.operator, compared.operand, (*at, measure.kind)):
            moved = replace(measure, comparison=replace(compared, operator=operator, operand=operand))
            yield path, words, replace(leaf, measures=(*leaf.measures[:index], moved, *leaf.measures[index + 1 :]))


def _thresholds(operator: str, operand: Any, at: Path) -> Iterator[tuple[Path, str, str, Any]]:
    """A comparison that draws its line just beside: with the bound out where it was in, a number one further."""
    path = (*at, operator)
    match operand:
        case Window(last=Duration()) | Window(next=Duration()):
            for words, window in _windows(operand):
                yield path, words, operator, window
        case Near(km=km):
            for further in (km * 2, km / 2):
                words = f"km: {further:g} in place of {km:g}"
                yield (*path, "km"), words, operator, replace(operand, km=further)
        case bool():
            return
        case int() | float() | str() if operator in _STRICT:
            yield path, f"{_STRICT[operator]} in place of {operator}", _STRICT[operator], operand
        case int() if operator in ("equals", "not_equals"):
            for further in (operand + 1, operand - 1):
                yield path, f"{operator} {further} in place of {operand}", operator, further
        case tuple() if operator in ("in", "not_in", "has_any", "has_all") and len(operand) > 1:
            for index, item in enumerate(operand):
                yield (*path, index), f"without {item}", operator, (*operand[:index], *operand[index + 1 :])


def _windows(window: Window) -> Iterator[tuple[str, Window]]:
    """A window one unit longer, and one shorter."""
    name, length = ("last", window.last) if window.last else ("next", window.next)
    assert length
    for number in (length.number + 1, length.number - 1):
        if number > 0:
            moved = replace(length, number=number)
            other = replace(window, last=moved) if window.last else replace(window, next=moved)
            yield f"{name}: {moved} in place of {length}", other


def _said(document: Document, path: Path) -> str:
    """A part of a declaration as one line of YAML."""
    text = _flow(document.at(path))
    return text if len(text) <= 100 else f"{text[:97]}..."


def _flow(data: Any) -> str:
    match data:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in data.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flow, data)) + "]"
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[data]
    return str(data)


# Campaigns and policies -----------------------------------------------------------------------------------------------


def _campaign(one: Campaign) -> Iterator[tuple[Path, str, Campaign]]:
    for key in ("include", "exclude"):
        names: tuple[str, ...] = getattr(one, key)
        for index, name in enumerate(names):
            rest = (*names[:index], *names[index + 1 :])
            words = f"without {name}" if rest or key == "exclude" else f"to everyone, not {name} alone"
            yield ("audience", key, index), words, _with(one, **{key: rest})
    if one.groups:
        yield from _clause(one, one.groups)
    for index, cap in enumerate(one.frequency_caps):
        caps = (*one.frequency_caps[:index], *one.frequency_caps[index + 1 :])
        words = f"without the cap of {cap.at_most} in {cap.days} days"
        yield ("frequency_caps", index), words, replace(one, frequency_caps=caps)
    for key in ("control_group", "target_cap", "ignore_unsubscribed"):
        if getattr(one, key):
            yield (key,), f"without {key}", _with(one, **{key: None})


def _clause(one: Campaign, clause: GroupClause) -> Iterator[tuple[Path, str, Campaign]]:
    at: Path = ("subscription_groups", clause.kind)
    if clause.kind == "at_least":
        for count in (clause.count + 1, clause.count - 1):
            if 0 < count <= len(clause.groups):
                words = f"at_least {count} in place of {clause.count}"
                yield (*at, "count"), words, replace(one, groups=replace(clause, count=count))
        at = (*at, "of")
    for index, name in enumerate(clause.groups):
        rest = (*clause.groups[:index], *clause.groups[index + 1 :])
        if len(rest) >= max(clause.count, 1):
            yield (*at, index), f"without {name}", replace(one, groups=replace(clause, groups=rest))
    yield ("subscription_groups",), "without subscription_groups", replace(one, groups=None)
    turned: Mapping[str, Any] = {"any": "all", "all": "any"}
    if clause.kind in turned and len(clause.groups) > 1:
        words = f"{turned[clause.kind]} in place of {clause.kind}"
        yield at, words, replace(one, groups=replace(clause, kind=turned[clause.kind]))


def _policies(project: Project) -> Iterator[Mutation]:
    """The project's own control groups and caps, each left out for everybody."""
    marketing = [one for one in project.campaigns.values() if one.purpose == "marketing"]
    for index, cap in enumerate(project.frequency_caps):
        caps = (*project.frequency_caps[:index], *project.frequency_caps[index + 1 :])
        words = f"without the cap of {cap.at_most} in {cap.days} days"
        place = project.document.problem(("frequency_caps", index), words)
        touched = frozenset((one.name, False) for one in marketing if one.channel == cap.channel)
        yield Mutation(place, replace(project, frequency_caps=caps), touched)
    if "system" in project.control_groups:
        groups = {name: group for name, group in project.control_groups.items() if name != "system"}
        place = project.document.problem(("control_groups", "system"), "without the system control group", key=True)
        everything = frozenset((name, False) for name in project.campaigns)
        yield Mutation(place, replace(project, control_groups=groups), everything)


def _with(one: Campaign, **changes: Any) -> Campaign:
    make: Callable[..., Campaign] = replace
    return make(one, **changes)
