"""maysend in process: declarations loaded, sources and ledger opened, campaigns decided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from maysend import evaluation, loader, plugins, runner
from maysend.runner import Run
from maysend.targeting import reads
from maysend.targeting.plan import GROUP
from maysend.targeting.stages import REASONS

from ..generate import AS_OF
from ..sql import CHECK
from . import Asked, Found


def anew(asked: Asked) -> dict[str, Found]:
    """The same without the roster: addresses are normalized and answers folded once more."""
    return each(asked, roster=False)


def each(asked: Asked, *, roster: bool = True) -> dict[str, Found]:
    """All campaigns, until the groups' stage where the project has no policies; audiences as files where asked for."""
    with opened(asked, roster=roster) as run:
        campaigns = runner.chosen(run.project, [campaign.name for campaign in asked.campaigns])
        if asked.what == "counts" and asked.kind != "policies":
            found = {}
            for plan in run.plans(campaigns, through=GROUP, addresses=False):
                _, counted = reads.waterfall(plan, run.backend, through=GROUP)
                for one, counts in zip(plan.asked, counted, strict=True):
                    found[one.campaign.name] = Found(_left(counts, GROUP))
            return found
        out = None if asked.what == "counts" else asked.out("maysend")
        result = evaluation.evaluate(run, campaigns, out=out)
    if asked.what == "files":
        return {}
    last = len(REASONS) - 1 if asked.kind == "policies" else GROUP
    return {
        outcome.campaign.name: Found(
            _left(outcome.counts, last), who(out / f"{outcome.campaign.name}.parquet", asked.what) if out else None
        )
        for outcome in result.outcomes
    }


@contextmanager
def opened(asked: Asked, *, roster: bool = True) -> Iterator[Run]:
    """A run over the project."""
    found = plugins.load()
    project = loader.load(asked.project, found)
    with runner.opened(project, AS_OF, found, memory=asked.memory, roster=roster) as run:
        assert bool(run.catalog.roster) == roster
        yield run


def who(file: Path, what: str) -> int | tuple[int, ...]:
    """Who is in an audience's file, as ``Found`` tells it."""
    if what == "ids":
        return tuple(sorted(id for (id,) in duckdb.execute(f"SELECT id FROM '{file}'").fetchall()))
    ((check,),) = duckdb.execute(f"SELECT sum({CHECK})::BIGINT FROM '{file}'").fetchall()
    return check or 0


def _left(counts: dict[str, int], last: int) -> tuple[int, ...]:
    """How many are left after each stage until ``last``."""
    left, found = sum(counts.values()), []
    for reason in REASONS[: last + 1]:
        left -= counts[reason]
        found.append(left)
    return tuple(found)
