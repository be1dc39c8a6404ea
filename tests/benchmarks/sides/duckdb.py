"""DuckDB, with SQL written by hand: a query a campaign, all campaigns at once, or just the columns they need."""

from __future__ import annotations

import shutil

import duckdb

from .. import sql
from ..projects import COLUMNS
from . import THREADS, Asked, Found, named, split

SQL = sql.Dialect("duckdb")


def each(asked: Asked) -> dict[str, Found]:
    """A query for each campaign; with ``files`` each one's audience is written, and nothing is found."""
    with _opened(asked) as connection:
        if asked.what == "files":
            out = asked.out("duckdb")
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            for campaign in asked.campaigns:
                file = out / f"{campaign.name}.parquet"
                connection.execute(
                    f"COPY ({sql.audience_file(campaign)}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)"
                )
            return {}
        queries = (
            sql.policies(campaign, asked.what)
            if asked.kind == "policies"
            else SQL.waterfall(campaign, "people", asked.what)
            for campaign in asked.campaigns
        )
        return named(asked, [_row(connection, query) for query in queries])


def at_once(asked: Asked) -> dict[str, Found]:
    """One statement for all campaigns."""
    with _opened(asked) as connection:
        return split(asked, _row(connection, SQL.at_once(asked.campaigns, "people", asked.what)))


def scan(asked: Asked) -> dict[str, Found]:
    """The floor: read each column that any campaign needs, and count what is there."""
    groups = sorted({group for campaign in asked.campaigns for group in campaign.groups})
    needed = (*COLUMNS, "reachable", "suppressed", "channel", *groups)
    with _opened(asked) as connection:
        _row(connection, f"SELECT {', '.join(f'count({name})' for name in needed)} FROM people")
    return {}


def _opened(asked: Asked) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"CREATE VIEW people AS FROM '{asked.people}'")
    for table in ("purchases", "sends"):
        connection.execute(f"CREATE VIEW {table} AS FROM '{asked.directory / table}.parquet'")
    return connection


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[object, ...]:
    row: tuple[object, ...] | None = connection.execute(query).fetchone()
    assert row
    return row
