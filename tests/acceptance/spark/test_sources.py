"""Files that Spark would read otherwise than DuckDB does."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml
from sqlglot import exp

from decision_cases import EVERYONE
from engine import loaded_plugins, loaded_project, record, write_project
from maysend import runner
from maysend.errors import InvalidProjectError, OutputError, SourceError
from spark_cluster import Interpreted, decisions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.soak, pytest.mark.spark]
WORLD: dict[str, Any] = {
    "as_of": "2024-06-01T00:00:00Z",
    "columns": {"id": "integer", "email": "text", "country": "text"},
    "profiles": [{"id": n, "email": f"{n}@x.org", "country": ("CA", "US", None)[n % 3]} for n in range(12)],
    "channels": EVERYONE,
    "segments": {"elsewhere": {"property": "country", "not_equals": "US"}},
    "campaigns": {"elsewhere": {"channel": "email", "audience": {"include": ["elsewhere"]}}},
}
AS_OF = datetime.fromisoformat(WORLD["as_of"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_project(WORLD, tmp_path)
    record(WORLD, tmp_path)
    return tmp_path


def reading(root: Path, profiles: str) -> None:
    """Have the project read other profiles."""
    project = yaml.safe_load((root / "project.yaml").read_text())
    project["profiles"] = yaml.safe_load(profiles)
    (root / "project.yaml").write_text(yaml.safe_dump(project))


def on_both(root: Path, running: SparkSession) -> tuple[Any, Any]:
    return tuple(decisions(loaded_project(root), AS_OF, one) for one in (None, Interpreted(running)))


def test_an_empty_text_in_quotes_is_missing_in_csv(root: Path, running: SparkSession) -> None:
    rows = [f'"{n}","{n}@x.org","{("CA", "US", "")[n % 3]}"' for n in range(12)]
    (root / "people.csv").write_text("\n".join(['"id","email","country"', *rows, "12,12@x.org,"]) + "\n")
    reading(root, "{source: people.csv, key: id, columns: {id: integer}}")
    here, there = on_both(root, running)
    assert here == there
    reading(root, "{source: people.csv, key: id, columns: {id: integer, country: list of text}}")
    with pytest.raises(InvalidProjectError, match='column "country" is a list, which Spark reads from no CSV'):
        decisions(loaded_project(root), AS_OF, Interpreted(running))


@pytest.mark.parametrize("location", ["many/*.parquet", "many"])
def test_files_of_a_source_have_the_same_columns(root: Path, running: SparkSession, location: str) -> None:
    (root / "many").mkdir()
    duckdb.sql(f"COPY (FROM '{root}/profiles.parquet' WHERE id < 6) TO '{root}/many/1.parquet'")
    duckdb.sql(f"COPY (SELECT * EXCLUDE country FROM '{root}/profiles.parquet') TO '{root}/many/2.parquet'")
    reading(root, f"{{source: {location}, key: id}}")
    with pytest.raises(InvalidProjectError, match='has no column "country", unlike'):
        decisions(loaded_project(root), AS_OF, Interpreted(running))


def test_a_time_of_another_kind_to_duckdb_is_in_no_roster(root: Path, running: SparkSession) -> None:
    """Spark writes its times as INT96 unless told otherwise: points in time to Spark, and times without a zone to
    DuckDB."""
    people = running.read.parquet(f"file://{root}/profiles.parquet")
    people.selectExpr("*", "timestamp'2024-03-01 03:00:00+00' AS signed_up").write.parquet(f"file://{root}/timed")
    reading(root, "{source: timed/*.parquet, key: id}")
    session: Any = Interpreted(running)
    with (
        runner.opened(loaded_project(root), AS_OF, loaded_plugins(), session=session, roster=False) as run,
        pytest.raises(SourceError, match='column "signed_up" is instant to Spark, and timestamp to DuckDB'),
    ):
        run.write_roster()


def test_keys_without_a_sign_are_cut_at_a_target_cap(root: Path, running: SparkSession) -> None:
    """Spark reads them as decimals."""
    duckdb.sql(f"COPY (SELECT * REPLACE (id::UBIGINT AS id) FROM '{root}/profiles.parquet') TO '{root}/people.parquet'")
    (root / "campaigns/capped.yaml").write_text(
        "channel: email\ntarget_cap: {at_most: 5, when_exceeded: sample, salt: s}\n"
    )
    reading(root, "{source: people.parquet, key: id}")
    here, there = on_both(root, running)
    assert here == there
    assert "over_target_cap" in str(here)


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_declared_types_are_the_same_whatever_is_stored(root: Path, running: SparkSession, ending: str) -> None:
    """Half an age, an amount in a decimal, and in JSON a key that could be a UUID, and a time with a zone."""
    key = "upper('a0eebc99-9c0b-4ef8-bb6d-6bb9bd38' || lpad(i::VARCHAR, 4, '0'))"
    rows = f"""SELECT {key} AS id, i || '@x.org' AS email, i + 0.5::DOUBLE AS age,
        (i - 6 + 0.5)::DECIMAL(6, 1) AS sum, '2024-05-31T' || lpad(i::VARCHAR, 2, '0') || ':30:00+02:00' AS at,
        [i + 0.5::DOUBLE] AS tried FROM range(12) t(i)"""
    form = "JSON" if ending == "jsonl" else "PARQUET"
    duckdb.sql(f"COPY ({rows}) TO '{root}/people.{ending}' (FORMAT {form})")
    columns = "{id: text, age: integer, sum: integer, at: timestamp, tried: list of integer}"
    reading(root, f"{{source: people.{ending}, key: id, columns: {columns}}}")
    for name, where in {
        "even": "{property: age, in: [1, 2, 3, 4]}",
        "sums": "{property: sum, in: [-6, -4, -3, -1, 1, 2]}",
        "early": "{property: at, before: 2024-05-31T02:00:00}",
        "tried": "{property: tried, has_any: [2, 4]}",
    }.items():
        (root / "segments" / f"{name}.yaml").write_text(f"where: {where}\n")
        (root / "campaigns" / f"{name}.yaml").write_text(f"channel: email\naudience: {{include: [{name}]}}\n")
    (root / "campaigns/elsewhere.yaml").unlink()
    (root / "segments/elsewhere.yaml").unlink()
    here, there = on_both(root, running)
    assert here == there
    assert all("included" in found.values() and "not_in_audience" in found.values() for found in here.values())
    assert all(key == key.upper() for found in here.values() for key in found)


def test_a_float_declared_as_text_is_refused(root: Path, running: SparkSession) -> None:
    duckdb.sql(f"COPY (SELECT * REPLACE (id::DOUBLE AS id) FROM '{root}/profiles.parquet') TO '{root}/people.parquet'")
    reading(root, "{source: people.parquet, key: id, columns: {id: text}}")
    for session in (None, Interpreted(running)):
        with pytest.raises(InvalidProjectError, match='column "id" holds numbers with a point'):
            decisions(loaded_project(root), AS_OF, session)


def test_a_file_that_spark_would_pass_over_is_refused(root: Path, running: SparkSession) -> None:
    (root / "many").mkdir()
    duckdb.sql(f"COPY (FROM '{root}/profiles.parquet' WHERE id < 6) TO '{root}/many/1.parquet'")
    duckdb.sql(f"COPY (FROM '{root}/profiles.parquet' WHERE id >= 6) TO '{root}/many/_2.parquet'")
    reading(root, '{source: "many/*.parquet", key: id}')
    with pytest.raises(InvalidProjectError, match=r"_2\.parquet: Spark reads no file whose name starts with _"):
        decisions(loaded_project(root), AS_OF, Interpreted(running))


def test_a_running_session_goes_on_as_it_was(root: Path, running: SparkSession) -> None:
    """Settings of its own change no answer either."""
    (root / "segments/elsewhere.yaml").write_text('where: {property: email, matches: "^1.?@x\\\\.org$"}\n')
    expected = runner.decide(loaded_project(root), AS_OF, loaded_plugins())
    project = yaml.safe_load((root / "project.yaml").read_text())
    settings = {"spark.sql.parser.escapedStringLiterals": "true", "spark.sql.timestampType": "TIMESTAMP_NTZ"}
    project["engine"] = {"type": "spark", "master": running.sparkContext.master, "settings": settings}
    (root / "project.yaml").write_text(yaml.safe_dump(project))
    running.range(1).createOrReplaceTempView("profiles")
    running.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        with runner.opened(loaded_project(root), AS_OF, loaded_plugins()) as run:
            assert len(run.backend.rows(exp.select("id").from_("profiles"))) == 12
        assert runner.decide(loaded_project(root), AS_OF, loaded_plugins()) == expected
        assert running.table("profiles").count() == 1
        assert running.conf.get("spark.sql.session.timeZone") == "America/New_York"
    finally:
        running.conf.unset("spark.sql.session.timeZone")
        running.catalog.dropTempView("profiles")


def test_directories_of_others_are_not_left_overs(tmp_path: Path) -> None:
    from maysend.backends.duckdb import DuckDB
    from maysend.backends.spark_shared import Shared

    others = [tmp_path / name for name in ("spark-events", "spark-4.0-bin-hadoop3", "spark-0123456789abcdef0")]
    left = tmp_path / "spark-0123456789abcdef"
    for directory in (*others, left):
        directory.mkdir()
        os.utime(directory, (0, 0))
    with DuckDB() as local:
        Shared(tmp_path, local).remove()
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_a_link_to_nowhere_is_one_line(root: Path, running: SparkSession) -> None:
    (root / "profiles2.parquet").symlink_to("nowhere")
    reading(root, '{source: "profiles*.parquet", key: id}')
    with pytest.raises(InvalidProjectError, match=r"profiles2\.parquet cannot be read: No such file"):
        decisions(loaded_project(root), AS_OF, Interpreted(running))


def test_what_workers_write_must_be_seen_here(
    root: Path, running: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that does not share the directory makes one of its own, and tells nobody."""
    monkeypatch.setattr("maysend.backends.spark_shared.Shared.rows_in", lambda *_: 0)
    with pytest.raises(OutputError, match="this machine does not see what the workers wrote there; it must be shared"):
        decisions(loaded_project(root), AS_OF, Interpreted(running))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            ": java.lang.OutOfMemoryError: Java heap space\n\tat x",
            "Spark has too little memory; `settings` give it more",
        ),
        (
            ": java.lang.OutOfMemoryError: Not enough memory to build and broadcast the table",
            "Spark has too little memory",
        ),
        (
            ": org.apache.spark.SparkException: Job aborted: so\n\tat x",
            "org.apache.spark.SparkException: Job aborted: so",
        ),
    ],
)
def test_what_java_says_is_the_reason_and_not_the_call(told: str, said: str) -> None:
    from maysend.backends.spark_words import line  # where there is a pyspark

    assert line(Exception(f"An error occurred while calling o409.parquet.\n{told}")).startswith(said)
