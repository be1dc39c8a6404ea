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
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[1]))

from maysend import audience_links, garbage, links, loader, plugins, tokens
from maysend.events import Fact
from maysend.ledger import open_ledger, stores
from maysend.ledger.tables import EventRow, events
from maysend.ledger.writer import Writer
from maysend.model import Project
from maysend.web.metrics import Metrics
from maysend.web.middleware import Frame
from maysend.web.recording import Waking
from serving import FILES, KEY, Server, serving, write

Keep = Callable[[bytes, Callable[[Any], None]], None]
"""Keeps a body, or what it stands for, and tells when that is durable."""

SECONDS = 3.0
ROUNDS = 4
PEOPLE = 1_000_000
LINKS = 1_000_000
CONNECTIONS = 128
_REVISION = "0123456789abcdef" * 4
BODY = b"List-Unsubscribe=One-Click"
_REQUEST = (
    b"POST %%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s"
    % (len(BODY), BODY)
)


def main() -> None:
    print(json.dumps(measure(Path(tempfile.gettempdir()), 1.0), indent=2))


def measure(directory: Path, scale: float) -> dict[str, object]:
    """Answers per second and their 50th and 99th percentile in milliseconds, on 128 connections that stay open and send
    every server the same requests, a fresh link in each; in a directory of its own below ``directory``, so that nobody
    has left before.

    ``insert``: the same server (its headers and counters) with an empty handler, and one group-committed insert of one
    column into SQLite. ``insert_event``: the same with the row of an event, into the ledger's ``events`` with its indexes.
    ``append``: the same with one fact appended to the ledger. ``one_click``: ``maysend serve``, in turn with these.
    ``beside_evaluate``: the same while ``maysend evaluate`` runs over a million people (times ``scale``) on every core.
    ``of_insert``, ``of_insert_event`` and ``of_append``: one-click's answers per second as a share of theirs. Any answer
    but 200 raises RuntimeError.

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
        _empty(_insert_into(directory / "empty.db", "answers", 1, lambda body: (body,))) as insert,
        _empty(_insert_event_into(directory / "events.db")) as event,
        _empty(_append_to(f"sqlite:///{directory}/other.db", directory)) as append,
        serving(directory, ledger) as server,
    ):
        seconds = max(SECONDS * scale, 1.0)
        clicks = _measure_clicks(project, {"insert": insert, "insert_event": event, "append": append}, server, seconds)
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
        found = _load(url, fresh, lambda end=end: time.perf_counter() > end)  # type: ignore[misc] # mypy infers no lambda with a default
        if number:  # the first round warms up
            times[name] += found
            cpu[name] += _cpu_seconds(process) - before
    warm = len(server.events()) - len(times["one_click"])
    with _evaluating(server.root) as evaluating:
        began = time.perf_counter()
        beside = _load(server.url, fresh, lambda: evaluating.poll() is not None)
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
        "of_insert_event": round(per_second["one_click"] / per_second["insert_event"], 2),
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


def _load(url: str, paths: Iterator[str], done: Callable[[], bool]) -> list[float]:
    """Post to one path after the other on many connections that stay open until ``done``; how long each answer took."""
    host, port = url.removeprefix("http://").split(":")
    times: list[float] = []

    async def load() -> None:
        loop = asyncio.get_running_loop()
        clients = [_Client(paths, done, times) for _ in range(CONNECTIONS)]
        for client in clients:
            await loop.create_connection(lambda client=client: client, host, int(port))  # type: ignore[misc] # mypy infers no lambda with a default
        await asyncio.gather(*(client.ended for client in clients))

    uvloop.run(load())
    return times


class _Client(asyncio.Protocol):
    """Posts, waits for the answer, and posts again: it takes as little as it can, for the server runs beside it."""

    def __init__(self, paths: Iterator[str], done: Callable[[], bool], times: list[float]) -> None:
        self._paths, self._done, self._times = paths, done, times
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of its classes
        self._post()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, blank, body = self._answer.partition(b"\r\n\r\n")
        if not blank or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(head.decode())
            return
        self._times.append(time.perf_counter() - self._began)
        if self._done():
            self.ended.set_result(None)
            self._transport.close()
        else:
            self._post()

    def connection_lost(self, _: Exception | None) -> None:
        self._fail("the server closed the connection")

    def _post(self) -> None:
        self._answer, self._began = b"", time.perf_counter()
        self._transport.write(_REQUEST % next(self._paths).encode())

    def _fail(self, told: str) -> None:
        if not self.ended.done():
            self.ended.set_exception(RuntimeError(told))


@contextmanager
def _empty(keep: Callable[[], Keep]) -> Iterator[tuple[str, int]]:
    """The same server with an empty handler, in a process of its own: its URL, and the process."""
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
    garbage.settle()  # as `maysend serve` does
    waking: Waking[Any] = Waking()

    async def answer(request: Request) -> Response:
        told = await waking.wait(partial(kept, await request.body()))
        if isinstance(told, Exception):
            raise told
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/u/{token}", answer, methods=["POST"])], middleware=[Middleware(Frame, Metrics())])
    app.state.site = SimpleNamespace(prefix="")
    uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run([listening])


def _insert_into(file: Path, table: str, columns: int, row: Callable[[bytes], Sequence[object]]) -> Callable[[], Keep]:
    """One row in one table of SQLite, many at once."""

    def keep() -> Keep:
        connection = stores.sqlite_module().connect(file, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_mode={stores.sqlite_journal()[0]}")
        connection.execute("CREATE TABLE IF NOT EXISTS answers (body BLOB)")
        insert = f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})"

        def write(jobs: Sequence[bytes]) -> list[None]:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(insert, [row(job) for job in jobs])
            connection.execute("COMMIT")
            return [None] * len(jobs)

        return Writer[bytes, None](write).submit

    return keep


def _insert_event_into(file: Path) -> Callable[[], Keep]:
    """The row of an event, with all that is kept of one in the ledger's ``events`` and its indexes."""
    open_ledger(f"sqlite:///{file}", file.parent, create=True).close()
    numbers = itertools.count(1)
    hash, now = bytes(32), time.time_ns() // 1000

    def row(_: bytes) -> EventRow:
        seq = next(numbers)
        who = f"p{seq}"
        fact = _fact(who)
        salt, digest = hash[:16], hash
        return EventRow(
            *(seq, fact.event_id, now, now, fact.channel, "news", fact.subscribed, fact.type, fact.source),
            *(fact.campaign, fact.campaign_type, fact.variant, fact.revision, fact.text_hash),
            *(fact.address, fact.profile, fact.reason, salt, salt, None, digest, digest, None, hash),
        )

    return _insert_into(file, events.name, len(events.c), row)


def _append_to(url: str, root: Path) -> Callable[[], Keep]:
    """One fact of somebody who never answered."""

    def keep() -> Keep:
        ledger, numbers = open_ledger(url, root, create=True), itertools.count()

        def append(_: bytes, told: Callable[[Any], None]) -> None:
            ledger.submit([_fact(f"p{next(numbers)}")], told)

        return append

    return keep


def _fact(who: str) -> Fact:
    """What one-click says of somebody."""
    return Fact(
        channel="email",
        group="news",
        subscribed=False,
        address=f"{who}@example.com",
        profile=who,
        source="one_click",
        campaign="daily",
        campaign_type="email",
        revision=_REVISION,
    )


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
