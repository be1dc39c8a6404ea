"""A cluster that loses a worker, has no master, or lacks what it needs; and what it reads."""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from sqlglot import exp

from decision_cases import EVERYONE
from engine import loaded_plugins, loaded_project, record, write_project
from maysend import runner
from maysend.errors import InvalidProjectError
from maysend.model import Source
from maysend.targeting.deciding import passed
from maysend.trees import table
from spark_cluster import Cluster, Interpreted, decisions, losing_a_worker, on_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.soak, pytest.mark.spark]
AS_OF = ("--as-of", "1998-07-01")
MOMENT = datetime(1998, 7, 1, tzinfo=UTC)


def test_a_plan_scans_the_profiles_once(running: SparkSession, store: Path) -> None:
    """Spark's own plan of what decides all campaigns of a channel has one scan of the profile table."""
    project = loaded_project(store)
    with runner.opened(project, MOMENT, loaded_plugins(), session=Interpreted(running)) as run:  # type: ignore[arg-type] # stands in
        for plan in run.plans(runner.chosen(project, ())):
            shown = run.backend.plan_of(passed(plan))  # type: ignore[attr-defined] # Spark's own
            scans = re.findall(r"Location: \w+ \[([^\]]*)\]", shown)
            assert len(scans) > 1
            assert sum(scan.endswith("/profiles.parquet") for scan in scans) == 1


def test_only_small_tables_are_sent_to_every_worker(running: SparkSession, tmp_path: Path) -> None:
    """Spark by itself sends files of up to 10 MiB, which may be millions of rows: more than a driver of 1 GiB holds."""
    from maysend.backends.spark import Spark
    from maysend.backends.spark_sessions import of_its_own

    with Spark(of_its_own(running), tmp_path) as engine:
        for name, rows in (("people", 2_000_000), ("many", 600_000), ("few", 1000)):
            file = str(tmp_path / f"{name}.parquet")
            duckdb.sql(f"COPY (SELECT (hash(i) >> 2)::BIGINT AS id FROM range({rows}) t(i)) TO '{file}'")
            engine.open(name, Source(file, file))
        for name, sent in (("few", True), ("many", False)):
            joined = exp.select("people.id").from_("people").join(table(name), using="id")
            assert ("BroadcastHashJoin" in engine.plan_of(joined)) == sent


@pytest.mark.parametrize("roster", [False, True], ids=["without a roster", "with a roster"])
def test_a_run_goes_on_when_a_worker_is_killed(
    spark: Cluster, running: SparkSession, store: Path, roster: bool
) -> None:
    project = loaded_project(store)
    expected = decisions(project, MOMENT, None)
    if roster:
        with runner.opened(project, MOMENT, loaded_plugins(), session=running, roster=False) as run:
            run.write_roster()
    with losing_a_worker(spark, running):
        assert decisions(project, MOMENT, running, roster=roster) == expected


@pytest.mark.parametrize("key", ["master", "remote"])
def test_a_master_that_is_not_there_is_one_line(key: str, store: Path, maysend: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = f"{'spark' if key == 'master' else 'sc'}://127.0.0.1:{port}"
    on_spark(store, **{key: place})
    started = time.monotonic()
    done = maysend("evaluate", *AS_OF, "--no-audiences", cwd=store, code=1)
    assert time.monotonic() - started < 30
    assert done.stderr == f"engine: there is no Spark at {place} (127.0.0.1:{port}: Connection refused)\n"
    assert done.stdout == ""


def test_a_worker_without_duckdb_is_one_line(
    spark: Cluster, store: Path, tmp_path: Path, maysend: Callable[..., Any]
) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" -S "$@"\n')
    bare.chmod(0o755)
    on_spark(store, master=spark.master)
    maysend("roster", cwd=store)
    on_spark(store, settings={"spark.pyspark.python": str(bare)}, master=spark.master)
    done = maysend("evaluate", *AS_OF, "--no-audiences", cwd=store, code=1)
    assert done.stderr.startswith("the workers' Python has no pyarrow, which reading a roster needs; install duckdb")
    assert done.stderr.count("\n") == 1


def test_sources_may_be_partitioned_directories_and_tables(running: SparkSession, tmp_path: Path) -> None:
    world: dict[str, Any] = {
        "as_of": "2024-06-01T00:00:00Z",
        "columns": {"id": "integer", "email": "text", "country": "text"},
        "profiles": [{"id": n, "email": f"{n}@x.org", "country": ("CA", "US")[n % 2]} for n in range(40)],
        "channels": EVERYONE,
        "segments": {"canada": {"property": "country", "equals": "CA"}},
        "campaigns": {"canada": {"channel": "email", "audience": {"include": ["canada"]}}},
    }
    write_project(world, tmp_path)
    record(world, tmp_path)
    as_of = datetime.fromisoformat(world["as_of"])
    expected = decisions(loaded_project(tmp_path), as_of, None)
    duckdb.sql(f"COPY (FROM '{tmp_path}/profiles.parquet') TO '{tmp_path}/lake' (FORMAT parquet, PARTITION_BY country)")
    running.read.parquet(f"{tmp_path}/profiles.parquet").createOrReplaceGlobalTempView("people_of_a_lake")
    text = (tmp_path / "project.yaml").read_text()
    for location in ("lake", "lake/*/*.parquet", f"file://{tmp_path}/lake", "table:global_temp.people_of_a_lake"):
        (tmp_path / "project.yaml").write_text(text.replace("profiles.parquet", location))
        assert decisions(loaded_project(tmp_path), as_of, Interpreted(running)) == expected, location
    for location, said in (
        ("table:nowhere.profiles", "table:nowhere.profiles: there is no such file or table"),
        ("file:///nowhere/profiles", "file:///nowhere/profiles: there is no such file or table"),
        ("nowhere", "nowhere: there is no such file"),
    ):
        (tmp_path / "project.yaml").write_text(text.replace("profiles.parquet", location))
        with pytest.raises(InvalidProjectError, match=f": {said}$"):
            decisions(loaded_project(tmp_path), as_of, Interpreted(running))
