"""The same declarations on a real Spark, with a roster and without: every decision is the one that DuckDB makes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from decision_cases import contents, world_of
from drawing import World, worlds
from engine import loaded_plugins, loaded_project, record_around
from maysend import runner
from maysend.errors import InvalidProjectError
from spark_cluster import Cluster, Decisions, Interpreted, decisions, on_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.soak, pytest.mark.spark]
DRAWN = 6
AT_ONCE = 3
"""How many worlds are decided at the same time."""
AS_OF = ("--as-of", "1998-07-01")
ROWS = 500_000
WAYS = {"in parts": (ROWS, -1), "in Spark's SQL": (-1, -1)}
"""How many rows go to every worker, and how many are kept in this process; there are never fewer than 0."""


def differences(
    world: Mapping[str, Any], running: SparkSession, rosters: Sequence[bool] = (False, True)
) -> dict[str, Any]:
    """Of each campaign the profiles that Spark decides otherwise than DuckDB: the reasons on DuckDB, on Spark, and on
    Spark by a roster that knows of half of the facts, by key; or with only one of ``rosters``."""
    given = Interpreted(running)

    def write(directory: Path) -> None:
        project, now = loaded_project(directory), datetime.now(UTC)
        with runner.opened(project, now, loaded_plugins(), session=given, roster=False) as run:  # type: ignore[arg-type] # stands in
            run.write_roster()

    with tempfile.TemporaryDirectory() as name:
        record_around(world, Path(name), write)
        project, as_of = loaded_project(Path(name)), datetime.fromisoformat(world["as_of"])
        expected = decisions(project, as_of, None)
        found = [decisions(project, as_of, given, roster=roster) for roster in rosters]
    assert all(one.keys() == expected.keys() for one in found)
    return {name: different for name in expected if (different := _different(name, expected, found))}


def _different(name: str, expected: Decisions, found: list[Decisions]) -> dict[str, tuple[str, ...]]:
    assert all(one[name].keys() == expected[name].keys() for one in found)
    together = {key: (reason, *(one[name][key] for one in found)) for key, reason in expected[name].items()}
    return {key: reasons for key, reasons in together.items() if len(set(reasons)) > 1}


Compared = Mapping[str, Future[dict[str, Any]]]
"""Of each case by its name what is decided otherwise, once that is known."""


@contextmanager
def compared(
    stems: Iterable[str], running: SparkSession, rosters: Sequence[bool] = (False, True)
) -> Iterator[Compared]:
    """The worlds of files of cases compared, a few at a time: most of it is waiting."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield {
            f"{stem}: {name}": pool.submit(differences, world, running, rosters)
            for stem in stems
            for name, world in world_of(contents()[stem])
        }
    finally:
        pool.shutdown(cancel_futures=True)


def different(found: Compared, stem: str = "") -> dict[str, dict[str, Any]]:
    """The cases of a file that are decided otherwise, and how."""
    cases = {name: one.result() for name, one in found.items() if name.startswith(stem)}
    assert cases
    return {name: one for name, one in cases.items() if one}


@pytest.fixture(scope="module")
def cases(request: pytest.FixtureRequest, running: SparkSession) -> Iterator[Compared]:
    chosen = [
        item.callspec.params.get("stem")
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    with compared([stem for stem in contents() if stem in chosen], running) as found:
        yield found


@pytest.mark.parametrize("stem", list(contents()))
def test_cases_are_decided_as_on_duckdb(stem: str, cases: Compared) -> None:
    assert different(cases, f"{stem}: ") == {}


@pytest.mark.parametrize("way", WAYS)
def test_many_rows_change_no_decision(way: str, running: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maysend.backends.spark._FEW", WAYS[way][0])
    monkeypatch.setattr("maysend.backends.spark._HERE", WAYS[way][1])
    with compared(["policies", "interests", "groups"], running, [True]) as found:
        assert different(found) == {}


def test_drawn_projects_are_decided_as_on_duckdb(running: SparkSession) -> None:
    drawn: list[World] = []
    unchecked = settings(
        max_examples=DRAWN,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    seed(DRAWN)(unchecked(given(world=worlds())(lambda world: drawn.append(world))))()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = [(world, pool.submit(differences, world, running)) for world in drawn]
    valid = [(world, one) for world, one in asked if not isinstance(one.exception(), InvalidProjectError)]
    assert len(valid) >= DRAWN // 2
    for world, one in valid:
        assert one.result() == {}, world


def test_one_changed_line_runs_a_project_on_a_cluster(spark: Cluster, store: Path, maysend: Callable[..., Any]) -> None:
    expected = json.loads(maysend("evaluate", *AS_OF, "--out", "out", "--json", cwd=store).stdout)
    on_spark(store, master=spark.master)
    done = maysend("evaluate", *AS_OF, "--out", "spark", "--json", cwd=store)
    assert json.loads(done.stdout) == expected
    assert done.stderr == ""
    same_audiences(store)
    written = json.loads(maysend("roster", "--json", cwd=store).stdout)
    assert written["profiles"] == expected["population"]
    assert written["file"].endswith(".parquet")
    done = maysend("evaluate", *AS_OF, "--out", "spark", "--json", cwd=store)
    assert json.loads(done.stdout) == expected
    assert done.stderr == ""
    same_audiences(store)
    assert not list((store / ".maysend").glob("spark-*"))


def same_audiences(store: Path) -> None:
    """``spark`` holds row by row the audiences that are in ``out``, in the same order."""
    manifest = json.loads((store / "spark" / "manifest.json").read_text())
    for campaign in manifest["campaigns"]:
        directory = store / "spark" / campaign["file"]
        assert campaign["file"] == f"campaign={campaign['name']}"
        one = duckdb.sql(f"SELECT * FROM '{store}/out/{campaign['name']}.parquet'").fetchall()
        parts = [
            duckdb.read_parquet(str(part), hive_partitioning=False).fetchall()
            for part in sorted(directory.glob("*.parquet"))
        ]
        assert [row for rows in parts for row in rows] == one
        assert campaign["rows"].startswith(f"{len(one)}:")
