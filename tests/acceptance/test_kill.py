"""Processes that write to one ledger are killed at random: what was acknowledged is there, and once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import pytest

from maysend.ledger import open_ledger
from serving import KEY, token_of, write

WRITER = Path(__file__).parent / "kill" / "writer.py"
PROGRAM = Path(sys.executable).with_name("maysend")
ONE_CLICK = (b"List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"})


def test_five_kills(sqlite_url: str, tmp_path: Path) -> None:
    assert _kill(sqlite_url, tmp_path, kills=5, writers=1) > 100


@pytest.mark.soak
@pytest.mark.parametrize("writers", [1, 7])
def test_fifty_kills(ledger_url: str, tmp_path: Path, writers: int) -> None:
    assert _kill(ledger_url, tmp_path, kills=50, writers=writers) > 500


@pytest.mark.soak
def test_web_processes_are_killed_while_people_leave(postgres_url: str, tmp_path: Path) -> None:
    assert _kill_workers(postgres_url, tmp_path, kills=30, workers=4) > 100


def _kill_workers(url: str, root: Path, *, kills: int, workers: int) -> int:
    """Kill one after the other of several web processes on one ledger, which come back while the others answer."""
    write(root, url)
    open_ledger(url, root, create=True).close()
    (root / "acknowledged.jsonl").touch()
    random, people, over = Random(kills), _People(root), Event()
    server, port = _serve(root, "--workers", str(workers))

    def leave() -> None:
        while not over.is_set():
            people.leave(port, over)

    clients = [Thread(target=leave) for _ in range(8)]
    killed: set[int] = set()
    try:
        for client in clients:
            client.start()
        for _ in range(kills):
            time.sleep(random.random() * 0.4)
            ends = time.monotonic() + 60
            while len(alive := _workers(server.pid) - killed) < workers - 1:
                assert time.monotonic() < ends, "killed processes do not come back"
                time.sleep(0.05)
            victim = random.choice(sorted(alive))
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        time.sleep(1)
    finally:
        over.set()
        for client in clients:
            client.join()
        server.terminate()
        assert server.wait(60) == 0
    assert len(killed) == kills
    return _compare(url, root, people.left)


def _workers(server: int) -> set[int]:
    """The web processes under a server of several."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    found = set()
    for child in children:
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(int(child))
    return found


def _kill(url: str, root: Path, *, kills: int, writers: int) -> int:
    """Kill a server and the writers beside it again and again, compare, and return how much was acknowledged."""
    write(root, url)
    open_ledger(url, root, create=True).close()
    random = Random(kills)
    people = _People(root)
    for round_ in range(kills):
        with (root / "acknowledged.jsonl").open("ab") as out, ExitStack() as at_end:
            server, port = _serve(root)
            processes = [server, *(_start(url, out, f"{round_} {number}") for number in range(writers))]
            for process in processes:
                at_end.callback(process.kill)
            clients = [Thread(target=people.leave, args=(port,)) for _ in range(4)]
            for client in clients:
                client.start()
            told = _command(root, f"cli{round_}")
            time.sleep(random.random() * 0.8)
            for process in random.sample(processes, len(processes)):
                process.send_signal(signal.SIGKILL)
                time.sleep(random.random() * 0.05)
            for process in processes:
                assert process.wait() == -signal.SIGKILL
            for client in clients:
                client.join()
            out.write("".join(f"{json.dumps(event)}\n" for event in told).encode())
    return _compare(url, root, people.left)


def _compare(url: str, root: Path, left: list[str]) -> int:
    acknowledged = list(_read(root / "acknowledged.jsonl"))
    with open_ledger(url, root) as ledger:
        recorded = {event.event_id: event.as_json() for event in ledger.events()}
        proof = ledger.verify()
    assert proof.faults == []
    assert proof.events == len(recorded)
    assert [event for event in acknowledged if recorded.get(event["event_id"]) != event] == []
    assert len({event["event_id"] for event in acknowledged}) == len(acknowledged)
    assert [event["seq"] for event in recorded.values()] == list(range(1, len(recorded) + 1))
    by_page = [event["profile"] for event in recorded.values() if event["campaign_id"] == "daily"]
    assert set(left) <= set(by_page)
    assert len(set(by_page)) == len(by_page)
    assert left
    return len(acknowledged) + len(left)


class _People:
    """People who leave by one click, each once and again until they are told that it was heard."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._number = count()
        self.left: list[str] = []

    def leave(self, port: int, over: Event | None = None) -> None:
        """Leave one after the other until the server is gone, or it is ``over``; who was not answered has not left."""
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        with suppress(OSError, HTTPException):
            while not (over and over.is_set()):
                person = f"reader{next(self._number)}"
                token = token_of(self._root, "daily", person, f"{person}@example.com")
                for _ in range(2):
                    connection.request("POST", f"/u/{token}", *ONE_CLICK)
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 200
                    if person not in self.left[-8:]:
                        self.left.append(person)
        connection.close()


def _serve(root: Path, *options: str) -> tuple[subprocess.Popen[bytes], int]:
    """A real page server, and its port once it answers."""
    process = subprocess.Popen(
        [PROGRAM, "--project", root, "serve", "--port", "0", *options],
        env=os.environ | {"MAYSEND_KEYS": KEY},
        stderr=subprocess.PIPE,
    )
    assert process.stderr
    told = b""
    with process.stderr as lines:
        for line in lines:
            if found := re.search(rb"serving .* at http://[^:]+:(\d+)", line):
                return process, int(found[1])
            told += line
    raise AssertionError(f"the server did not start: {told.decode()}")


def _start(url: str, out: Any, seed: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, WRITER, url, "4", seed], stdout=out)


def _command(root: Path, profile: str) -> list[dict[str, Any]]:
    """One choice by the command line, beside the others, and not killed."""
    arguments = ["unsubscribe", "email", "--profile", profile, "--json"]
    done = subprocess.run([PROGRAM, *arguments], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    events: list[dict[str, Any]] = json.loads(done.stdout)["events"]
    assert [event["profile"] for event in events] == [profile]
    return events


def _read(file: Path) -> Iterator[dict[str, Any]]:
    """The lines that were written whole; a kill may cut the last one of a process."""
    for line in file.read_text().splitlines():
        with suppress(ValueError):
            yield json.loads(line)
