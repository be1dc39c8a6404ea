"""What the declarations decide about cases, by the one evaluator, and where it is not what a case expects.

Cases of one as-of are decided side by side, in as few plans as their campaigns need. A case stands alone where it must:
where a target cap could bind, where it has lists, and where conditions could see what is beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlglot import exp

from .. import explain
from ..columns import LEDGER_EVENT
from ..declarations import assembly
from ..explain import Explanation
from ..model import Campaign, Project
from ..targeting.deciding import decisions
from ..targeting.plan import Asked
from ..targeting.reads import INCLUDED
from ..targeting.stages import REASONS
from ..trees import column
from ..where import Did, Interest, leaves
from .reading import Case, Expected
from .worlds import Settings, World, alone, together

OUT, IN = "not a member", "a member"
"""What a profile is to a segment."""

Reasons = Mapping[str, str]
"""Key to reason, ``included`` for those who are in."""


@dataclass(frozen=True, slots=True)
class Question:
    """A campaign (or a segment) as some declarations have it, and the numbers of the cases that expect something."""

    project: Project
    name: str
    is_segment: bool
    cases: tuple[int, ...]

    @property
    def campaign(self) -> Campaign:
        """What is decided: for a segment, a campaign to its members, of which only the first check is looked at."""
        if not self.is_segment:
            return self.project.campaigns[self.name]
        document = self.project.segments[self.name].document
        channel = next(iter(self.project.channels))
        data = {"channel": channel, "purpose": "transactional", "audience": {"include": [self.name]}}
        return assembly.campaign(self.name, replace(document, data=data))


@dataclass(frozen=True, slots=True)
class Difference:
    """One profile that is not decided as expected. ``expected`` and ``got`` are reasons, or words for them."""

    expectation: Expected
    profile: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Result:
    """One case and its differences; it passed where there are none."""

    case: Case
    differences: Sequence[Difference]


def run(settings: Settings, cases: Sequence[Case]) -> list[Result]:
    """Decide every case, by the declarations as they are."""
    questions = list(asked(settings.project, cases))
    found: list[list[Difference]] = [[] for _ in cases]
    for question, number, reasons in decided(settings, cases, questions):
        found[number] += differences(question, cases[number], reasons)
    return [Result(case, _ordered(some)) for case, some in zip(cases, found, strict=True)]


def asked(project: Project, cases: Sequence[Case]) -> Iterator[Question]:
    """Everything that any case expects something of."""
    wanted: dict[tuple[bool, str], list[int]] = {}
    for number, case in enumerate(cases):
        for expectation in case.expected:
            wanted.setdefault((expectation.is_segment, expectation.name), []).append(number)
    for (is_segment, name), numbers in wanted.items():
        yield Question(project, name, is_segment, tuple(numbers))


def differences(question: Question, case: Case, reasons: Reasons) -> Iterator[Difference]:
    """Where decisions are not what the case expects of this campaign or segment."""
    for expectation in case.expected:
        if (expectation.name, expectation.is_segment) != (question.name, question.is_segment):
            continue
        for key, got in reasons.items():
            expected = expectation.excluded.get(key)
            if expected is None and expectation.included is not None:
                expected = INCLUDED if key in expectation.included else None
                if expected is None and got == INCLUDED:
                    expected = "left out"
            if expectation.is_segment:
                expected, got = (IN if expected == INCLUDED else OUT), (OUT if got == REASONS[0] else IN)
                if expected != got:
                    yield Difference(expectation, key, expected, got)
            elif expected is not None and expected != got:
                yield Difference(expectation, key, expected, got)


def explained(settings: Settings, result: Result) -> dict[Difference, Explanation]:
    """For each difference of a case, every check of the campaign as ``maysend explain`` says it."""
    found = {}
    with alone(settings, result.case) as world:
        for difference in result.differences:
            expectation = difference.expectation
            question = Question(world.run.project, expectation.name, expectation.is_segment, ())
            (found[difference],) = explain.explain(world.run, [question.campaign], difference.profile)
    return found


def decided(
    settings: Settings, cases: Sequence[Case], questions: Sequence[Question]
) -> Iterator[tuple[Question, int, Reasons]]:
    """The reasons of every profile of every case that a question is about, case by case."""
    beside: dict[datetime, list[tuple[Question, set[int]]]] = {}
    by_itself: dict[int, list[Question]] = {}
    for question in questions:
        places: dict[datetime, set[int]] = {}
        cap, sees_others = question.campaign.target_cap, _reads_ledger(question.project)
        for number in question.cases:
            case = cases[number]
            if (cap and len(case.keys) > cap.at_most) or case.lists or (sees_others and case.facts):
                by_itself.setdefault(number, []).append(question)
            else:
                places.setdefault(case.as_of, set()).add(number)
        for as_of, numbers in places.items():
            beside.setdefault(as_of, []).append((question, numbers))
    for several in beside.values():
        everywhere = sorted({number for _, some in several for number in some})
        with together(settings, [cases[number] for number in everywhere]) as world:
            # No target cap binds in any of these cases, so none may bind in all of them together.
            uncapped = {id(q.project): _uncapped(q.project) for q, _ in several}
            yield from _reasons(world, [(q, uncapped[id(q.project)], some) for q, some in several], everywhere)
    for number, alike in by_itself.items():
        with alone(settings, cases[number]) as world:
            yield from _reasons(world, [(q, q.project, {number}) for q in alike], [number])


def _reasons(
    world: World, asked: Sequence[tuple[Question, Project, set[int]]], numbers: Sequence[int]
) -> Iterator[tuple[Question, int, Reasons]]:
    """Everybody's reason for each question, read from the words of one plan at a time; ``numbers`` are the cases'."""
    variants = {id(project): world.variant(project) for _, project, _ in asked}
    asking = [
        Asked(variants[id(project)], replace(question, project=variants[id(project)]).campaign)
        for question, project, _ in asked
    ]
    by_asked = {id(one): whole for one, whole in zip(asking, asked, strict=True)}
    for plan in world.run.decided(asking):
        words = [f"s{stage}_{word}" for word in range(plan.words) for stage in range(len(REASONS))]
        rows = world.run.backend.rows(
            exp.select(column("key"), *map(column, words)).from_(decisions(plan).subquery("d"))
        )
        for index, one in enumerate(plan.asked):
            question, _, wanted = by_asked[id(one)]
            word, bit = plan.bit(index)
            first = word * len(REASONS)
            found: dict[int, dict[str, str]] = {number: {} for number in wanted}
            stages = {str(key): passed[first : first + len(REASONS)] for key, *passed in rows}
            for profile, (place, key) in world.people.items():
                if (number := numbers[place]) in found:
                    found[number][key] = _reason(stages.get(profile, ()), bit)
            for number, reasons in found.items():
                yield question, number, reasons


def _reason(stages: Sequence[int], bit: int) -> str:
    """The first stage without the bit; a plan may leave out whoever is in no audience."""
    if not stages:
        return REASONS[0]
    return next((reason for reason, word in zip(REASONS, stages, strict=True) if not word & bit), INCLUDED)


def _uncapped(project: Project) -> Project:
    return replace(project, campaigns={n: replace(one, target_cap=None) for n, one in project.campaigns.items()})


def _reads_ledger(project: Project) -> bool:
    return any(
        isinstance(leaf, Did | Interest) and leaf.event == LEDGER_EVENT
        for segment in project.segments.values()
        for leaf in leaves(segment.where)
    )


def _ordered(some: Sequence[Difference]) -> list[Difference]:
    return sorted(some, key=lambda one: (one.expectation.line, one.profile))
