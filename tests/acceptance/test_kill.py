"""Processes that write to one ledger are killed at random: what was acknowledged is there, and once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import pytest

from maysend import links, loader, plugins, tokens
from maysend.ledger import open_ledger
from serving import KEY, write

WRITER = Path(__file__).parent / "kill" / "writer.py"
PROGRAM = Path(sys.executable).with_name("maysend")
ONE_CLICK = (b"List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"})


def test_five_kills(sqlite_url: str, tmp_path: Path) -> None:
    _kill(sqlite_url, tmp_path, kills=5, writers=[1])


@pytest.mark.soak
def test_fifty_kills_over_both_stores(ledger_url: str, tmp_path: Path) -> None:
    _kill(ledger_url, tmp_path, kills=25, writers=[1, 7])


@pytest.mark.soak
def test_web_processes_are_killed_while_people_leave(postgres_url: str, tmp_path: Path) -> None:
    _kill_workers(postgres_url, tmp_path, kills=30, workers=4)


def _kill_workers(url: str, root: Path, *, kills: int, workers: int) -> None:
    """Kill one after the other of several web processes on one ledger, which come back while the others answer.

    Before each kill somebody is answered, so that every kill falls among answers on any machine.
    """
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
            people.wait_for_one_more()
            time.sleep(random.random() * 0.2)
            _wait(lambda: len(_workers(server.pid) - killed) >= workers - 1, "killed processes do not come back")
            victim = random.choice(sorted(_workers(server.pid) - killed))
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        people.wait_for_one_more()
    finally:
        over.set()
        for client in clients:
            client.join()
        server.terminate()
        assert server.wait(60) == 0
    assert len(killed) == kills
    assert _compare(url, root, people.left) > kills


def _workers(server: int) -> set[int]:
    """The web processes under a server of several."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    found = set()
    for child in children:
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(int(child))
    return found


def _kill(url: str, root: Path, *, kills: int, writers: Sequence[int]) -> None:
    """Kill a server and the writers beside it again and again, and compare; ``writers`` are how many, by turns.

    Before each kill somebody is answered by the server, so that every kill falls among answers on any machine.
    """
    write(root, url)
    open_ledger(url, root, create=True).close()
    random = Random(kills)
    people = _People(root)
    for round_ in range(kills):
        with (root / "acknowledged.jsonl").open("ab") as out, ExitStack() as at_end:
            server, port = _serve(root)
            beside = range(writers[round_ % len(writers)])
            processes = [server, *(_start(url, out, f"{round_} {number}") for number in beside)]
            for process in processes:
                at_end.callback(process.kill)
            clients = [Thread(target=people.leave, args=(port,)) for _ in range(4)]
            for client in clients:
                client.start()
            told = _command(root, f"cli{round_}")
            people.wait_for_one_more()
            time.sleep(random.random() * 0.4)
            for process in random.sample(processes, len(processes)):
                process.send_signal(signal.SIGKILL)
                time.sleep(random.random() * 0.05)
            for process in processes:
                assert process.wait() == -signal.SIGKILL
            for client in clients:
                client.join()
            out.write("".join(f"{json.dumps(event)}\n" for event in told).encode())
    assert _compare(url, root, people.left) >= 2 * kills  # by page and by command


def _compare(url: str, root: Path, left: list[str]) -> int:
    """What was acknowledged is in the ledger, and once; how much that was."""
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
    return len(acknowledged) + len(left)


class _People:
    """People who leave by one click, each once and again until they are told that it was heard."""

    def __init__(self, root: Path) -> None:
        campaign = loader.load(root, plugins.load()).campaigns["daily"]
        self._sealer = links.sealer(campaign, tokens.read_keys(KEY), test=False)
        self._number = count()
        self.left: list[str] = []

    def wait_for_one_more(self) -> None:
        before = len(self.left)
        _wait(lambda: len(self.left) > before, "nobody is answered")

    def leave(self, port: int, over: Event | None = None) -> None:
        """Leave one after the other until the server is gone, or it is ``over``; who was not answered has not left."""
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        with suppress(OSError, HTTPException):
            while not (over and over.is_set()):
                person = f"reader{next(self._number)}"
                token = self._sealer.seal(person, f"{person}@example.com")
                for _ in range(2):
                    connection.request("POST", f"/u/{token}", *ONE_CLICK)
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 200
                    if person not in self.left[-8:]:
                        self.left.append(person)
        connection.close()


def _wait(holds: Callable[[], bool], otherwise: str) -> None:
    ends = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < ends, otherwise
        time.sleep(0.01)


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
