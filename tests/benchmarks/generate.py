"""Seeded data for benchmarks: a project of any size, its profiles, purchases, and answers, the same each time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import yaml

COUNTRIES = [f"C{number:02}" for number in range(60)]
PLANS = ["free", "basic", "plus", "pro", "staff"]
GENRES = [f"genre {number}" for number in range(30)]
GROUPS = [f"group_{number:02}" for number in range(20)]

_PROFILES = """
    COPY (
        SELECT i::BIGINT AS id,
            CASE WHEN h1 % 50 = 0 THEN NULL ELSE 'person' || (i - CASE WHEN h2 % 200 = 0 THEN 1 ELSE 0 END) || '@example.com' END AS email,
            CASE WHEN h2 % 40 = 0 THEN NULL ELSE 'C' || lpad(((h2 // 40) % 60)::VARCHAR, 2, '0') END AS country,
            CASE WHEN h3 % 25 = 0 THEN NULL ELSE (18 + (h3 // 25) % 70)::INTEGER END AS age,
            CASE WHEN h4 % 30 = 0 THEN NULL ELSE round(((h4 // 30) % 100000) / 100.0, 2)::DOUBLE END AS spent,
            DATE '2015-01-01' + ((h5 % 4000)::INTEGER) AS joined,
            list_extract(['free', 'basic', 'plus', 'pro', 'staff'], (1 + (h6 % 5))::INTEGER) AS plan,
            'city ' || (h7 % 1000) AS city
        FROM (
            SELECT i, hash(i, 1) AS h1, hash(i, 2) AS h2, hash(i, 3) AS h3, hash(i, 4) AS h4, hash(i, 5) AS h5, hash(i, 6) AS h6,
                hash(i, 7) AS h7
            FROM range(1, {rows} + 1) AS t(i)
        )
        ORDER BY i
    ) TO '{file}' (FORMAT parquet, COMPRESSION zstd)
"""
_PURCHASES = """
    COPY (
        SELECT (1 + hash(i, 11) % {profiles})::BIGINT AS id,
            TIMESTAMP '2023-01-01' + to_seconds((hash(i, 12) % 63072000)::BIGINT) AS at,
            round((hash(i, 13) % 20000) / 100.0, 2)::DOUBLE AS amount,
            'genre ' || (hash(i, 14) % 30) AS genre
        FROM range(1, {rows} + 1) AS t(i)
    ) TO '{file}' (FORMAT parquet, COMPRESSION zstd)
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much to make. ``answered`` is the share of profiles with answers of their own."""

    profiles: int
    campaigns: int
    events: int = 0
    answered: float = 0.3
    seed: int = 7


def make_tables(directory: Path, size: Size) -> None:
    """The Parquet files of a size; what is there already is kept."""
    directory.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        profiles = directory / "profiles.parquet"
        if not profiles.exists():
            connection.execute(_PROFILES.format(rows=size.profiles, file=profiles))
        purchases = directory / "purchases.parquet"
        if size.events and not purchases.exists():
            connection.execute(_PURCHASES.format(rows=size.events, profiles=size.profiles, file=purchases))


def make_project(directory: Path, size: Size, *, policies: bool = False, behaviour: bool = False) -> None:
    """Declarations over those tables: campaigns of two to six conditions, groups under all, any and at_least."""
    draw = random.Random(size.seed)  # noqa: S311 - test data
    project: dict[str, Any] = {"title": "Benchmark", "profiles": {"source": "profiles.parquet", "key": "id"}}
    if behaviour:
        project["events"] = {"Charged": {"source": "purchases.parquet", "profile": "id", "at": "at"}}
    _write(directory / "project.yaml", project)
    _write(directory / "channels/email.yaml", {"type": "email", "address": "email"})
    for number, group in enumerate(GROUPS):
        default = "unsubscribed" if number % 5 == 4 else "subscribed"
        _write(
            directory / f"subscription_groups/{group}.yaml", {"title": group, "channel": "email", "default": default}
        )
    for number in range(size.campaigns):
        conditions = [_condition(draw) for _ in range(draw.randint(2, 6))]
        if behaviour and number % 2:
            conditions[-1] = _did(draw)
        _write(directory / f"segments/s{number:04}.yaml", {"where": {"all": conditions}})
        chosen = draw.sample(GROUPS, draw.randint(1, 4))
        clause = draw.choice(["all", "any", "at_least"])
        wanted: Any = {"count": max(1, len(chosen) - 1), "of": chosen} if clause == "at_least" else chosen
        campaign: dict[str, Any] = {
            "channel": "email",
            "audience": {"include": [f"s{number:04}"]},
            "subscription_groups": {clause: wanted},
        }
        if policies:
            campaign["control_group"] = {"percent": draw.choice([2, 5, 10]), "salt": f"salt {number}"}
        _write(directory / f"campaigns/c{number:04}.yaml", campaign)


def _condition(draw: random.Random) -> dict[str, Any]:
    low = draw.randint(18, 60)
    spent = draw.randint(0, 80) * 10
    return draw.choice(
        [
            {"property": "country", "in": sorted(draw.sample(COUNTRIES, draw.randint(5, 30)))},
            {"property": "country", "not_in": sorted(draw.sample(COUNTRIES, draw.randint(1, 10)))},
            {"property": "age", "at_least": low},
            {"property": "age", "between": [low, low + draw.randint(5, 30)]},
            {"property": "spent", "greater_than": spent},
            {"property": "spent", "at_most": spent + 200},
            {"property": "joined", "after": f"{draw.randint(2015, 2023)}-0{draw.randint(1, 9)}-01"},
            {"property": "joined", "before": f"{draw.randint(2018, 2025)}-0{draw.randint(1, 9)}-01"},
            {"property": "plan", "in": sorted(draw.sample(PLANS, draw.randint(1, 4)))},
            {"property": "city", "not_in": [f"city {number}" for number in draw.sample(range(1000), 20)]},
        ]
    )


def _did(draw: random.Random) -> dict[str, Any]:
    days = draw.choice([30, 90, 180, 365])
    return draw.choice(
        [
            {"did": "Charged", "count": {"at_least": draw.randint(1, 3)}, "within": {"last": f"{days} days"}},
            {"did_not": "Charged", "within": {"last": f"{days} days"}},
            {
                "did": "Charged",
                "where": {"property": "genre", "equals": draw.choice(GENRES)},
                "within": {"last": "365 days"},
            },
            {
                "did": "Charged",
                "sum": {"of": "amount", "at_least": draw.randint(1, 5) * 100},
                "within": {"last": f"{days} days"},
            },
        ]
    )


def _write(file: Path, data: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
