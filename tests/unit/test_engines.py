"""Which engine runs a project, and one clear line where it is not there."""

from __future__ import annotations

import socket
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from maysend import loader, plugins
from maysend.backends.backend import connect
from maysend.backends.duckdb import DuckDB
from maysend.errors import MaysendError, SourceError
from maysend.model import Project, Source

needs_pyspark = pytest.mark.skipif(not find_spec("pyspark"), reason="pyspark is not installed (extra: spark)")


def project(root: Path, engine: str) -> Project:
    (root / "project.yaml").write_text(f"profiles: {{source: 's3a://lake/profiles', key: id}}\nengine: {engine}\n")
    return loader.load(root, plugins.load())


def test_duckdb_is_the_engine_unless_another_is_declared(tmp_path: Path) -> None:
    for engine in ("{type: duckdb}", "{type: duckdb, snapshots: elsewhere}"):
        with connect(project(tmp_path, engine)) as backend:
            assert isinstance(backend, DuckDB)


@pytest.mark.parametrize("location", ["table:lake.profiles", "s3a://lake/profiles"])
def test_duckdb_says_what_only_spark_reads(location: str) -> None:
    with (
        DuckDB() as backend,
        pytest.raises(SourceError, match=rf"^{location}: is not a file here; declare `engine: {{type: spark}}`"),
    ):
        backend.open("profiles", Source(location, location))


def test_a_uri_stays_as_it_is(tmp_path: Path) -> None:
    assert project(tmp_path, "{type: spark}").profiles.source.path == "s3a://lake/profiles"


def test_what_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("pyspark", "maysend.backends.spark"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("maysend.backends.spark", raising=False)
    monkeypatch.delattr("maysend.backends.spark_sessions", raising=False)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with (
        pytest.raises(MaysendError, match=r"^engine: Spark needs pyspark; run `pip install 'maysend\[spark\]'`$"),
        connect(project(tmp_path, "{type: spark}")),
    ):
        pass


@needs_pyspark
def test_java_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    with (
        pytest.raises(SourceError, match=r"^engine: Spark needs Java 17 or newer"),
        connect(project(tmp_path, "{type: spark}")),
    ):
        pass


@needs_pyspark
@pytest.mark.parametrize(("key", "scheme"), [("master", "spark"), ("remote", "sc")])
def test_a_cluster_that_is_not_there_is_said_at_once(tmp_path: Path, key: str, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"{scheme}://127.0.0.1:{free.getsockname()[1]}"
    started = time.monotonic()
    with (
        pytest.raises(SourceError, match=f"^engine: there is no Spark at {place} "),
        connect(project(tmp_path, f"{{type: spark, {key}: '{place}'}}")),
    ):
        pass
    assert time.monotonic() - started < 10
