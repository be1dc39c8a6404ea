"""maysend on a small cluster of Spark, beside a query for each campaign in Spark's own SQL on the same cluster."""

from __future__ import annotations

import re
import statistics
import time
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


def measure(directory: Path, scale: float) -> dict[str, object]:
    """100 campaigns over ``FULL`` x ``scale`` profiles, a master and two workers of one core and 1 GiB each.

    ``seconds`` is a run of maysend with every stage of every campaign; ``queries_seconds`` what a query for each
    campaign would take, of which ``queries_measured`` were run; ``faster`` is how many times. ``scans`` are the scans
    of the profile table in Spark's own plans of the run: how many columns each reads. Statuses are folded beforehand on
    both sides: maysend reads its roster, with DuckDB on the workers, so that Spark itself scans no profiles.
    """
    profiles = int(FULL * scale)
    tables = directory / str(profiles)
    make_tables(tables, profiles)
    make_ledger(tables, profiles, "profiles")
    make_people(tables, profiles, "profiles")
    root = make_project(tables, "hundred", profiles)
    work = directory / "cluster"
    work.mkdir(exist_ok=True)
    with cluster(work) as found, session(found.master) as running:
        make_roster(root, None, running)
        started = time.perf_counter()
        evaluated = _evaluate(root, running)
        seconds = time.perf_counter() - started
        scans = _scans(running)
        asked = draw_campaigns("hundred", profiles)[:: 100 // MEASURED][:MEASURED]
        times = _ask(asked, tables / "people" / "profiles.parquet", running, evaluated)
    queries = statistics.fmean(times) * 100
    return {
        "profiles": profiles,
        "campaigns": len(evaluated.outcomes),
        "seconds": round(seconds, 1),
        "queries_measured": len(times),
        "queries_seconds": round(queries, 1),
        "faster": round(queries / seconds, 1),
        "goal": GOAL,
        "scans": scans,
    }


def _evaluate(root: Path, running: SparkSession) -> Evaluation:
    project = loader.load(root, loaded_plugins())
    with runner.opened(project, AS_OF, loaded_plugins(), session=running) as run:
        return evaluation.evaluate(run, runner.chosen(project, ()))


def _scans(running: SparkSession) -> list[int]:
    """The scans of the profiles in everything that was run so far, by the number of columns that they read."""
    executions = running._jsparkSession.sharedState().statusStore().executionsList()
    found = []
    for place in range(executions.size()):
        plan = executions.apply(place).physicalPlanDescription()
        final = plan.partition("== Initial Plan ==")[0]
        for scan in re.findall(r"\(\d+\) Scan parquet .*?\n(?=\n|\Z)", final, re.DOTALL):
            if "/profiles.parquet" in scan and "answers" not in scan:
                columns = re.search(r"ReadSchema: struct<(.*)>", scan)
                found.append(len(re.findall(r"(?:^|,)[^,:<>]+:", columns[1])) if columns else 0)
    return sorted(found)


def _ask(asked: list[Campaign], people: Path, running: SparkSession, evaluated: Evaluation) -> list[float]:
    """The seconds of each campaign's query; what it counts must be what maysend counted."""
    running.read.parquet(f"file://{people}").createOrReplaceTempView("people")
    counts = {outcome.campaign.name: outcome.counts for outcome in evaluated.outcomes}
    times = []
    for number, campaign in enumerate([asked[0], *asked]):  # the first twice: once to warm up
        started = time.perf_counter()
        (row,) = running.sql(Dialect("spark").waterfall(campaign, "people", "counts")).collect()
        if number:
            times.append(time.perf_counter() - started)
        assert tuple(row) == tuple(_left(counts[campaign.name])), campaign.name
    return times


def _left(counts: dict[str, int]) -> Any:
    """How many are left after the audience and each stage until the groups'."""
    left = sum(counts.values())
    for reason in ("not_in_audience", "no_address", "suppressed", "channel_unsubscribed", "group_unsubscribed"):
        left -= counts[reason]
        yield left
