"""Guards: what an audience must keep to be sent, and which of them tripped."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from .model import Campaign, Guards, Project


@dataclass(frozen=True, slots=True)
class Tripped:
    """A guard that does not hold: its key, what it was set to, and why, in words."""

    guard: str
    limit: float
    why: str

    def __str__(self) -> str:
        return f"{self.why} ({self.guard}: {self.limit:g})"


def guards_of(project: Project, campaign: Campaign) -> Guards:
    """The project's guards, with those that the campaign declares itself in their place."""
    own = {one.name: value for one in fields(Guards) if (value := getattr(campaign.guards, one.name)) is not None}
    return replace(project.guards, **own)


def tripped(guards: Guards, now: int, before: int | None = None, changed: int | None = None) -> tuple[Tripped, ...]:
    """The guards that do not hold for an audience of ``now`` profiles.

    ``before`` is its size before (None: there was none to compare with), ``changed`` by how many profiles it moved
    since, where that is not the difference of the sizes.
    """
    found = []
    if guards.min_audience is not None and now < guards.min_audience:
        found.append(Tripped("min_audience", guards.min_audience, f"{_people(now)} in its audience, too few"))
    if guards.max_audience is not None and now > guards.max_audience:
        found.append(Tripped("max_audience", guards.max_audience, f"{_people(now)} in its audience, too many"))
    if guards.max_change_percent is not None and before is not None:
        moved = abs(now - before) if changed is None else changed
        if moved * 100 > guards.max_change_percent * before:
            by = f"{moved / before:.1%}" if before else "from nobody"
            why = f"{_people(before)} before and {now:,} now, a change of {moved:,} ({by})"
            found.append(Tripped("max_change_percent", guards.max_change_percent, why))
    return tuple(found)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"
