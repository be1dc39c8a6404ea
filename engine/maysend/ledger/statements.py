"""Statements that go to the driver as they are: what SQLAlchemy does for each took longer than all of an append."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Select, Table
from sqlalchemy.exc import DBAPIError

_ROWS, _VALUES = 128, 512
"""The most rows of one of SQLite's inserts, and the most values that one of its queries looks for."""


def rows_of(connection: Connection, query: Select[Any]) -> list[tuple[Any, ...]]:
    """The rows of a query without values of its own, as the driver gives them."""
    return run(connection, _text(query, connection.dialect))


def write_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], *, replace: bool = False) -> None:
    """Insert rows, their values in the order of the table's columns; with ``replace`` over what has the same key.

    Many go into one statement: between statements a thread lets others run, and may wait long for its next turn.
    PostgreSQL takes an array for each column; SQLite has none, and takes a place for each value.
    """
    if connection.dialect.name == "postgresql":
        if rows:
            text = _insert_from(table, _arrays(table, connection.dialect), replace=replace)
            run(connection, text, [list(column) for column in zip(*rows, strict=True)])
        return
    start = 0
    while left := len(rows) - start:
        size = 1 << min(left, _ROWS).bit_length() - 1  # few different statements, which the driver keeps prepared
        text = _insert_from(table, _places(len(table.c), size), replace=replace)
        run(connection, text, tuple(chain.from_iterable(rows[start : start + size])))
        start += size


def rows_where(connection: Connection, table: Table, name: str, values: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows whose column ``name`` has any of the values, as the driver gives them: SQLite knows no booleans."""
    if connection.dialect.name == "postgresql":
        yield from run(connection, f"{_select(table, name)} = ANY(%s)", [list(values)])
        return
    for start in range(0, len(values), _VALUES):
        some = values[start : start + _VALUES]
        size = 1 << (len(some) - 1).bit_length()
        padded = (*some, *[some[0]] * (size - len(some)))
        yield from run(connection, f"{_select(table, name)} IN ({', '.join('?' * size)})", padded)


def run(connection: Connection, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a statement that is given to the driver as it is. Raises SQLAlchemy's DBAPIError."""
    errors = connection.dialect.dbapi
    assert errors
    cursor = connection.connection.cursor()
    try:
        cursor.execute(text, values)
        return list(cursor.fetchall()) if cursor.description else []
    except errors.Error as error:
        raise DBAPIError.instance(text, None, error, errors.Error, dialect=connection.dialect) from error
    finally:
        cursor.close()


@lru_cache(64)
def _text(query: Select[Any], dialect: Dialect) -> str:
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


@cache
def _insert_from(table: Table, source: str, *, replace: bool) -> str:
    names, key = [_quoted(column) for column in table.c], [_quoted(column) for column in table.primary_key]
    text = f"INSERT INTO {table.name} ({', '.join(names)}) {source}"
    if not replace:
        return text
    moved = ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)
    return f"{text} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {moved}"


@cache
def _places(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([row] * rows)}"


@lru_cache(64)
def _arrays(table: Table, dialect: Dialect) -> str:
    return f"SELECT * FROM unnest({', '.join(f'%s::{column.type.compile(dialect)}[]' for column in table.c)})"


@cache
def _select(table: Table, name: str) -> str:
    return f"SELECT {', '.join(map(_quoted, table.c))} FROM {table.name} WHERE {_quoted(table.c[name])}"


def _quoted(column: Column[Any]) -> str:
    return f'"{column.name}"'
