"""The same declarations through a Spark Connect server: a client without Java, and the cluster behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from spark_cluster import INTERPRETED, Cluster, connect_server, on_spark

pytestmark = [pytest.mark.soak, pytest.mark.spark]
AS_OF = ("--as-of", "1998-07-01")


@pytest.fixture(scope="module")
def server(spark: Cluster) -> Iterator[str]:
    with connect_server(spark) as found:
        yield found


def test_a_remote_server_decides_as_duckdb_does(server: str, store: Path, maysend: Callable[..., Any]) -> None:
    expected = json.loads(maysend("evaluate", *AS_OF, "--out", "out", "--json", cwd=store).stdout)
    explained = json.loads(maysend("explain", "--all", "99", *AS_OF, "--json", cwd=store).stdout)
    on_spark(store, settings=INTERPRETED, remote=server)
    without_java = {"PATH": "/nowhere", "JAVA_HOME": ""}
    for roster in (False, True):
        if roster:
            written = json.loads(maysend("roster", "--json", cwd=store, env=without_java).stdout)
            assert written["profiles"] == expected["population"]
        done = maysend("evaluate", *AS_OF, "--out", "spark", "--json", cwd=store, env=without_java)
        assert json.loads(done.stdout) == expected
        assert done.stderr == ""
        for campaign in expected["campaigns"]:
            name = campaign["name"]
            one = duckdb.sql(f"SELECT * FROM '{store}/out/{name}.parquet'").fetchall()
            parts = f"{store}/spark/campaign={name}/*.parquet"
            assert duckdb.read_parquet(parts, hive_partitioning=False).fetchall() == one
    done = maysend("explain", "--all", "99", *AS_OF, "--json", cwd=store, env=without_java)
    assert json.loads(done.stdout) == explained


def test_a_table_that_is_not_there_is_one_line(server: str, store: Path, maysend: Callable[..., Any]) -> None:
    on_spark(store, settings=INTERPRETED, remote=server)
    file = store / "project.yaml"
    file.write_text(file.read_text().replace("data/profiles.parquet", "table:nowhere.profiles"))
    done = maysend("evaluate", *AS_OF, "--no-audiences", cwd=store, code=1)
    assert done.stderr.endswith("table:nowhere.profiles: there is no such file or table\n")
    assert done.stderr.count("\n") == 1
