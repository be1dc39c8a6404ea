"""Durable appends on both stores, beside what the raw database does with the same rows.

python tests/benchmarks/ledger.py [SCALE]

PostgreSQL is the server of MAYSEND_TEST_POSTGRES_URL (default: 127.0.0.1:5432), and left out where none listens.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Table, select

from maysend.events import Fact
from maysend.ledger import Ledger, open_ledger, stores
from maysend.ledger.tables import events, status

POSTGRES = os.environ.get("MAYSEND_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
THREADS = 64
PROCESSES = {"sqlite": 2, "postgresql": 8}
"""Processes that append to one ledger at once."""


def measure(directory: Path, scale: float) -> dict[str, object]:
    """Per store (``sqlite``, ``postgresql``; the version of each under ``version``), numbers of three kinds:

    ``threads``: 64 threads of one process append 12,800 choices (times ``scale``), one at a time each, as a page server
    does. ``raw``: the plain driver writes the rows of ``events`` and ``status`` that came of it, in as many transactions
    of the same durability. ``of_raw``: the first's appends per second as a share of the second's. ``processes``: the
    same from 2 processes (SQLite) or 8 (PostgreSQL) at once, 4 threads each; ``least_share`` is what the slowest process
    got of an equal share, from 0 to 1.

    ``per_second`` counts appends, ``p50_ms`` and ``p99_ms`` are what one waits for its answer (``raw``: a transaction),
    ``cpu_us`` is the processor time of an append in this process: it says the same on a busy machine.
    """
    found: dict[str, object] = {}
    with _postgres() as postgres, tempfile.TemporaryDirectory(dir=directory, prefix="ledger-") as own:
        for name, url in (("sqlite", f"sqlite:///{own}/ledger.db"), ("postgresql", postgres)):
            if url:
                found[name] = _measure_store(name, url, Path(own), scale)
    return found


def _measure_store(name: str, url: str, directory: Path, scale: float) -> dict[str, object]:
    with _emptied(url, directory) as ledger:
        threads, transactions = _append_by_threads(ledger, max(2, int(200 * scale)))
        rows = {table: _rows(ledger, table) for table in (events, status)}
        version = stores.sqlite_version() if name == "sqlite" else _server_version(ledger)
    with _emptied(url, directory) as ledger:
        raw = _write_raw(ledger, rows, transactions)
    with _emptied(url, directory):
        processes = _append_by_processes(url, PROCESSES[name], max(2, int(200 * scale)))
    share = round(threads["per_second"] / raw["per_second"], 3)
    return {"version": version, "threads": threads, "raw": raw, "of_raw": share, "processes": processes}


def _append_by_threads(ledger: Ledger, appends: int) -> tuple[dict[str, float], int]:
    """What 64 threads see, and how many transactions their appends shared."""
    transactions = 0
    write = ledger._writer._write

    def counted(jobs: Sequence[Any]) -> Sequence[Any]:
        nonlocal transactions
        transactions += 1
        return write(jobs)

    ledger._writer._write = counted
    cpu, start = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        taken = [
            one for some in pool.map(lambda seed: list(_append(ledger, seed, appends)), range(THREADS)) for one in some
        ]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return _told(taken, len(taken), seconds) | {"cpu_us": round(cpu / len(taken) * 1e6, 1)}, transactions


def _append(ledger: Ledger, seed: object, appends: int) -> Iterator[float]:
    """The seconds that each append takes."""
    random = Random(f"{seed}")
    for place in range(appends):
        who = f"{seed} {place}"
        fact = Fact(
            channel="email",
            group=random.choice(["news", "offers", None]),
            subscribed=False,
            address=f"{who}@x.org",
            profile=who,
            source="page",
        )
        start = time.perf_counter()
        (event,) = ledger.append([fact])
        assert event
        yield time.perf_counter() - start


def _write_raw(ledger: Ledger, rows: dict[Table, list[tuple[Any, ...]]], transactions: int) -> dict[str, float]:
    """The same rows into the same empty tables by the plain driver, in as many transactions."""
    sqlite = ledger._engine.dialect.name == "sqlite"
    connection = ledger._engine.raw_connection()
    cursor = connection.cursor()
    parts = {table: _parts(some, transactions) for table, some in rows.items()}
    statements = {
        table: f"INSERT INTO {table.name} VALUES ({', '.join(['?' if sqlite else '%s'] * len(table.c))})"
        for table in rows
    }
    taken = []
    cpu, start = time.process_time(), time.perf_counter()
    for place in range(transactions):
        began = time.perf_counter()
        if sqlite:
            cursor.execute("BEGIN IMMEDIATE")
        for table, some in parts.items():
            cursor.executemany(statements[table], some[place])
        cursor.execute("COMMIT") if sqlite else connection.commit()
        taken.append(time.perf_counter() - began)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    connection.close()
    count = len(rows[events])
    return _told(taken, count, seconds) | {"cpu_us": round(cpu / count * 1e6, 1), "transactions": transactions}


def _append_by_processes(url: str, processes: int, appends: int) -> dict[str, float]:
    """What 4 threads of each process see, from when all of them are ready."""
    started = [
        subprocess.Popen(
            [sys.executable, __file__, "--append", url, str(appends * 4), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(processes)
    ]
    for process in started:
        assert process.stdout
        process.stdout.readline()
    start = time.perf_counter()
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    told = [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
    taken = [one for some in told for one in some["taken"]]
    seconds = max(some["seconds"] for some in told)
    shares = [1 / some["seconds"] for some in told]
    least = min(shares) / (sum(shares) / len(shares))
    assert time.perf_counter() - start >= seconds
    return _told(taken, len(taken), seconds) | {"processes": processes, "least_share": round(least, 3)}


def _append_as_a_process(url: str, appends: int, seed: str) -> None:
    """One of the processes: says that it is ready, waits for its start, and tells what it took."""
    with open_ledger(url, Path()) as ledger, ThreadPoolExecutor(4) as pool:
        ledger.last_seq()
        print("ready", flush=True)
        sys.stdin.readline()
        start = time.perf_counter()
        some = pool.map(lambda number: list(_append(ledger, f"{seed}-{number}", appends // 4)), range(4))
        taken = [one for part in some for one in part]
        print(json.dumps({"taken": taken, "seconds": time.perf_counter() - start}))


def _told(taken: Sequence[float], appends: int, seconds: float) -> dict[str, float]:
    order = sorted(taken)
    half, most = (round(order[int(len(order) * share)] * 1_000, 2) for share in (0.5, 0.99))
    return {"per_second": round(appends / seconds, 1), "p50_ms": half, "p99_ms": most}


def _rows(ledger: Ledger, table: Table) -> list[tuple[Any, ...]]:
    with ledger._engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(table).order_by(table.c.seq))]


def _parts(rows: list[Any], parts: int) -> list[list[Any]]:
    return [rows[len(rows) * place // parts : len(rows) * (place + 1) // parts] for place in range(parts)]


def _server_version(ledger: Ledger) -> str:
    with ledger._engine.connect() as connection:
        return str(connection.exec_driver_sql("SHOW server_version").scalar_one()).split()[0]


@contextmanager
def _emptied(url: str, directory: Path) -> Iterator[Ledger]:
    """A ledger at ``url`` with nothing in it."""
    with open_ledger(url, directory, create=True) as ledger:
        with stores.writing(ledger._engine) as connection:
            for table in (events, status):
                connection.execute(table.delete())
        yield ledger


@contextmanager
def _postgres() -> Iterator[str | None]:
    """A schema of its own on the server, dropped at the end; None where no server listens."""
    import psycopg

    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        print(f"PostgreSQL is left out: {error}", file=sys.stderr)
        yield None
        return
    with server:
        server.execute("DROP SCHEMA IF EXISTS maysend_benchmark CASCADE")
        server.execute("CREATE SCHEMA maysend_benchmark")
        yield f"{POSTGRES}?options=-csearch_path%3Dmaysend_benchmark"
        server.execute("DROP SCHEMA maysend_benchmark CASCADE")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--append"]:
        _append_as_a_process(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        print(json.dumps(measure(Path(tempfile.gettempdir()), float((sys.argv[1:] or ["1"])[0])), indent=2))
