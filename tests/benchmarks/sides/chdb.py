"""ClickHouse in process: a query a campaign, or one for all."""

from __future__ import annotations

import json
from tempfile import TemporaryDirectory

from chdb import session

from .. import sql
from . import THREADS, Asked, Found, named, split

SQL = sql.Dialect("clickhouse")
_SETTINGS = (
    f"SETTINGS max_threads = {THREADS}, max_query_size = 100000000, max_ast_elements = 10000000, max_expanded_ast_elements = 10000000,"
    " output_format_json_quote_64bit_integers = 0"
)


def each(asked: Asked) -> dict[str, Found]:
    """A query for each campaign."""
    return named(asked, _rows([SQL.waterfall(campaign, _people(asked), asked.what) for campaign in asked.campaigns]))


def at_once(asked: Asked) -> dict[str, Found]:
    """One statement for all campaigns."""
    (row,) = _rows([SQL.at_once(asked.campaigns, _people(asked), asked.what)])
    return split(asked, row)


def _people(asked: Asked) -> str:
    return f"file('{asked.people}', Parquet)"


def _rows(queries: list[str]) -> list[list[object]]:
    with TemporaryDirectory(prefix="maysend-") as directory, session.Session(directory) as opened:  # type: ignore[no-untyped-call] # chdb says no types
        answers = (opened.query(f"{query} {_SETTINGS}", "JSONCompactEachRow") for query in queries)
        return [json.loads(str(answer)) for answer in answers]
