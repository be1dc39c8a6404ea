"""DuckDB's types, as columns are declared and as conditions see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from ..columns import ColumnType, Kind
from ..errors import SourceError
from ..model import Source

_TEXTS = {"UUID": "text", "UUID[]": "list of text"}
"""Types that are text to people, but cannot be compared with a text that is none of theirs."""
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
        "integer",
    ),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "float"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "timestamp"),
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "instant",
}
DECLARED: Mapping[str, str] = {
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
UNWRITTEN = 'column "{}" holds numbers with a point, which engines write in different ways: it cannot be declared text'
"""Why a float is no text: its key would be another on another engine, and answers under the first would be lost."""

_AS_WRITTEN = {"text": "VARCHAR", "list of text": "VARCHAR[]", "date": "VARCHAR", "timestamp": "VARCHAR"}
"""What JSON is read as where these are declared."""


def texts_of(relation: duckdb.DuckDBPyRelation) -> dict[str, str]:
    """The columns that must become text to be compared with any, as if their types were declared."""
    types = zip(relation.columns, map(str, relation.types), strict=True)
    return {name: _TEXTS[type_] for name, type_ in types if type_ in _TEXTS}


def as_written(relation: duckdb.DuckDBPyRelation, source: Source) -> dict[str, str]:
    """The types to read JSON with: those guessed, but for what is declared to be text, a date or a time without a
    zone the letters as they are, of which a guess may make others (a UUID in small letters, another hour).

    Raises SourceError as ``check_declared``.
    """
    check_declared(relation, source)
    texts = {name: _AS_WRITTEN[type_] for name, type_ in source.columns.items() if type_ in _AS_WRITTEN}
    types = zip(relation.columns, map(str, relation.types), strict=True)
    return {name: texts.get(name, type_) for name, type_ in types}


def check_declared(relation: duckdb.DuckDBPyRelation, source: Source) -> None:
    """Raises SourceError where a float is declared as text."""
    for name, type_ in zip(relation.columns, map(str, relation.types), strict=True):
        if source.columns.get(name) in ("text", "list of text") and type_.removesuffix("[]") in ("FLOAT", "DOUBLE"):
            raise SourceError(f"{source.location}: {UNWRITTEN.format(name)}")


def table_of(relation: duckdb.DuckDBPyRelation) -> dict[str, ColumnType]:
    """A relation's columns by name, and the fields of its structs under dotted names."""
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
