"""Statements compiled once, whose values go to the driver as they are: what SQLAlchemy does for each execution took
longer than all of an append."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Select, Table, bindparam, func, select
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
            arrays = {name: list(values) for name, values in zip(table.c.keys(), zip(*rows, strict=True), strict=True)}
            run(connection, _insert(table, connection.dialect, replace=replace), arrays)
        return
    one, start = _insert(table, connection.dialect, replace=replace), 0
    while left := len(rows) - start:
        size = 1 << min(left, _ROWS).bit_length() - 1  # few different statements, which the driver keeps prepared
        text = _of_rows(one, len(table.c), size)
        run(connection, text, tuple(chain.from_iterable(rows[start : start + size])))
        start += size


def rows_where(connection: Connection, table: Table, name: str, values: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows whose column ``name`` has any of the values, as the driver gives them: SQLite knows no booleans."""
    if connection.dialect.name == "postgresql":
        yield from run(connection, _select(table, name, connection.dialect, 0), {"values": list(values)})
        return
    for start in range(0, len(values), _VALUES):
        some = values[start : start + _VALUES]
        size = 1 << (len(some) - 1).bit_length()
        padded = (*some, *[some[0]] * (size - len(some)))
        yield from run(connection, _select(table, name, connection.dialect, size), padded)


def run(connection: Connection, text: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
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
def _insert(table: Table, dialect: Dialect, *, replace: bool) -> str:
    """An insert of one row with a place for each value; on PostgreSQL of rows, with a place for each column's array."""
    own: Any = import_module(f"sqlalchemy.dialects.{dialect.name}")  # either is slow to import
    insert = own.insert(table)
    if dialect.name == "postgresql":
        arrays = [bindparam(column.name, type_=own.ARRAY(column.type)) for column in table.c]
        rows_of_arrays = func.unnest(*arrays).table_valued(*table.c.keys()).render_derived()
        insert = insert.from_select(list(table.c), select(rows_of_arrays))
    else:
        insert = insert.values({column: bindparam(f"own {column.name}") for column in table.c})
    if replace:
        moved = {column.name: insert.excluded[column.name] for column in table.c if not column.primary_key}
        insert = insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=moved)
    return str(insert.compile(dialect=dialect))


@cache
def _of_rows(one: str, columns: int, rows: int) -> str:
    """An insert of one row as one of many: to compile thousands of places takes a tenth of a second."""
    row = f"({', '.join('?' * columns)})"
    assert one.count(row) == 1
    return one.replace(row, ", ".join([row] * rows))


@cache
def _select(table: Table, name: str, dialect: Dialect, values: int) -> str:
    """A query for the rows whose column has any of so many values; of none: of an array of them."""
    column = table.c[name]
    asked: ColumnElement[bool]
    if values:
        asked = column.in_([bindparam(f"value {place}") for place in range(values)])
    else:
        own: Any = import_module(f"sqlalchemy.dialects.{dialect.name}")
        asked = column == func.any(bindparam("values", type_=own.ARRAY(column.type)))
    return str(select(table).where(asked).compile(dialect=dialect))
