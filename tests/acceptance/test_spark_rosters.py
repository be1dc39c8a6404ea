"""A roster on Spark: DuckDB on the workers reads it part by part, and every decision is the one made without."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from decision_cases import contents, world_of
from engine import loaded_plugins, loaded_project, record_around
from maysend import runner
from spark_cluster import EXECUTORS, Cluster, Interpreted, cluster, decisions, losing_a_worker, read, session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.soak, pytest.mark.spark]
CONFIG = Path(__file__).parents[2] / "config"
AS_OF = ("--as-of", "1998-07-01")
ROWS = 500_000
WAYS = {"in few tables": (ROWS, ROWS), "in parts": (ROWS, -1), "in Spark's SQL": (-1, -1)}
"""How many rows go to every worker, and how many are kept in this process; there are never fewer than 0."""


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("spark")) as found:
        yield found


@pytest.fixture(scope="module")
def running(spark: Cluster) -> Iterator[SparkSession]:
    with session(spark.master) as found:
        yield found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, maysend: Callable[..., Any]) -> Path:
    """The CDNOW project with everybody's answers imported."""
    root = tmp_path_factory.mktemp("store") / "config"
    shutil.copytree(CONFIG, root, ignore=shutil.ignore_patterns(".maysend", "out"))
    maysend("import", "--create", "data/answers.csv", cwd=root)
    return root


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stem", ["policies", "interests", "groups"])
def test_a_roster_changes_no_decision(
    stem: str, way: str, running: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maysend.backends.spark._FEW", WAYS[way][0])
    monkeypatch.setattr("maysend.backends.spark._HERE", WAYS[way][1])
    given = Interpreted(running)

    def write(directory: Path) -> None:
        project, plugins = loaded_project(directory), loaded_plugins()
        with runner.opened(project, datetime.now(UTC), plugins, session=given, roster=False) as run:  # type: ignore[arg-type] # stands in
            run.write_roster()

    for name, world in world_of(contents()[stem]):
        with tempfile.TemporaryDirectory() as directory:
            record_around(world, Path(directory), write)
            project, as_of = loaded_project(Path(directory)), datetime.fromisoformat(world["as_of"])
            with runner.opened(project, as_of, loaded_plugins(), session=given) as run:  # type: ignore[arg-type] # stands in
                assert run.catalog.roster
                assert read(run) == runner.decide(project, as_of, loaded_plugins()), name


def on_spark(root: Path, spark: Cluster, python: str = sys.executable) -> None:
    """Change the one line of project.yaml that says where plans run."""
    file = root / "project.yaml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("engine:")]
    settings = {**EXECUTORS, "spark.pyspark.python": python}
    engine = {"type": "spark", "master": spark.master, "settings": settings}
    file.write_text("\n".join([*lines, f"engine: {json.dumps(engine)}", ""]))


def test_a_command_on_a_cluster_reads_the_roster(spark: Cluster, store: Path, maysend: Callable[..., Any]) -> None:
    expected = json.loads(maysend("evaluate", *AS_OF, "--no-audiences", "--json", cwd=store).stdout)
    on_spark(store, spark)
    written = json.loads(maysend("roster", "--json", cwd=store).stdout)
    assert written["profiles"] == expected["population"]
    assert written["file"].endswith(".parquet")
    done = maysend("evaluate", *AS_OF, "--out", "spark", "--json", cwd=store)
    assert json.loads(done.stdout) == expected
    assert done.stderr == ""


def test_a_worker_without_duckdb_is_one_line(
    spark: Cluster, store: Path, tmp_path: Path, maysend: Callable[..., Any]
) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" -S "$@"\n')
    bare.chmod(0o755)
    on_spark(store, spark)
    maysend("roster", cwd=store)
    on_spark(store, spark, str(bare))
    done = maysend("evaluate", *AS_OF, "--no-audiences", cwd=store, code=1)
    assert done.stderr.startswith("the workers' Python has no pyarrow, which reading a roster needs; install duckdb")
    assert done.stderr.count("\n") == 1


def test_a_run_goes_on_when_a_worker_is_killed(spark: Cluster, running: SparkSession, store: Path) -> None:
    project, as_of = replace(loaded_project(store), engine=None), datetime.fromisoformat("1998-07-01T00:00:00+00:00")
    expected = decisions(project, as_of, None)
    with runner.opened(project, as_of, loaded_plugins(), session=running, roster=False) as run:
        run.write_roster()
    with runner.opened(project, as_of, loaded_plugins(), session=running) as run:
        assert run.catalog.roster
    with losing_a_worker(spark, running):
        assert decisions(project, as_of, running) == expected
