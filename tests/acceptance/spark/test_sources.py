"""Files that Spark would read otherwise than DuckDB does."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml

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
