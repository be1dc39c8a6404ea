"""One-click under load, beside the least that the same server could do for a durable answer.

``python tests/benchmarks/pages.py`` prints POST/s and the 50th and 99th percentile in milliseconds: of an empty handler
with one group-committed SQLite insert, of an empty handler that appends one fact to the ledger, of one-click, and of
one-click while queries like those of a batch evaluation run on every core. All over loopback, and bounded in time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[1]))

from maysend import links, loader, plugins, tokens
from maysend.events import Fact
from maysend.ledger import open_ledger, stores
from maysend.ledger.writer import Writer
from serving import KEY, serving, write

Keep = Callable[[bytes], Future[Any]]
"""Keeps a body, or what it stands for; the future is done once it is durable."""

SECONDS = 3.0
ROUNDS = 4
CONNECTIONS = 128
BODY = b"List-Unsubscribe=One-Click"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        ledger = f"sqlite:///{root}/ledger.db"
        write(root, ledger)
        project = loader.load(root, plugins.load())
        seal = links.sealer(project.campaigns["daily"], tokens.read_keys(KEY), test=False).seal
        fresh = (f"/u/{seal(f'p{number}', f'p{number}@example.com')}" for number in itertools.count())
        with (
            _empty(_insert_into(root / "empty.db")) as insert,
            _empty(_append_to(f"sqlite:///{root}/other.db", root)) as append,
            serving(root, ledger) as server,
        ):
            kinds = {
                "an empty handler and one insert": (insert, lambda: "/u/x"),
                "an empty handler and one append to the ledger": (append, lambda: "/u/x"),
                "one-click": (server.url, lambda: next(fresh)),
            }
            times: dict[str, list[float]] = {name: [] for name in kinds}
            for _, (name, (url, path)) in itertools.product(range(ROUNDS), kinds.items()):
                times[name] += asyncio.run(_load(url, path))
            with _evaluating():
                beside = asyncio.run(_load(server.url, lambda: next(fresh)))
            recorded = len(server.events())
    speeds = [_tell(name, found, ROUNDS) for name, found in times.items()]
    _tell("one-click beside a batch evaluation", beside, 1)
    result = {
        "of_insert": round(speeds[2] / speeds[0], 2),
        "of_append": round(speeds[2] / speeds[1], 2),
        "recorded": recorded,
        "acknowledged": len(times["one-click"]) + len(beside),
    }
    print(json.dumps(result))  # noqa: T201


def _tell(name: str, times: list[float], rounds: int) -> float:
    """Print what a number of rounds measured, and return the answers per second."""
    times.sort()
    found = {
        "name": name,
        "per_second": round(len(times) / SECONDS / rounds, 1),
        "p50_ms": round(times[len(times) // 2] * 1000, 1),
        "p99_ms": round(times[len(times) * 99 // 100] * 1000, 1),
    }
    print(json.dumps(found), flush=True)  # noqa: T201
    return len(times) / SECONDS / rounds


async def _load(url: str, path: Callable[[], str]) -> list[float]:
    """Post on many connections that stay open; how long each answer took. Anything but 200 ends the benchmark."""
    host, port = url.removeprefix("http://").split(":")
    times: list[float] = []
    end = time.perf_counter() + SECONDS

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while (start := time.perf_counter()) < end:
            head = f"POST {path()} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            writer.write(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(answer.decode())
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - start)
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return times


@contextmanager
def _empty(keep: Callable[[], Keep]) -> Iterator[str]:
    """The least that a server can do for a durable answer, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        process = multiprocessing.get_context("fork").Process(target=_serve_empty, args=(listening, keep))
        process.start()
        time.sleep(1.5)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        process.terminate()
        process.join()


def _serve_empty(listening: socket.socket, keep: Callable[[], Keep]) -> None:
    kept = keep()

    async def answer(request: Request) -> Response:
        await asyncio.wrap_future(kept(await request.body()))
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/u/{token}", answer, methods=["POST"])])
    uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run([listening])


def _insert_into(file: Path) -> Callable[[], Keep]:
    """One row in one table of SQLite, many at once."""

    def keep() -> Keep:
        connection = stores.sqlite_module().connect(file, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_mode={stores.sqlite_journal()[0]}")
        connection.execute("CREATE TABLE answers (body BLOB)")

        def insert(jobs: Sequence[bytes]) -> list[None]:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO answers VALUES (?)", [(job,) for job in jobs])
            connection.execute("COMMIT")
            return [None] * len(jobs)

        return Writer[bytes, None](insert).submit

    return keep


def _append_to(url: str, root: Path) -> Callable[[], Keep]:
    """One fact of somebody who never answered."""

    def keep() -> Keep:
        ledger, numbers = open_ledger(url, root, create=True), itertools.count()

        def append(_: bytes) -> Future[Any]:
            who = f"p{next(numbers)}"
            address = f"{who}@example.com"
            fact = Fact(
                channel="email", group="news", subscribed=False, address=address, profile=who, source="one_click"
            )
            return ledger.submit([fact])

        return append

    return keep


@contextmanager
def _evaluating() -> Iterator[None]:
    """Queries as a batch evaluation runs them, on every core, one after the other."""
    process = multiprocessing.get_context("spawn").Process(target=_evaluate)
    process.start()
    time.sleep(1)
    yield
    process.terminate()
    process.join()


def _evaluate() -> None:
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    while True:
        connection.execute("SELECT count(DISTINCT md5(range::VARCHAR)) FROM range(3000000)").fetchall()


if __name__ == "__main__":
    main()
