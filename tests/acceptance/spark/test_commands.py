"""Every command that decides says on Spark what it says on DuckDB, of the CDNOW store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from serving import KEY
from spark_cluster import INTERPRETED, Cluster, on_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.soak, pytest.mark.spark]
AS_OF = ("--as-of", "1998-07-01")
COMMANDS = {
    "report": ("report", *AS_OF),
    "diff": ("diff", "../base", *AS_OF, "--sample", "3"),
    "evaluate": ("evaluate", "win_back", "summer_sale", *AS_OF, "--no-audiences", "--sample", "3"),
    "explain": ("explain", "--all", "99", *AS_OF),
    "explain of one who shares an address, and is over a cap": ("explain", "--all", "302", *AS_OF),
    "status": ("status", "--channel", "email", "--profile", "99"),
    "validate": ("validate",),
}


@pytest.fixture
def base(imported: Path, store: Path, tmp_path: Path) -> Path:
    """The store as it was, beside one with two changed lines."""
    shutil.copytree(imported, tmp_path / "base")
    for file, old, new in (
        ("segments/lapsed_regulars.yaml", "at_least: 3", "at_least: 2"),
        ("campaigns/summer_sale.yaml", "at_most: 15000", "at_most: 14000"),
    ):
        text = (store / file).read_text()
        assert text.count(old) == 1, text
        (store / file).write_text(text.replace(old, new))
    return tmp_path / "base"


@pytest.mark.parametrize("roster", [False, True], ids=["without a roster", "with a roster"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_what_it_says_on_duckdb(
    command: str,
    roster: bool,
    base: Path,
    spark: Cluster,
    running: SparkSession,  # which commands in this process take over
    store: Path,
    here_json: Callable[..., Any],
) -> None:
    expected = _without_revision(here_json(*COMMANDS[command], cwd=store))
    on_spark(store, settings=INTERPRETED, master=spark.master)
    if roster:
        here_json("roster", cwd=store)
    assert _without_revision(here_json(*COMMANDS[command], cwd=store)) == expected


@pytest.mark.parametrize("roster", [False, True], ids=["without a roster", "with a roster"])
def test_profiles_are_exported_as_on_duckdb(
    roster: bool, spark: Cluster, running: SparkSession, store: Path, here: Callable[..., Any]
) -> None:
    here("export", "--profiles", "--out", "expected.parquet", cwd=store)
    on_spark(store, settings=INTERPRETED, master=spark.master)
    if roster:
        here("roster", cwd=store)
    here("export", "--profiles", "--out", "found.parquet", cwd=store)
    one, other = (duckdb.read_parquet(str(store / f"{name}.parquet")).order("ALL") for name in ("expected", "found"))
    assert one.columns == other.columns
    assert one.fetchall() == other.fetchall()


def _without_revision(said: Any) -> Any:
    """That of ``project.yaml`` changes with the line that says where plans run."""
    if "head" in said:
        del said["head"]["revision"]
    return said


def test_links_of_an_audience_are_those_of_duckdb(
    spark: Cluster,
    running: SparkSession,
    store: Path,
    here: Callable[..., Any],
    here_json: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAYSEND_KEYS", KEY)
    (store / "segments/nobody.yaml").write_text("title: Nobody\nwhere: {property: customer_id, less_than: 0}\n")
    (store / "campaigns/silence.yaml").write_text("title: Silence\nchannel: email\naudience: {include: [nobody]}\n")
    campaigns = ("win_back", "silence")

    def links(place: str) -> list[Any]:
        here("evaluate", *campaigns, *AS_OF, "--out", f"out {place}", cwd=store)
        found = [here_json("links", "win_back", "--profile", "4001", cwd=store)]
        for campaign in campaigns:
            for name, arguments in ((f"then {place}", ("--audiences", f"out {place}")), (f"now {place}", ())):
                file = store / f"{campaign} {name}.parquet"
                here("links", campaign, "--out", file.name, *arguments, cwd=store)
                written = duckdb.read_parquet(str(file))
                found.append((written.columns, written.types, written.fetchall()))
        return found

    expected = links("on duckdb")
    assert [len(rows) for *_, rows in expected[3:]] == [0, 0]
    on_spark(store, settings=INTERPRETED, master=spark.master)
    found = links("on spark")
    assert found == expected
    assert not list((store / ".maysend").glob("spark-*"))
