"""Appends that are durable, from many threads, beside the raw database's own commits: per second, and how long each.

    python tests/benchmarks/ledger.py [URL ...]

Without a URL: SQLite in a temporary directory, and PostgreSQL where MAYSEND_TEST_POSTGRES_URL names a server.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

from sqlalchemy import insert

from maysend.events import Fact
from maysend.ledger import Ledger, open_ledger, stores
from maysend.ledger.tables import known_groups

THREADS = 64
APPENDS = 200
"""Appends of each thread."""


def main(urls: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        for url in urls or list(_urls(Path(directory))):
            with open_ledger(url, Path(directory), create=True) as ledger:
                name = stores.name_of(ledger._engine)
                _tell(f"{name}: append", _measure(lambda key: _append(ledger, key)))
                _tell(f"{name}: a commit each", _measure(lambda key: _commit(ledger, key), threads=1))


def _urls(directory: Path) -> Iterator[str]:
    yield f"sqlite:///{directory}/ledger.db"
    if server := os.environ.get("MAYSEND_TEST_POSTGRES_URL"):
        yield server


def _append(ledger: Ledger, key: str) -> None:
    (event,) = ledger.append(
        [Fact(channel="email", group="news", subscribed=False, address=f"{key}@x.org", profile=key, source="page")]
    )
    assert event


def _commit(ledger: Ledger, key: str) -> None:
    """What the store can do alone: one small row, one commit."""
    with stores.writing(ledger._engine) as connection:
        connection.execute(insert(known_groups), {"name": key, "channel": "", "default_status": ""})


def _measure(write: Callable[[str], None], threads: int = THREADS) -> tuple[float, list[float]]:
    """Writes per second, and the seconds that each took, sorted."""
    run = uuid4().hex

    def work(number: int) -> list[float]:
        taken = []
        for place in range(APPENDS):
            start = time.perf_counter()
            write(f"{run}-{number}-{place}")
            taken.append(time.perf_counter() - start)
        return taken

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        seconds = sorted(taken for some in pool.map(work, range(threads)) for taken in some)
    return len(seconds) / (time.perf_counter() - start), seconds


def _tell(name: str, measured: tuple[float, list[float]]) -> None:
    rate, seconds = measured
    middle, late = (seconds[int(len(seconds) * share)] * 1_000 for share in (0.5, 0.99))
    print(f"{name}: {rate:,.0f}/s, median {middle:.1f} ms, p99 {late:.1f} ms")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
