"""One-click under load, beside the least that the same server could do for a durable answer; and links.

``python tests/benchmarks/pages.py`` prints what ``measure`` returns. All over loopback, and bounded in time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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

from maysend import audience_links, links, loader, plugins, tokens
from maysend.events import Fact
from maysend.ledger import open_ledger, stores
from maysend.ledger.writer import Writer
from maysend.model import Project
from serving import FILES, KEY, Server, serving, write

Keep = Callable[[bytes], Future[Any]]
"""Keeps a body, or what it stands for; the future is done once it is durable."""

SECONDS = 3.0
ROUNDS = 4
PEOPLE = 1_000_000
LINKS = 1_000_000
CONNECTIONS = 128
BODY = b"List-Unsubscribe=One-Click"


def main() -> None:
    print(json.dumps(measure(Path(tempfile.gettempdir()), 1.0), indent=2))


def measure(directory: Path, scale: float) -> dict[str, object]:
    """Answers per second and their 50th and 99th percentile in milliseconds, on 128 connections that stay open; in a
    directory of its own below ``directory``, so that nobody has left before.

    ``insert``: an empty handler, and one group-committed insert of one column into SQLite. ``append``: an empty handler,
    and one fact appended to the ledger. ``one_click``: ``maysend serve``, in turn with these two. ``beside_evaluate``:
    the same while ``maysend evaluate`` runs over a million people (times ``scale``) on every core. ``of_insert`` and
    ``of_append``: one-click's answers per second as a share of theirs. Any answer but 200 raises RuntimeError.

    ``server_cpu_us`` is the processor time that the server took for an answer: it says the same on a busy machine.

    ``links``: per second of one core, sealed in memory, and written as columns of a file by all processes together
    (their start included). Processes are spawned: call it from a module that may be imported.
    """
    with tempfile.TemporaryDirectory(dir=directory, prefix="pages-") as own:
        return _measure_in(Path(own), scale)


def _measure_in(directory: Path, scale: float) -> dict[str, object]:
    ledger = f"sqlite:///{directory}/ledger.db"
    settings = FILES["project.yaml"].replace("readers.csv", "readers.parquet")
    write(directory, ledger, {**FILES, "project.yaml": settings})
    _make_people(directory / "readers.parquet", int(PEOPLE * scale))
    project = loader.load(directory, plugins.load())
    with (
        _empty(_insert_into(directory / "empty.db")) as insert,
        _empty(_append_to(f"sqlite:///{directory}/other.db", directory)) as append,
        serving(directory, ledger) as server,
    ):
        seconds = max(SECONDS * scale, 0.3)
        clicks = _measure_clicks(project, {"insert": insert, "append": append}, server, seconds)
    return clicks | {"links": _measure_links(project, directory, int(LINKS * scale))}


def _measure_clicks(
    project: Project, empty: Mapping[str, tuple[str, int]], server: Server, seconds: float
) -> dict[str, object]:
    """``empty`` maps a name to a server's URL and process."""
    seal = links.sealer(project.campaigns["daily"], tokens.read_keys(KEY), test=False).seal
    fresh = (f"/u/{seal(f'new {number}', f'new{number}@example.com')}" for number in itertools.count())
    servers = {**empty, "one_click": (server.url, server.process.pid)}
    times: dict[str, list[float]] = {name: [] for name in servers}
    cpu = dict.fromkeys(servers, 0.0)
    for number, (name, (url, process)) in itertools.product(range(ROUNDS + 1), servers.items()):
        end, before = time.perf_counter() + seconds, _cpu_seconds(process)
        path = (lambda: next(fresh)) if name == "one_click" else (lambda: "/u/x")
        found = asyncio.run(_load(url, path, lambda end=end: time.perf_counter() > end))  # type: ignore[misc] # mypy infers no lambda with a default
        if number:  # the first round warms up
            times[name] += found
            cpu[name] += _cpu_seconds(process) - before
    warm = len(server.events()) - len(times["one_click"])
    with _evaluating(server.root) as evaluating:
        began = time.perf_counter()
        beside = asyncio.run(_load(server.url, lambda: next(fresh), lambda: evaluating.poll() is not None))
        took = time.perf_counter() - began
    if evaluating.returncode:
        raise RuntimeError(f"evaluate ended with exit code {evaluating.returncode}")
    per_second = {name: len(found) / seconds / ROUNDS for name, found in times.items()}
    acknowledged = len(times["one_click"]) + len(beside)
    if (recorded := len(server.events()) - warm) != acknowledged:
        raise RuntimeError(f"{acknowledged} clicks were acknowledged, and {recorded} recorded")
    return {
        **{
            name: _told(found, per_second[name]) | {"server_cpu_us": round(cpu[name] / len(found) * 1e6)}
            for name, found in times.items()
        },
        "beside_evaluate": _told(beside, len(beside) / took) | {"evaluate_seconds": round(took, 1)},
        "of_insert": round(per_second["one_click"] / per_second["insert"], 2),
        "of_append": round(per_second["one_click"] / per_second["append"], 2),
    }


def _told(times: list[float], per_second: float) -> dict[str, float]:
    times.sort()
    return {
        "per_second": round(per_second, 1),
        "p50_ms": round(times[len(times) // 2] * 1000, 1),
        "p99_ms": round(times[len(times) * 99 // 100] * 1000, 1),
    }


def _measure_links(project: Project, directory: Path, rows: int) -> Mapping[str, float]:
    keys, campaign = tokens.read_keys(KEY), project.campaigns["daily"]
    seal = links.sealer(campaign, keys, test=False).seal
    people = [(str(number), f"person{number}@example.com") for number in range(max(rows // 4, 1))]
    began = time.process_time()
    for profile, address in people:
        seal(profile, address)
    sealed = len(people) / (time.process_time() - began)
    audience = directory / "daily.parquet"
    duckdb.sql(
        f"COPY (SELECT range AS id, 'person' || range || '@example.com' AS address FROM range({rows})) TO '{audience}'"
    )
    before = sum(os.times()[:4])
    audience_links.write_links(project, campaign, keys, audience, directory / "links.parquet")
    written = rows / (sum(os.times()[:4]) - before)
    return {"sealed_per_second_per_core": round(sealed), "written_per_second_per_core": round(written)}


def _cpu_seconds(process: int) -> float:
    """What a process and its threads have taken of the processors (proc(5))."""
    user, system = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def _load(url: str, path: Callable[[], str], done: Callable[[], bool]) -> list[float]:
    """Post on many connections that stay open until ``done``; how long each answer took."""
    host, port = url.removeprefix("http://").split(":")
    times: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while not done():
            start = time.perf_counter()
            head = f"POST {path()} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            writer.write(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - start)
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return times


@contextmanager
def _empty(keep: Callable[[], Keep]) -> Iterator[tuple[str, int]]:
    """The least that a server can do for a durable answer, in a process of its own: its URL, and the process."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        process = multiprocessing.get_context("fork").Process(target=_serve_empty, args=(listening, keep))
        process.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", process.pid or 0
        finally:
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
def _evaluating(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``maysend evaluate`` over the project that is served: a process of its own, with a thread for each core."""
    command: list[str | Path] = [Path(sys.executable).with_name("maysend"), "evaluate", "--out", "audiences"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _make_people(file: Path, number: int) -> None:
    columns = (
        "range::VARCHAR AS id, 'person' || range || '@example.com' AS email, '+1555' || (1000000 + range) AS phone"
    )
    duckdb.sql(f"COPY (SELECT {columns} FROM range({number})) TO '{file}'")


if __name__ == "__main__":
    main()
