"""What a column is declared to be is what it is, whatever was stored or could be guessed."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from sqlglot import exp

from engine import loaded_plugins
from maysend.backends.duckdb import DuckDB
from maysend.errors import SourceError
from maysend.loader import check
from maysend.model import Source

UUID = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"
LATE = "2024-06-01T23:30:00-05:00"
ROW = {"id": UUID, "at": LATE, "on": LATE, "said": "2024-03-01", "tags": ["2024-03-01"], "age": 7}


def test_text_in_json_is_as_it_is_written(tmp_path: Path) -> None:
    """A guess makes small letters of a UUID, and a no that was told under the key would be nobody's."""
    file = tmp_path / "people.jsonl"
    file.write_text(json.dumps(ROW) + "\n", "utf-8")
    columns = {"id": "text", "said": "text", "tags": "list of text", "at": "timestamp", "on": "date"}
    with DuckDB() as engine:
        engine.open("people", Source(file.name, str(file), columns))
        query = exp.select("id", "said", "tags", "CAST(at AS VARCHAR)", 'CAST("on" AS VARCHAR)', "age").from_("people")
        assert engine.rows(query) == [(UUID, "2024-03-01", ["2024-03-01"], "2024-06-01 23:30:00", "2024-06-01", 7)]


@pytest.mark.parametrize("listed", [False, True], ids=["one", "a list"])
@pytest.mark.parametrize("name", ["people.parquet", "people.jsonl"])
def test_a_float_is_no_text(tmp_path: Path, name: str, listed: bool) -> None:
    """12345678.0 is 1.2345678E7 to another engine: another key, without the answers of the first."""
    file = str(tmp_path / name)
    form = "JSON" if name.endswith("jsonl") else "PARQUET"
    stored = "[12345678.5::DOUBLE]" if listed else "12345678.5::DOUBLE"
    duckdb.sql(f"COPY (SELECT {stored} AS id) TO '{file}' (FORMAT {form})")
    with DuckDB() as engine, pytest.raises(SourceError, match=f'{name}: column "id" holds numbers with a point'):
        engine.open("people", Source(name, file, {"id": "list of text" if listed else "text"}))


def test_a_project_s_files_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers, and whoever changes the directory after, look for them where they are."""
    (tmp_path / "project.yaml").write_text("profiles: {source: people.parquet, key: id}\n", "utf-8")
    monkeypatch.chdir(tmp_path.parent)
    project, _ = check(Path(tmp_path.name), loaded_plugins())
    assert project
    assert project.root == tmp_path
    assert project.profiles.source.path == str(tmp_path / "people.parquet")
