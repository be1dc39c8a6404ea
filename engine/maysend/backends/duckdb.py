"""DuckDB: sources as views, plans as temporary tables, results as files. The only module that imports duckdb."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from ..columns import ColumnType, Kind, Table
from ..errors import SourceError
from ..model import Source
from .queries import read_query

_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
        "integer",
    ),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "float"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "timestamp"),
    "VARCHAR": "text",
    "UUID": "text",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "instant",
}
_DECLARED: Mapping[str, str] = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "decimal": "DECIMAL(28, 9)",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "instant": "TIMESTAMP WITH TIME ZONE",
    "list of text": "VARCHAR[]",
    "list of integer": "BIGINT[]",
    "list of number": "DOUBLE[]",
}
_SETTINGS = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
_NULL = "\\N"


class DuckDB:
    """One in-memory database for one run; temporary data spills to disk. Use as a context manager."""

    def __init__(self, memory: str | None = None, threads: int | None = None) -> None:
        settings: dict[str, Any] = dict(_SETTINGS)
        if threads:
            settings["threads"] = threads
        if memory:
            settings["memory_limit"] = memory
        self._connection = duckdb.connect(config=settings)
        for setting in ("SET TimeZone = 'UTC'", "SET enable_progress_bar = false"):
            self._connection.execute(setting)

    def __enter__(self) -> DuckDB:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def open(self, name: str, source: Source) -> Table:
        """Make a source readable as ``name``; its columns by name.

        Raises SourceError where files are missing, broken, or not as declared.
        """
        try:
            relation = self._relation(source)
            missing = [column for column in source.columns if column not in relation.columns]
            if missing:
                raise SourceError(f'{source.location}: has no column "{missing[0]}", which "columns" declares')
            if source.columns and not source.path.endswith((".csv", ".csv.gz", ".tsv")):
                relation = relation.project(", ".join(_projected(name, source.columns) for name in relation.columns))
            relation.create_view(name, replace=True)
            return _table(relation)
        except duckdb.Error as error:
            raise _source_error(source, error) from None

    def create(self, name: str, query: exp.Query) -> None:
        """Keep a query's rows as a temporary table, replacing one of that name."""
        created = exp.Create(
            this=_identifier(name),
            kind="TABLE",
            expression=query,
            replace=True,
            properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
        )
        self._run(created)

    def define(self, name: str, query: exp.Query) -> None:
        """Name a query, that runs whenever it is read."""
        self._run(exp.Create(this=_identifier(name), kind="VIEW", expression=query, replace=True))

    def stream(self, query: exp.Query) -> Iterator[tuple[Any, ...]]:
        """A query's rows as they come; to be read before the next query is run."""
        return _fetched(self._run(query))

    def view(self, name: str, query: exp.Query) -> None:
        """Give a query a name."""
        created = exp.Create(this=_identifier(name), kind="VIEW", expression=query, replace=True)
        created.set("properties", exp.Properties(expressions=[exp.TemporaryProperty()]))
        self._run(created)

    def rows(self, query: exp.Query) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._run(query).fetchall()
        return rows

    def land(self, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> None:
        """Keep rows as a temporary table; ``columns`` maps name to a type (``BIGINT``, ``VARCHAR``, ``BOOLEAN``…)."""
        with tempfile.TemporaryDirectory(prefix="maysend-") as directory:
            file = Path(directory) / "rows.csv"
            with file.open("w", encoding="utf-8", newline="") as out:
                writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
                writer.writerows([_NULL if value is None else value for value in row] for row in rows)
            relation = self._connection.read_csv(
                str(file),
                header=False,
                columns=dict(columns),
                auto_detect=False,
                quotechar='"',
                escapechar='"',
                delimiter=",",
                na_values=_NULL,
            )
            relation.create_view("landing", replace=True)
            self.create(name, exp.select("*").from_("landing"))

    def write(self, query: exp.Query, file: Path) -> None:
        """Write a query's rows to a Parquet or CSV file, by its ending, in the query's order."""
        relation = self._connection.sql(query.sql("duckdb"))
        try:
            if file.suffix == ".csv":
                relation.write_csv(str(file), header=True)
            else:
                relation.write_parquet(str(file), compression="zstd")
        except duckdb.Error as error:
            raise _error(error) from None

    def read(self, path: Path) -> tuple[list[str], Iterable[tuple[Any, ...]]]:
        """A Parquet file's column names, and its rows as they come."""
        try:
            cursor = self._connection.cursor()
            relation = cursor.read_parquet(str(path))
            relation.create_view("reading", replace=True)
            return list(relation.columns), _fetched(cursor.execute(exp.select("*").from_("reading").sql("duckdb")))
        except duckdb.Error as error:
            raise _source_error(Source(str(path), str(path)), error) from None

    def _relation(self, source: Source) -> duckdb.DuckDBPyRelation:
        path = source.path
        if path.endswith((".csv", ".csv.gz", ".tsv")):
            names = self._connection.read_csv(path, header=True, all_varchar=True).columns
            types = {name: _DECLARED[source.columns.get(name, "text")] for name in names}
            return self._connection.read_csv(path, header=True, dtype=types)
        if path.endswith(".sql"):
            return self._connection.sql(read_query(source).sql("duckdb"))
        if path.endswith((".json", ".jsonl", ".ndjson", ".json.gz")):
            return self._connection.read_json(path)
        return self._connection.read_parquet(path, union_by_name=True)

    def _run(self, query: exp.Expr) -> Any:
        try:
            return self._connection.execute(query.sql("duckdb", copy=False))
        except duckdb.Error as error:
            raise _error(error) from None


def _fetched(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := result.fetchmany(10_000):
        yield from rows


def _identifier(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)


def _projected(name: str, declared: Mapping[str, str]) -> str:
    column: exp.Expr = exp.column(name, quoted=True)
    if name in declared:
        column = exp.cast(column, exp.DataType.build(_DECLARED[declared[name]], dialect="duckdb"))
    return exp.alias_(column, name, quoted=True).sql("duckdb")


def _table(relation: duckdb.DuckDBPyRelation) -> dict[str, ColumnType]:
    found: dict[str, ColumnType] = {}
    for name, kind in zip(relation.columns, relation.types, strict=True):
        found |= {field: type_ for field, type_ in _fields((name,), kind) if field not in found}
    return found


def _fields(path: tuple[str, ...], kind: Any) -> Iterable[tuple[str, ColumnType]]:
    """A column and, where it is a struct, its fields under dotted names."""
    at = path if len(path) > 1 else ()
    name = kind.id
    if name == "list":
        yield ".".join(path), ColumnType("list", _kind(kind.children[0][1]), at)
        return
    yield ".".join(path), ColumnType(_kind(kind), None, at)
    if name == "struct":
        for field, inner in kind.children:
            yield from _fields((*path, field), inner)


def _kind(kind: Any) -> Kind:
    text = str(kind)
    if text.startswith("DECIMAL"):
        return "decimal"
    if text.startswith("ENUM"):
        return "text"
    return _KINDS.get(text, "other")


def _source_error(source: Source, error: duckdb.Error) -> SourceError:
    text = str(error)
    if "No files found" in text or "No such file" in text:
        return SourceError(f"{source.location}: there is no such file")
    return SourceError(f"{source.location}: {_line(text)}")


def _error(error: duckdb.Error) -> SourceError:
    return SourceError(_line(str(error)))


def _line(text: str) -> str:
    """DuckDB's message as one line: its kind, file and reason, without advice on its settings."""
    first = re.split(r"\n\s*\n|\nPossible|\nLINE \d", text.strip())[0]
    return " ".join(re.sub(r"^[A-Z][A-Za-z-]*(?: [A-Z][a-z]+)* Error: ", "", first).split())
