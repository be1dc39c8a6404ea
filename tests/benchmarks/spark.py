"""maysend on a small cluster of Spark, beside a query for each campaign in Spark's own SQL on the same cluster."""

from __future__ import annotations

import os
import re
import statistics
import sys
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import loaded_plugins
from maysend import evaluation, loader, runner
from maysend.evaluation import Evaluation
from spark_cluster import cluster, session

from .generate import AS_OF, make_ledger, make_people, make_roster, make_tables
from .projects import Campaign, draw_campaigns, make_project
from .sql import Dialect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FULL = 10_000_000
MEASURED = 8
"""How many of the hundred campaigns are measured as queries; the time of all is worked out from their mean."""
GOAL = 8.0
COMPILED = {f"spark.{which}.extraJavaOptions": "-XX:-DontCompileHugeMethods" for which in ("driver", "executor")}
"""What maysend gives the sessions that it starts, in place of what spares the tests' small queries the compiler."""


def measure(directory: Path, scale: float) -> dict[str, object]:
    """100 campaigns over ``FULL`` x ``scale`` profiles, a master and two workers of one core and 1 GiB each.

    ``seconds`` is a run of maysend with every stage of every campaign, that reads its roster with DuckDB on the
    workers; ``anew_seconds`` is the same without a roster, in Spark's SQL. ``queries_seconds`` is what a query for each
    campaign would take over statuses that were folded beforehand, as in the roster, of which ``queries_measured`` were
    run; ``faster`` and ``anew_faster`` are how many times. ``core_seconds`` are those of all cores. ``scans`` are the
    scans of the profile table in Spark's own plans of each run: how many columns each reads.

    More than ``FULL`` profiles are evaluated with a roster alone.
    """
    profiles = int(FULL * scale)
    tables, alone = directory / str(profiles), profiles > FULL
    root = prepare(tables, profiles)
    work = directory / "cluster"
    work.mkdir(exist_ok=True)
    with cluster(work) as found, session(found.master, **COMPILED) as running:
        make_roster(root, None, running)
        ran = _evaluated(root, running, roster=True)
        told = {"profiles": profiles, "campaigns": len(ran.found.outcomes), **ran.told("")}
        _tell(str(told))
        if alone:
            return told
        asked = draw_campaigns("hundred", profiles)[:: 100 // MEASURED][:MEASURED]
        times, spent = _ask(asked, tables / "people" / "profiles.parquet", running, ran.found)
        queries = statistics.fmean(times) * 100
        _tell(f"queries: {', '.join(f'{seconds:.2f}' for seconds in times)}")
        anew = _evaluated(root, running, roster=False)
        assert [one.counts for one in anew.found.outcomes] == [one.counts for one in ran.found.outcomes]
    return {
        **told,
        **anew.told("anew_"),
        "queries_measured": len(times),
        "queries_seconds": round(queries, 1),
        "queries_core_seconds": round(statistics.fmean(spent) * 100, 1),
        "faster": round(queries / ran.seconds, 1),
        "goal": GOAL,
        "anew_faster": round(queries / anew.seconds, 1),
    }


def prepare(tables: Path, profiles: int) -> Path:
    """The data of a run, where it is missing; the project's directory."""
    make_tables(tables, profiles, ["profiles"])
    make_ledger(tables, profiles, "profiles")
    if profiles <= FULL:
        make_people(tables, profiles, "profiles")
    return make_project(tables, "hundred", profiles)


@dataclass(frozen=True, slots=True)
class _Ran:
    """A run, its seconds, those of every core together, and its scans of the profiles, each by the number of columns
    that it read."""

    found: Evaluation
    seconds: float
    core_seconds: float
    scans: list[int]

    def told(self, which: str) -> dict[str, object]:
        times = {"seconds": self.seconds, "core_seconds": self.core_seconds}
        return {f"{which}{name}": round(time, 1) for name, time in times.items()} | {f"{which}scans": self.scans}


def _evaluated(root: Path, running: SparkSession, *, roster: bool) -> _Ran:
    before, spent, started = _executions(running).size(), _core_seconds(), time.perf_counter()
    project = loader.load(root, loaded_plugins())
    with runner.opened(project, AS_OF, loaded_plugins(), session=running, roster=roster) as run:
        assert bool(run.catalog.roster) == roster
        found = evaluation.evaluate(run, runner.chosen(project, ()))
    seconds, spent = time.perf_counter() - started, _core_seconds() - spent
    return _Ran(found, seconds, spent, _scans(running, before))


def _core_seconds() -> float:
    """What this process and all under it, the cluster too, have taken of the cores so far, those that ended included:
    unlike the time, it hardly depends on what else the machine does."""
    ticks, under = {}, defaultdict(list)
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = file.read_text().rpartition(")")[2].split()
            ticks[int(file.parent.name)] = sum(map(int, fields[11:15]))
            under[int(fields[1])].append(int(file.parent.name))
    found, left = 0, [os.getpid()]
    while left:
        process = left.pop()
        found += ticks.get(process, 0)
        left += under[process]
    return found / os.sysconf("SC_CLK_TCK")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _executions(running: SparkSession) -> Any:
    """All that Spark was asked so far."""
    return running._jsparkSession.sharedState().statusStore().executionsList()


def _scans(running: SparkSession, after: int) -> list[int]:
    """The scans of the profiles in what was asked after so many, by the number of columns that they read."""
    executions = _executions(running)
    found = []
    for place in range(after, executions.size()):
        plan = executions.apply(place).physicalPlanDescription()
        tree = plan.partition("== Initial Plan ==")[0]  # that of the final plan; what its nodes are comes after both
        for number in set(re.findall(r"Scan parquet [^\n(]*\((\d+)\)", tree)):
            scan = plan.partition(f"\n({number}) Scan parquet ")[2].partition("\n\n")[0]
            if "/profiles.parquet]" in scan and "/people/" not in scan:
                columns = re.search(r"ReadSchema: struct<(.*)>", scan)
                found.append(len(re.findall(r"(?:^|,)[^,:<>]+:", columns[1])) if columns else 0)
    return sorted(found)


def _ask(
    asked: list[Campaign], people: Path, running: SparkSession, evaluated: Evaluation
) -> tuple[list[float], list[float]]:
    """The seconds of each campaign's query, and those of every core; what it counts must be what maysend counted."""
    running.read.parquet(f"file://{people}").createOrReplaceTempView("people")
    counts = {outcome.campaign.name: outcome.counts for outcome in evaluated.outcomes}
    times, spent = [], []
    for number, campaign in enumerate([asked[0], *asked]):  # the first twice: once to warm up
        before, started = _core_seconds(), time.perf_counter()
        (row,) = running.sql(Dialect("spark").waterfall(campaign, "people", "counts")).collect()
        if number:
            times.append(time.perf_counter() - started)
            spent.append(_core_seconds() - before)
        assert tuple(row) == tuple(_left(counts[campaign.name])), campaign.name
    return times, spent


def _left(counts: dict[str, int]) -> Any:
    """How many are left after the audience and each stage until the groups'."""
    left = sum(counts.values())
    for reason in ("not_in_audience", "no_address", "suppressed", "channel_unsubscribed", "group_unsubscribed"):
        left -= counts[reason]
        yield left
