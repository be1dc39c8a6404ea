"""The campaigns that a comparison decides, side by side in as few plans as can be, and what they say of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from ..model import Campaign, Project
from ..moments import Clock
from ..runner import Run
from ..targeting import moves, reads
from ..targeting.moves import Pair, Place
from ..targeting.plan import BLOCK, Asked, Plan


@dataclass(slots=True)
class Lineup:
    """Campaigns to decide, by number, in bundles of those that are compared with each other.

    ``decide`` fills in ``population`` and ``counts`` (by reason, as ``reads.waterfall`` has them).
    """

    population: int = 0
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    _asked: list[Asked] = field(default_factory=list)
    _bundles: list[list[int]] = field(default_factory=list)
    _pairs: dict[tuple[int, int], Sequence[int]] = field(default_factory=dict)
    _places: dict[tuple[int, int], tuple[Place, Place]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._asked)

    def bundle(self) -> None:
        """What is added from now on is compared with each other, and with nothing before."""
        self._bundles.append([])

    def add(self, project: Project, campaign: Campaign) -> int:
        """One more campaign to decide; its number."""
        self._asked.append(Asked(project, campaign))
        self._bundles[-1].append(len(self._asked) - 1)
        return len(self._asked) - 1

    def compare(self, before: int, after: int, stages: Sequence[int]) -> None:
        """Ask for the ``moves`` and ``keys`` between two of a bundle, who differ at any of ``stages``."""
        self._pairs[before, after] = stages

    def decide(self, run: Run) -> None:
        """Decide for all, in as few plans as their channels, time zones and defaults let."""
        whole: dict[int, Place] = {}
        for count, (plan, numbers) in enumerate(self._plans(run)):
            self.population, counted = reads.waterfall(plan, run.backend)
            self.counts |= dict(zip(numbers, counted, strict=True))
            self._keep(run, plan, numbers, f"moved {count}")
            here = set(numbers)
            apart = {one: numbers.index(one) for pair in self._pairs if set(pair) - here for one in here & set(pair)}
            if apart:
                moves.keep(plan, run.backend, f"passed {count}", apart.values(), None)
                whole |= {one: Place(f"passed {count}", f"n{index}") for one, index in apart.items()}
        for before, after in self._pairs:
            if (before, after) not in self._places:
                self._places[before, after] = (whole[before], whole[after])
        if not self._asked:
            self.population = run.population()

    def moves(self, run: Run, before: int, after: int) -> dict[tuple[int, int], int]:
        """Profiles by the number of stages passed in either; of those that differ at no stage asked for, not all."""
        return moves.moves(run.backend, *self._places[before, after])

    def keys(self, run: Run, before: int, after: int, threshold: int, most: int) -> tuple[list[str], list[str]]:
        """The ``most`` smallest keys that passed ``threshold`` stages only after, and only before."""
        return moves.keys(run.backend, *self._places[before, after], threshold, most)

    def _keep(self, run: Run, plan: Plan, numbers: list[int], name: str) -> None:
        """Keep who differs between those pairs that are both in a plan."""
        index = {number: index for index, number in enumerate(numbers)}
        together = {
            (before, after): Pair(index[before], index[after], stages)
            for (before, after), stages in self._pairs.items()
            if before in index and after in index
        }
        if not together:
            return
        pairs = list(together.values())
        moves.keep(plan, run.backend, name, {index for one in pairs for index in (one.before, one.after)}, pairs)
        self._places |= {
            asked: (Place(name, f"n{pair.before}"), Place(name, f"n{pair.after}")) for asked, pair in together.items()
        }

    def _plans(self, run: Run) -> Iterator[tuple[Plan, list[int]]]:
        """Every plan, prepared, with the numbers of the campaigns that it decides, in its order."""
        numbers = {id(asked): number for number, asked in enumerate(self._asked)}
        for chunk in self._chunks():
            asked = [self._asked[number] for number in chunk]
            clock = Clock(run.clock.as_of, ZoneInfo(asked[0].project.timezone))
            for plan in replace(run, clock=clock).decided(asked, addresses=False):
                yield plan, [numbers[id(one)] for one in plan.asked]

    def _chunks(self) -> Iterator[list[int]]:
        """Campaigns that one plan could take, no bundle cut in two where it can be helped."""
        alike: dict[object, list[list[int]]] = {}
        for bundle in sorted(self._bundles, key=lambda bundle: len(bundle) < 2):
            parts: dict[object, list[int]] = {}
            for number in bundle:
                parts.setdefault(_likeness(self._asked[number]), []).append(number)
            for likeness, part in parts.items():
                alike.setdefault(likeness, []).append(part)
        for bundles in alike.values():
            chunk: list[list[int]] = []
            for bundle in bundles:
                if chunk and sum(map(len, chunk)) + len(bundle) > BLOCK:
                    yield _by_rank(chunk)
                    chunk = []
                chunk.append(bundle)
            yield _by_rank(chunk)


def _likeness(asked: Asked) -> object:
    """What must be the same of all in a plan."""
    project = asked.project
    channels = frozenset((name, one.type, one.address) for name, one in project.channels.items())
    return project.timezone, channels, asked.campaign.channel


def _by_rank(bundles: list[list[int]]) -> list[int]:
    """The first of each bundle that has several, then the second, and so on; so the bits of many pairs lie equally far
    apart, and are compared at once. At the end those that stand alone."""
    ranks = max(map(len, bundles))
    compared = [bundle for bundle in bundles if len(bundle) > 1]
    ordered = [bundle[rank] for rank in range(ranks) for bundle in compared if rank < len(bundle)]
    return ordered + [bundle[0] for bundle in bundles if len(bundle) == 1]
