"""Both sides decided over the same data and answers in the same plans, and what that says of every campaign."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from .. import runner
from ..declarations import meaning
from ..errors import InvalidProjectError, Problem
from ..events import isoformat
from ..guards import Tripped, guards_of, tripped
from ..model import Project
from ..moments import Clock
from ..plugins import Plugins
from ..runner import Run
from ..targeting import reads
from ..targeting.stages import REASONS
from . import subjects, variants
from .lineup import Lineup
from .sides import Sides
from .subjects import Subject

MOST = 500
"""How many further campaigns are decided at most to tell causes apart."""


@dataclass(frozen=True, slots=True)
class Cause:
    """How many a change added and removed: the head against the head without it. No file: what is left over."""

    file: str | None
    line: int | None
    added: int
    removed: int

    def as_json(self) -> dict[str, Any]:
        return {"file": self.file, "line": self.line, "added": self.added, "removed": self.removed}


@dataclass(frozen=True, slots=True)
class Difference:
    """One campaign's audience, or one segment's members, before and after (None: not declared there).

    ``moved`` counts profiles by reason before and reason after. ``causes`` add up to ``added`` and ``removed``.
    """

    name: str
    file: str
    before: int | None
    after: int | None
    added: int
    removed: int
    moved: dict[tuple[str, str], int]
    causes: tuple[Cause, ...]
    samples: dict[str, list[str]]
    tripped: tuple[Tripped, ...] = ()

    @property
    def unchanged(self) -> int:
        return (self.after or 0) - self.added

    @property
    def changed(self) -> bool:
        return bool(self.added or self.removed or self.moved) or None in (self.before, self.after)

    def as_json(self) -> dict[str, Any]:
        moved = [{"from": was, "to": now, "profiles": many} for (was, now), many in self.moved.items()]
        return {
            "name": self.name,
            "added": self.added,
            "removed": self.removed,
            "unchanged": self.unchanged,
            "causes": [cause.as_json() for cause in self.causes],
            "before": self.before,
            "after": self.after,
            "moved": moved,
            "samples": self.samples,
            "tripped": [{"guard": one.guard, "limit": one.limit, "why": one.why} for one in self.tripped],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a change to the declarations does to people. ``segments`` are those that it touches."""

    sides: Sides
    as_of: datetime
    population: int
    campaigns: list[Difference]
    segments: list[Difference]

    @property
    def tripped(self) -> list[str]:
        return [f"{one.name}: {guard}" for one in self.campaigns for guard in one.tripped]

    def as_json(self) -> dict[str, Any]:
        base, head = self.sides.base, self.sides.head
        return {
            "base": {"name": base.name, "commit": base.commit, "revision": base.project.revision},
            "head": {"name": head.name, "commit": head.commit, "revision": head.project.revision},
            "as_of": isoformat(self.as_of),
            "population": self.population,
            "campaigns": [one.as_json() for one in self.campaigns],
            "segments": [one.as_json() for one in self.segments],
            "notes": list(self.sides.notes),
        }


def compare(
    sides: Sides,
    plugins: Plugins,
    as_of: datetime,
    *,
    samples: int = 0,
    memory: str | None = None,
    progress: runner.Progress = lambda _: None,
) -> Comparison:
    """Decide for every campaign and every touched segment on both sides; ``samples`` asks for that many keys of each.

    The ledger is read and not written. Raises what ``runner.opened`` does, with the revision that a problem is in.
    """
    base, head = sides.base.project, sides.head.project
    with ExitStack() as stack:
        try:
            run = stack.enter_context(
                runner.opened(head, as_of, plugins, memory=memory, remember=False, progress=progress)
            )
        except InvalidProjectError as error:
            raise sides.head.named(error) from None
        if problems := _problems(run, base):
            raise sides.base.named(InvalidProjectError(problems))
        progress("looking for what changed")
        lineup, subjects = _asked(run, base, head)
        lineup.decide(run)
        found = [_difference(run, one, lineup, head, samples) for one in subjects]
        run.backend.check_sources()
    campaigns = [one for one in found if one.file.startswith("campaigns/")]
    return Comparison(sides, as_of, lineup.population, campaigns, [one for one in found if one not in campaigns])


def _problems(run: Run, project: Project) -> list[Problem]:
    return meaning.problems(project, run.catalog, Clock(run.clock.as_of, ZoneInfo(project.timezone)))


def _asked(run: Run, base: Project, head: Project) -> tuple[Lineup, list[Subject]]:
    """What is compared, with the causes told apart as finely as ``MOST`` lets."""
    for whole_files in (False, True):
        apart = variants.find(base, head, run.plugins, lambda one: _problems(run, one), whole_files=whole_files)
        lineup, found = subjects.find(base, head, apart)
        if apart and len(lineup) <= len(head.campaigns) + MOST:
            return lineup, found
    return subjects.find(base, head, [])


def _difference(run: Run, subject: Subject, lineup: Lineup, head: Project, samples: int) -> Difference:
    run.progress(f"comparing {subject.name}")
    before, after = (_size(lineup, subject, place) for place in (subject.base, subject.head))
    moved: dict[tuple[int, int], int] = {}
    keys: tuple[list[str], list[str]] = ([], [])
    if subject.base is None or subject.head is None:
        added, removed = after or 0, before or 0
        causes = [Cause(subject.file, 1, added, removed)]
    else:
        moved = lineup.moves(run, subject.base, subject.head) if subject.base != subject.head else {}
        added, removed = _across(moved, subject.threshold)
        causes = [
            Cause(
                variant.change.file,
                variant.change.line,
                *_across(lineup.moves(run, without, subject.head), subject.threshold),
            )
            for variant, without in subject.causes
        ]
        if samples and moved:
            keys = lineup.keys(run, subject.base, subject.head, subject.threshold, samples)
    rest = Cause(None, None, added - sum(one.added for one in causes), removed - sum(one.removed for one in causes))
    campaign = head.campaigns.get(subject.name) if subject.is_campaign else None
    guards = tripped(guards_of(head, campaign), after or 0, before, added + removed) if campaign else ()
    return Difference(
        name=subject.name,
        file=subject.file,
        before=before,
        after=after,
        added=added,
        removed=removed,
        moved=_by_reason(moved) if subject.is_campaign else {},
        causes=(*causes, rest),
        samples={"added": keys[0], "removed": keys[1]},
        tripped=guards,
    )


def _size(lineup: Lineup, subject: Subject, place: int | None) -> int | None:
    if place is None:
        return None
    counts = lineup.counts[place]
    return counts[reads.INCLUDED] if subject.is_campaign else lineup.population - counts["not_in_audience"]


def _across(moved: Mapping[tuple[int, int], int], threshold: int) -> tuple[int, int]:
    """How many passed ``threshold`` stages only after, and how many only before."""
    added = sum(many for (was, now), many in moved.items() if was < threshold <= now)
    return added, sum(many for (was, now), many in moved.items() if now < threshold <= was)


def _by_reason(moved: Mapping[tuple[int, int], int]) -> dict[tuple[str, str], int]:
    outcomes = (*REASONS, reads.INCLUDED)
    return {(outcomes[was], outcomes[now]): many for (was, now), many in sorted(moved.items()) if was != now}
