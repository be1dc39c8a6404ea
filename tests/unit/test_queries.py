"""A ``.sql`` file as a source: what it may read, and what makes it refused."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from maysend.backends.queries import read_paths, read_query
from maysend.errors import SourceError
from maysend.model import Source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project's directory with a file in its declared folder, and one that is nobody's business."""
    for folder in ("data", "secret"):
        (tmp_path / folder).mkdir()
        duckdb.sql(f"COPY (SELECT 1 AS id, DATE '2024-01-01' AS day) TO '{tmp_path}/{folder}/x.parquet'")
    return tmp_path


def source(root: Path, text: str) -> Source:
    (root / "q.sql").write_text(text.replace("SECRET", f"{root}/secret/x.parquet"), "utf-8")
    return Source("q.sql", str(root / "q.sql"), {}, str(root), ("data",))


@pytest.mark.parametrize(
    "text",
    [
        "FROM 'data/x.parquet'",
        "SELECT * FROM read_parquet('data/x.parquet')",
        "SELECT * FROM read_parquet(['data/x.parquet'], union_by_name = true)",
        "SELECT * FROM (FROM 'data/x.parquet')",
        "SELECT x.* FROM 'data/x.parquet' x, unnest([1])",
        "SELECT x.* FROM 'data/x.parquet' x JOIN LATERAL (SELECT x.day) ON true",
        "WITH a AS (FROM 'data/x.parquet'), b AS (FROM a) SELECT * FROM (WITH c AS (FROM b) FROM c)",
        "WITH RECURSIVE a AS (FROM 'data/x.parquet' UNION SELECT id, day FROM a) FROM a",
        "SELECT id, day FROM 'data/x.parquet' WHERE age(day, day) = INTERVAL 0 DAY",
    ],
)
def test_a_query_of_declared_folders(text: str, root: Path) -> None:
    found = source(root, text)
    assert read_paths(found) == [str(root / "data/x.parquet")]
    assert (
        duckdb.sql(read_query(found).sql("duckdb")).fetchall() == duckdb.sql("SELECT 1, DATE '2024-01-01'").fetchall()
    )


@pytest.mark.parametrize(
    "text",
    [
        "FROM 'SECRET'",
        "FROM read_parquet(['data/x.parquet', 'SECRET'])",
        "SELECT * FROM (WITH \"SECRET\" AS (SELECT 1) SELECT 1) q, 'SECRET' s",
        "SELECT * FROM (WITH duckdb_tables AS (SELECT 1) FROM duckdb_tables) q, duckdb_tables",
        "WITH a AS (FROM sqlite_master), sqlite_master AS (SELECT 1) FROM a",
        "SELECT * FROM 'data/x.parquet', LATERAL read_text('SECRET')",
        "FROM (SUMMARIZE 'SECRET')",
        "SELECT (SELECT max(id) FROM 'SECRET') FROM 'data/x.parquet'",
    ],
)
def test_nothing_else_is_read(text: str, root: Path) -> None:
    with pytest.raises(SourceError, match=r"^q\.sql: (reads|WITH) "):
        read_query(source(root, text))


@pytest.mark.parametrize(
    "changing",
    [
        "now()",
        "today()",
        "main.now()",
        "current_date",
        "current_timestamp",
        "get_current_timestamp()",
        "localtime",
        "current_localtime()",
        "localtimestamp",
        "current_localtimestamp()",
        "ago(INTERVAL 1 DAY)",
        "age(day)",
        "day.age()",
        "random()",
        "uuid()",
        "uuidv4()",
        "uuidv7()",
        "getenv('HOME')",
        "txid_current()",
    ],
)
def test_what_is_not_the_same_each_time(changing: str, root: Path) -> None:
    with pytest.raises(SourceError, match="is not the same each time; a source must be"):
        read_query(source(root, f"SELECT id FROM 'data/x.parquet' WHERE {changing} IS NOT NULL"))


@pytest.mark.parametrize("sample", ["TABLESAMPLE 10%", "USING SAMPLE 10%", "USING SAMPLE 5 ROWS"])
def test_a_sample_is_not_the_same_each_time(sample: str, root: Path) -> None:
    with pytest.raises(SourceError, match="is not the same each time; a source must be"):
        read_query(source(root, f"SELECT id FROM 'data/x.parquet' {sample}"))


def test_every_function_that_duckdb_says_changes_is_known(root: Path) -> None:
    """But those that no query can be of use with, or that tell of the database and not of when it is asked."""
    found = duckdb.sql(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
        " AND function_type = 'scalar' AND len(parameters) = 0"
    ).fetchall()
    fixed = {"current_database", "current_schema"}
    assert "uuidv7" in {name for (name,) in found}
    for (name,) in found:
        if name not in fixed:
            with pytest.raises(SourceError):
                read_query(source(root, f"SELECT {name}() AS x FROM 'data/x.parquet'"))
