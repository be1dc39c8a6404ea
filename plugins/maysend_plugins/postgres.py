"""A table in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maysend import CloudEvent, DeliveryError, SinkType, hookimpl

_SETTINGS = {
    "url": {
        "type": "string",
        "pattern": "^postgres(ql)?://[^\\s]+$",
        "title": "the URL of a PostgreSQL database",
        "examples": ["postgresql://localhost/warehouse"],
        "description": "The database.",
    },
    "table": {
        "type": "string",
        "pattern": "^([A-Za-z_][A-Za-z0-9_]*\\.)?[A-Za-z_][A-Za-z0-9_]*$",
        "title": "a table, or a schema and a table with a dot between",
        "default": "maysend_events",
        "description": "The table, which is made where it is missing.",
    },
}


@hookimpl
def register_sink_types() -> list[SinkType]:
    """Inserts rows of `event_id`, `seq`, `occurred_at` and `event` (the CloudEvent), each event once."""
    return [SinkType(name="postgres", open=PostgresTable, settings=_SETTINGS, required=("url",))]


class PostgresTable:
    """Every call is one transaction."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        try:
            import psycopg
            from psycopg import sql
        except ModuleNotFoundError:
            raise DeliveryError("needs psycopg; run `pip install 'maysend[postgres]'`") from None
        table = sql.Identifier(*settings.get("table", "maysend_events").split("."))
        create = (
            "CREATE TABLE IF NOT EXISTS {} (event_id text PRIMARY KEY, seq bigint NOT NULL,"
            " occurred_at timestamptz NOT NULL, event jsonb NOT NULL)"
        )
        insert = "INSERT INTO {} VALUES (%s, %s, %s, %s) ON CONFLICT (event_id) DO NOTHING"
        self._insert = sql.SQL(insert).format(table)
        options = "-c statement_timeout=30000"
        try:
            self._connection = psycopg.connect(settings["url"], connect_timeout=5, options=options)
        except psycopg.ProgrammingError:  # which quotes the URL, with the password
            raise DeliveryError("the URL cannot be read; write what is special in a password as %2F or %25") from None
        with self._connection.transaction():
            self._connection.execute("SET LOCAL client_min_messages = error")
            self._connection.execute(sql.SQL(create).format(table))

    def deliver(self, events: Sequence[CloudEvent]) -> None:
        rows = [(event.id, event.seq, event.data["occurred_at"], event.body.decode()) for event in events]
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(self._insert, rows)

    def close(self) -> None:
        self._connection.close()
