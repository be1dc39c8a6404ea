"""What is compared under one name: a campaign's audience or a segment's members, before, after, without a change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from ..model import Campaign, Project
from ..targeting.moves import PASSED_ALL
from .lineup import Lineup
from .reach import Reach
from .variants import Variant, aligned

_LAST = PASSED_ALL - 1


@dataclass(slots=True)
class Subject:
    """A campaign or a segment: the lineup of the base and of the head (None: not declared there), and of every variant
    that touches it. Whoever passed ``threshold`` stages of a column is in."""

    name: str
    file: str
    base: int | None = None
    head: int | None = None
    causes: list[tuple[Variant, int]] = field(default_factory=list)

    @property
    def is_campaign(self) -> bool:
        return self.file.startswith("campaigns/")

    @property
    def threshold(self) -> int:
        return PASSED_ALL if self.is_campaign else 1

    @property
    def all_stages(self) -> Sequence[int]:
        return range(PASSED_ALL) if self.is_campaign else (0,)

    @property
    def last_stage(self) -> Sequence[int]:
        return (_LAST,) if self.is_campaign else (0,)


def find(base: Project, head: Project, apart: Sequence[Variant]) -> tuple[Lineup, list[Subject]]:
    """Every campaign of either side, and the segments that differ, by name; and the lineup to decide for them.

    Where all that decides for a campaign is the same on both sides, one column stands for both.
    """
    sides = aligned([base, head, *(variant.project for variant in apart)])
    finder = _Finder(Lineup(), sides, [Reach(side) for side in sides], apart)
    found = [*finder.campaigns(), *finder.segments()]
    return finder.lineup, found


@dataclass(frozen=True, slots=True)
class _Finder:
    """The projects are the base, the head, and the variants in their order; ``reaches`` are theirs."""

    lineup: Lineup
    projects: Sequence[Project]
    reaches: Sequence[Reach]
    apart: Sequence[Variant]

    def campaigns(self) -> Iterator[Subject]:
        for name in sorted({*self.projects[0].campaigns, *self.projects[1].campaigns}):
            keys = [reach.campaign(name) for reach in self.reaches]
            declared = [project.campaigns.get(name) for project in self.projects]
            yield self._subject(Subject(name, f"campaigns/{name}.yaml"), keys, declared)

    def segments(self) -> Iterator[Subject]:
        """A segment is decided as a campaign that asks for nothing else; where nothing can be sent, there is none."""
        if not all(project.channels for project in self.projects):
            return
        used = Counter(campaign.channel for campaign in self.projects[1].campaigns.values())
        for name in sorted({*self.projects[0].segments, *self.projects[1].segments}):
            keys = [reach.segment(name) for reach in self.reaches]
            if keys[0] != keys[1]:
                subject = Subject(name, f"segments/{name}.yaml")
                yield self._subject(subject, keys, [_members(project, name, used) for project in self.projects])

    def _subject(self, subject: Subject, keys: Sequence[Hashable], declared: Sequence[Campaign | None]) -> Subject:
        """Fill in the places of a subject in the lineup: one for each different key of the projects."""
        self.lineup.bundle()
        known: dict[Hashable, int] = {}

        def place(index: int) -> int | None:
            campaign = declared[index]
            if campaign and keys[index] not in known:
                known[keys[index]] = self.lineup.add(self.projects[index], campaign)
            return known.get(keys[index])

        subject.head, subject.base = place(1), place(0)
        if subject.base is None or subject.head is None or subject.base == subject.head:
            return subject
        self.lineup.compare(subject.base, subject.head, subject.all_stages)
        for index, variant in enumerate(self.apart, 2):
            if keys[index] == keys[1] or (without := place(index)) is None:
                continue
            subject.causes.append((variant, without))
            if without != subject.base:
                self.lineup.compare(without, subject.head, subject.last_stage)
        return subject


def _members(project: Project, segment: str, used: Counter[str]) -> Campaign | None:
    """A campaign to a segment's members, on the channel that most campaigns are on already."""
    if segment not in project.segments:
        return None
    return Campaign(
        name=f"segment {segment}",
        title=segment,
        channel=max(sorted(project.channels), key=lambda name: used[name]),
        purpose="transactional",
        include=(segment,),
        exclude=(),
        groups=None,
        frequency_caps=(),
        control_group=None,
        target_cap=None,
        ignore_unsubscribed="a segment asks for no answers",
        document=project.segments[segment].document,
    )
