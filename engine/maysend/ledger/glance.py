"""A look at what a ledger remembers of groups, with no more than Python's own driver where that is enough."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ..events import Default

SCHEMA = "0003"
"""The newest migration: what a database must be at to be used."""

_FILE = "sqlite:///"


class KnownGroup(NamedTuple):
    """What the ledger remembers of a group; ``acknowledged`` is what its file last said of a change of its default."""

    channel: str
    default: Default
    acknowledged: str | None = None


def known_groups(url: str, root: Path) -> dict[str, KnownGroup]:
    """Every group that a ledger has ever seen declared, by name; it is opened where a look is not enough.

    Raises LedgerError as ``open_ledger`` does.
    """
    if url.startswith(_FILE) and (found := _glance(root / url.removeprefix(_FILE))) is not None:
        return found
    from .ledger import open_ledger

    with open_ledger(url, root) as ledger:
        return ledger.known_groups()


def _glance(file: Path) -> dict[str, KnownGroup] | None:
    """What a file of SQLite's remembers; None where it is not at ``SCHEMA``, people were erased from it (which takes a
    key to open), or it cannot be read without writing."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
            at = connection.execute("SELECT version_num FROM maysend_schema").fetchall()
            erased = connection.execute("SELECT 1 FROM tombstones LIMIT 1").fetchone()
            groups = connection.execute(
                "SELECT name, channel, default_status, acknowledged FROM known_groups"
            ).fetchall()
    except sqlite3.Error:
        return None
    return None if at != [(SCHEMA,)] or erased else {name: KnownGroup(*said) for name, *said in groups}
