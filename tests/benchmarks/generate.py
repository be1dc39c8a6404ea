"""Seeded tables of any size, the same each time: DuckDB writes them as Parquet, row by row from hashes of the key.

Under one directory, for a number of profiles:

- ``profiles.parquet``, ``purchases.parquet``, ``sends.parquet``: what a project declares;
- ``answers/NAME/``: a ledger and its snapshot; ``profiles`` has answers of profiles alone, ``both`` of addresses too;
- ``people/NAME.parquet``: the same profiles with those answers folded beforehand, for every other side: the normalized
  address, whether it is ``reachable`` and ``suppressed``, and whether the ``channel`` and each group are subscribed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb
from sqlglot import exp

from maysend import loader, plugins, runner, snapshot
from maysend.backends.duckdb import DuckDB
from maysend.events import Fact
from maysend.ledger import open_ledger
from maysend.model import Source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Answers = Literal["profiles", "both"]

AS_OF = datetime(2025, 1, 1, tzinfo=UTC)
GROUPS = [f"group_{number:02}" for number in range(20)]
OPT_IN = GROUPS[4::5]
APPENDED = 1_000
"""The answers of the first so many keys are appended to the ledger; everybody else's are in its snapshot."""

_PROFILES = """
    SELECT i AS id,
        CASE WHEN h1 % 50 = 0 THEN NULL WHEN h1 % 50 = 1 THEN ' Person' || i || '@Example.com ' WHEN h1 % 200 = 2 THEN 'person ' || i
            ELSE 'person' || i || '@example.com' END AS email,
        CASE WHEN h1 % 50 = 0 THEN NULL ELSE 'person' || (i - (hash(i, 9) % 50 = 0)::BIGINT) || '@example.com' END AS shared_email,
        CASE WHEN h2 % 40 = 0 THEN NULL ELSE 'C' || lpad((h2 // 40 % 60)::VARCHAR, 2, '0') END AS country,
        CASE WHEN h3 % 25 = 0 THEN NULL ELSE 18 + h3 // 25 % 70 END::INTEGER AS age,
        CASE WHEN h4 % 30 = 0 THEN NULL ELSE h4 // 30 % 100000 / 100.0 END::DOUBLE AS spent,
        DATE '2014-01-01' + (h5 % 4000)::INTEGER AS joined,
        ['free', 'basic', 'plus', 'pro', 'staff'][1 + (h6 % 5)::INTEGER] AS plan,
        'city ' || (h7 % 1000) AS city,
        CASE WHEN h8 % 20 > 0 THEN list_transform([h8 // 20 % 40, h8 // 800 % 40, h8 // 32000 % 40][1:(h8 // 1280000 % 4)::INTEGER],
            lambda n: 'interest ' || n) END AS interests
    FROM (
        SELECT i, hash(i, 1) AS h1, hash(i, 2) AS h2, hash(i, 3) AS h3, hash(i, 4) AS h4, hash(i, 5) AS h5, hash(i, 6) AS h6,
            hash(i, 7) AS h7, hash(i, 8) AS h8
        FROM range(1, {profiles} + 1) AS t(i)
    )
"""
_PURCHASES = """
    SELECT (1 + hash(i, 11) % {profiles})::BIGINT AS id,
        TIMESTAMP '2023-01-01' + to_seconds((hash(i, 12) % 63072000)::BIGINT) AS at,
        (hash(i, 13) % 20000 / 100.0)::DOUBLE AS amount,
        'genre ' || (hash(i, 14) % 30) AS genre
    FROM range(1, 3 * {profiles} + 1) AS t(i)
"""
_SENDS = """
    SELECT (1 + hash(i, 21) % greatest({profiles} // 4, 1))::BIGINT AS id,
        CASE WHEN hash(i, 22) % 5 = 0 THEN 'sms' ELSE 'email' END AS channel,
        TIMESTAMP '2024-12-01' + to_seconds((hash(i, 23) % 2678400)::BIGINT) AS at
    FROM range(1, {profiles} + 1) AS t(i)
"""

_LEVELS: dict[str, dict[str, Any]] = {
    "profile": {"salt": 40, "percent": 30, "bounced": 0, "subject": "i::VARCHAR"},
    "address": {"salt": 60, "percent": 5, "bounced": 2, "subject": "'person' || i || '@example.com'"},
}
"""Who answers: a share of all profiles, and of all addresses. Of those, ``bounced`` in 100 did, and said nothing more."""

_SUBJECTS = """
    SELECT i, subject, bounced, TIMESTAMP '2024-01-01' + to_seconds((h1 % 25920000)::BIGINT) AS channel_at,
        CASE WHEN bounced OR h2 % 100 < 4 THEN false WHEN h2 % 100 = 4 THEN true END AS channel,
        list_distinct([h3 % 20, h3 // 20 % 20, h3 // 400 % 20][1:CASE WHEN bounced THEN 0 ELSE [1, 1, 1, 2, 2, 3][1 + (h3 // 8000 % 6)::INTEGER] END]) AS groups
    FROM (
        SELECT i, {subject} AS subject, hash(i, {salt} + 1) AS h1, hash(i, {salt} + 2) AS h2, hash(i, {salt} + 3) AS h3,
            hash(i, {salt} + 4) % 100 < {bounced} AS bounced
        FROM range(1, {profiles} + 1) AS t(i) WHERE hash(i, {salt}) % 100 < {percent}
    )
"""
"""A row for each who answered: for the whole channel or not at all (NULL), and for one to three groups."""

_FACTS = """
    SELECT i, '{level}' AS level, subject, place, subscribed, said_at, bounced AND place = 20 AS bounced,
        subscribed AND (place = 20 OR coalesce(channel, true) OR said_at > channel_at) AS yes
    FROM (
        SELECT *, 20 AS place, channel AS subscribed, channel_at AS said_at FROM {level} WHERE channel IS NOT NULL
        UNION ALL
        SELECT *, hash(i, {salt} + 5, place) % 4 = 0 AS subscribed,
            TIMESTAMP '2024-01-01' + to_seconds((hash(i, {salt} + 6, place) % 25920000)::BIGINT) AS said_at
        FROM (SELECT *, unnest(groups)::INTEGER AS place FROM {level})
    )
"""
"""Their last answers, a row each: for group ``place``, or (20) the channel. ``yes`` is what is in force: while the
channel is a no, so is every group without a later yes."""

_SNAPSHOT = """
    SELECT 'email' AS channel, level, subject, CASE WHEN place = 20 THEN '' ELSE 'group_' || lpad(place::VARCHAR, 2, '0') END AS "group",
        answer::TINYINT AS answer, bounced AS suppressed, 0::BIGINT AS seq
    FROM (
        SELECT level, subject, place, CASE WHEN yes THEN 1 ELSE -1 END AS answer, bounced FROM facts WHERE i > {appended}
        UNION ALL
        SELECT level, subject, 20, 0, false FROM facts WHERE i > {appended} GROUP BY ALL HAVING bool_or(subscribed) AND max(place) < 20
    )
    ORDER BY subject, level, "group"
"""
"""What the ledger's own status would have: also a row without an answer that holds the time of the last yes."""

_FOLDED = """
    SELECT subject, bounced, yes, own_no | CASE WHEN channel_no THEN ~yes ELSE 0 END AS no
    FROM (
        SELECT subject, bool_or(bounced) AS bounced, bool_or(place = 20 AND NOT yes) AS channel_no,
            bit_or(CASE WHEN yes THEN 1::BIGINT << place ELSE 0 END) AS yes, bit_or(CASE WHEN yes THEN 0 ELSE 1::BIGINT << place END) AS own_no
        FROM facts WHERE level = '{level}' GROUP BY subject
    )
"""
_PEOPLE = """
    SELECT * EXCLUDE (email, shared_email, status), address IS NOT NULL AS reachable, {columns}
    FROM (
        SELECT p.*, coalesce(a.bounced, false) AS suppressed,
            (coalesce(a.yes, 0) | coalesce(b.yes, 0) | {default}) & ~(coalesce(a.no, 0) | coalesce(b.no, 0)) AS status
        FROM (SELECT *, CASE WHEN lower(trim({email})) ~ '[^@ ]+@[^@ ]+' THEN lower(trim({email})) END AS address FROM '{profiles}') AS p
        LEFT JOIN (FROM folded_address) AS a ON a.subject = p.address LEFT JOIN (FROM folded_profile) AS b ON b.subject = p.id::VARCHAR
    )
    ORDER BY id
"""
"""Either level's no is a no; else either's yes is a yes; else the default."""


_TABLES = {"profiles": _PROFILES, "purchases": _PURCHASES, "sends": _SENDS}


def make_tables(directory: Path, profiles: int, names: Iterable[str] = _TABLES) -> None:
    """The three tables, or those named; what is there already is kept."""
    directory.mkdir(parents=True, exist_ok=True)
    with _connection(directory) as connection:
        for name in names:
            _write(connection, _TABLES[name].format(profiles=profiles), directory / f"{name}.parquet")


def make_ledger(directory: Path, profiles: int, answers: Answers) -> None:
    """``answers/NAME/``: real events for the first keys, and a snapshot, as if of before them, with everybody else's.

    A ledger records some thousand answers a second, one by one. A run reads the snapshot as it reads any.
    """
    place = directory / "answers" / answers
    if (place / "ledger.db").exists():
        return
    unfinished = place.with_name(f"{answers}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    rows = unfinished / "rows.parquet"
    with _connection(directory) as connection:
        _open_facts(connection, profiles, answers)
        _write(connection, _SNAPSHOT.format(appended=APPENDED), rows)
        query = f"SELECT level, subject, place, subscribed, said_at, bounced FROM facts WHERE i <= {APPENDED} ORDER BY said_at, i, level, place"
        first = connection.execute(query).fetchall()
    with open_ledger("sqlite:///ledger.db", unfinished, create=True) as ledger, DuckDB() as backend:
        backend.open("rows", Source(rows.name, str(rows)))
        everything = exp.select(*(exp.column(name, quoted=True) for name in snapshot.COLUMNS)).from_("rows")
        snapshot._write(backend, everything, unfinished, ledger.mark())
        ledger.append([_fact(*row) for row in first])
    rows.unlink()
    unfinished.rename(place)


def make_roster(project: Path, memory: str | None, session: SparkSession | None = None) -> None:
    """maysend's own statuses folded beforehand, as other sides have them in ``people``; for DuckDB, or for a session."""
    found = plugins.load()
    loaded = loader.load(project, found)
    with runner.opened(loaded, AS_OF, found, memory=memory, session=session) as run:
        if not run.catalog.roster:
            run.write_roster()


def make_people(directory: Path, profiles: int, answers: Answers) -> None:
    """``people/NAME.parquet``, folded by this SQL and not by maysend."""
    file = directory / "people" / f"{answers}.parquet"
    file.parent.mkdir(exist_ok=True)
    default = sum(1 << place for place, name in enumerate([*GROUPS, "channel"]) if name not in OPT_IN)
    columns = ", ".join(f"(status >> {place} & 1) = 1 AS {name}" for place, name in enumerate([*GROUPS, "channel"]))
    with _connection(directory) as connection:
        _open_facts(connection, profiles, answers)
        for level in _LEVELS:
            connection.execute(f"CREATE VIEW folded_{level} AS {_FOLDED.format(level=level)}")
        email = "email" if answers == "profiles" else "shared_email"
        source = directory / "profiles.parquet"
        _write(connection, _PEOPLE.format(columns=columns, default=default, email=email, profiles=source), file)


def _open_facts(connection: duckdb.DuckDBPyConnection, profiles: int, answers: Answers) -> None:
    levels = ["profile"] if answers == "profiles" else ["profile", "address"]
    for level in levels:
        connection.execute(f"CREATE VIEW {level} AS {_SUBJECTS.format(profiles=profiles, **_LEVELS[level])}")
    facts = (_FACTS.format(level=level, **_LEVELS[level]) for level in levels)
    connection.execute(f"CREATE VIEW facts AS {' UNION ALL '.join(facts)}")


def _fact(level: str, subject: str, place: int, subscribed: bool, at: datetime, bounced: bool) -> Fact:
    return Fact(
        channel="email",
        group=GROUPS[place] if place < len(GROUPS) else None,
        subscribed=subscribed,
        address=subject if level == "address" else None,
        profile=subject if level == "profile" else None,
        occurred_at=at.replace(tzinfo=UTC),
        type="bounced" if bounced else None,
        source="import",
    )


def _connection(directory: Path) -> duckdb.DuckDBPyConnection:
    """Bounded in memory, whatever the size of the tables."""
    connection = duckdb.connect(config={"memory_limit": "10GB", "temp_directory": str(directory / "spilled")})
    connection.execute("SET enable_progress_bar = false")
    return connection


def _write(connection: duckdb.DuckDBPyConnection, query: str, file: Path) -> None:
    """Write a query's rows, whole or not at all; what is there already is kept."""
    if file.exists():
        return
    unfinished = file.with_suffix(".unfinished")
    connection.execute(f"COPY ({query}) TO '{unfinished}' (FORMAT parquet, COMPRESSION zstd)")
    os.replace(unfinished, file)
