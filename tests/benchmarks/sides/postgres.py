"""PostgreSQL with an index on each column that conditions ask about: a query a campaign."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

import duckdb
import psycopg

from .. import sql
from ..projects import COLUMNS
from . import THREADS, Asked, Found, named

URL = os.environ.get("MAYSEND_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
SQL = sql.Dialect("postgresql")
_TYPES = {"VARCHAR": "text", "VARCHAR[]": "text[]", "DOUBLE": "double precision"}


def each(asked: Asked) -> dict[str, Found]:
    """A query for each campaign, over what ``loaded`` has loaded."""
    with psycopg.connect(URL, options=f"-c search_path={_schema(asked)}", autocommit=True) as server:
        server.execute(f"SET max_parallel_workers_per_gather = {THREADS - 1}")
        server.execute("SET work_mem = '256MB'")
        rows = [
            server.execute(SQL.waterfall(campaign, "people", asked.what)).fetchone() for campaign in asked.campaigns
        ]
    return named(asked, [row or () for row in rows])


def unreachable() -> str | None:
    """Why the server cannot be asked, None where it can."""
    try:
        psycopg.connect(URL, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        return str(error).splitlines()[0]
    return None


@contextmanager
def loaded(asked: Asked) -> Iterator[None]:
    """The people in a schema of their own, indexed and analysed, until the end.

    Raises psycopg.OperationalError where no server listens.
    """
    with psycopg.connect(URL, autocommit=True, connect_timeout=3) as server:
        schema = _schema(asked)
        server.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        server.execute(f"CREATE SCHEMA {schema}")
        try:
            server.execute(f"SET search_path = {schema}")
            _load(server, asked)
            yield
        finally:
            server.execute(f"DROP SCHEMA {schema} CASCADE")


def _schema(asked: Asked) -> str:
    """One for each place where tables are kept, so that two runs do not meet."""
    return f"maysend_{sha256(str(asked.people).encode()).hexdigest()[:16]}"


def _load(server: psycopg.Connection, asked: Asked) -> None:
    people = duckdb.connect().execute(f"FROM '{asked.people}'")
    kinds = [(name, str(kind)) for name, kind, *_ in people.description or ()]
    columns = ", ".join(f"{name} {_TYPES.get(kind, kind)}" for name, kind in kinds)
    server.execute(f"CREATE UNLOGGED TABLE people ({columns})")
    with server.cursor() as cursor, cursor.copy("COPY people FROM STDIN") as copy:
        while rows := people.fetchmany(10_000):
            for row in rows:
                copy.write_row(row)
    server.execute("ALTER TABLE people ADD PRIMARY KEY (id)")
    for name in COLUMNS:
        method = "gin" if name == "interests" else "btree"
        server.execute(f"CREATE INDEX ON people USING {method} ({name})")
    server.execute("VACUUM (ANALYZE) people")
