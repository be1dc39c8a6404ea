"""One profile, warm: maysend's ``explain``, and DuckDB's look-up of that row by its key."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import duckdb

from maysend import explain as explaining

from . import THREADS, Asked
from .maysend import opened

TIMES = 15


def explain(asked: Asked) -> float:
    """Seconds that ``explain`` of one campaign takes, the sources open already."""
    with opened(asked) as run:
        campaign = next(iter(run.project.campaigns.values()))
        return _median(asked, lambda key: explaining.explain(run, [campaign], str(key)))


def look_up(asked: Asked) -> float:
    """Seconds that DuckDB takes to read the profile's row."""
    file = asked.directory / "profiles.parquet"
    with duckdb.connect(config={"threads": THREADS}) as connection:
        connection.execute(f"CREATE VIEW profiles AS FROM '{file}'")
        return _median(asked, lambda key: connection.execute("SELECT * FROM profiles WHERE id = ?", [key]).fetchall())


def _median(asked: Asked, find: Callable[[int], object]) -> float:
    taken = []
    for number in range(TIMES + 1):
        key = 1 + number * 7919 * 104729 % asked.profiles
        start = time.perf_counter()
        find(key)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])
