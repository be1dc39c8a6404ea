"""``maysend serve`` delivers beside the pages: a person's choice reaches every sink, whatever another sink does."""

from __future__ import annotations

import base64
import json
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Thread
from typing import Any

import httpx
import pytest
import urllib3
import uvicorn

import receiving
import serving
from delivering import eventually
from maysend import links, loader, plugins, tokens
from maysend.ledger import open_ledger
from maysend.web.server import create_app

SECRET = "whsec_" + base64.b64encode(b"thirty-two bytes of secret words").decode()


def leave(url: str) -> None:
    """One-click, as a mailbox provider posts it."""
    assert httpx.post(url, data={"List-Unsubscribe": "One-Click"}, timeout=10).status_code == 200


def lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line)["data"] for line in file.read_text().splitlines()] if file.exists() else []


def test_a_choice_reaches_the_sinks_and_a_webhook_that_hangs_delays_nobody(tmp_path: Path, sqlite_url: str) -> None:
    with receiving.endpoint() as endpoint:
        endpoint.answer = lambda _: 0
        sinks = [{"type": "webhook", "url": endpoint.url, "secret": SECRET, "timeout": 300}]
        sinks += [{"type": "jsonl", "path": "events.jsonl"}]
        settings = serving.FILES["project.yaml"] + f"sinks: {json.dumps(sinks)}\n"
        serving.write(tmp_path, sqlite_url, {**serving.FILES, "project.yaml": settings})
        with serving.serving(tmp_path, sqlite_url) as server:
            began = time.monotonic()
            leave(f"{server.url}/u/{server.fresh('daily')}")
            leave(f"{server.url}/u/{server.fresh('daily')}")
            assert time.monotonic() - began < 5
            eventually(lambda: len(lines(tmp_path / "events.jsonl")) == 2)
            assert [told["profile"] for told in lines(tmp_path / "events.jsonl")] == ["p1000", "p1001"]


@dataclass
class Clock:
    """Simulated seconds, for one thread that sleeps: they pass only while the test lets them."""

    now: float = 0.0
    wakes: float | None = None
    changed: Condition = field(default_factory=Condition)

    def sleep(self, seconds: float) -> None:
        with self.changed:
            self.wakes = self.now + seconds
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.wakes is not None and self.now >= self.wakes)
            self.wakes = None

    def let_pass(self, seconds: float) -> None:
        """Whoever sleeps wakes at its time, as often as there is time for it; then it sleeps, and time stands still."""
        end = self.now + seconds
        while self.now < end:
            with self.changed:
                assert self.changed.wait_for(lambda: self.wakes is not None and self.wakes > self.now, 20)
                assert self.wakes is not None
                self.now = min(self.wakes, end)
                self.changed.notify_all()

    def run_on(self) -> None:
        with self.changed:
            self.now = float("inf")
            self.changed.notify_all()


@contextmanager
def serving_here(root: Path, ledger: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """``maysend serve`` in a thread of this process, whose clock a test can take."""
    open_ledger(ledger, root, create=True).close()
    monkeypatch.setenv("MAYSEND_PROJECT", str(root))
    monkeypatch.setenv("MAYSEND_KEYS", serving.KEY)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = uvicorn.Server(uvicorn.Config(create_app(), log_config=None))
        thread = Thread(target=running.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()


def test_a_webhook_that_times_out_for_an_hour_slows_neither_the_pages_nor_another_sink(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time-out and each wait between attempts is simulated. At every minute of the hour time stands still in the
    middle of one of them, so that whatever waited for the webhook would wait for ever."""
    clock, post = Clock(), urllib3.PoolManager.request
    attempts, down, trying = 0, True, False

    def request(pool: urllib3.PoolManager, method: str, url: str, **asked: Any) -> Any:
        nonlocal attempts, trying
        if not down:
            return post(pool, method, url, **asked)
        attempts, trying = attempts + 1, True
        clock.sleep(pool.connection_pool_kw["timeout"].total)
        trying = False
        raise urllib3.exceptions.TimeoutError("no answer")

    monkeypatch.setattr(urllib3.PoolManager, "request", request)
    monkeypatch.setattr("tenacity.nap.time", clock)
    with receiving.endpoint() as endpoint:
        sinks = [{"type": "webhook", "url": endpoint.url, "secret": SECRET}, {"type": "jsonl", "path": "events.jsonl"}]
        settings = serving.FILES["project.yaml"] + f"sinks: {json.dumps(sinks)}\n"
        serving.write(tmp_path, sqlite_url, {**serving.FILES, "project.yaml": settings})
        campaign = loader.load(tmp_path, plugins.load()).campaigns["daily"]
        seal = links.sealer(campaign, tokens.read_keys(serving.KEY), test=False).seal
        sent = [seal(f"p{number}", f"p{number}@example.com") for number in range(80)]
        with serving_here(tmp_path, sqlite_url, monkeypatch) as url:

            def answer_time(token: str) -> float:
                began = time.perf_counter()
                leave(f"{url}/u/{token}")
                return time.perf_counter() - began

            try:
                before = [answer_time(token) for token in sent[:20]]
                during = []
                for minute, token in enumerate(sent[20:], 1):
                    clock.let_pass(60)
                    during.append(answer_time(token))
                    if minute % 20 == 0:
                        while not trying:
                            clock.let_pass(1)
                        eventually(lambda expected=20 + minute: len(lines(tmp_path / "events.jsonl")) == expected, 5)  # type: ignore[misc] # a default
                assert clock.now >= 3600
                assert endpoint.posted == []
                assert attempts > 100
                assert statistics.median(during) < 3 * statistics.median(before) + 0.02
                assert max(during) < 5
            finally:
                down = False
                clock.run_on()
            eventually(lambda: len(endpoint.posted) == len(sent))
    told = [json.loads(posted.body)["data"]["profile"] for posted in endpoint.posted]
    assert (
        told == [line["profile"] for line in lines(tmp_path / "events.jsonl")] == [f"p{number}" for number in range(80)]
    )


def test_sinks_that_are_declared_later_are_taken_in(tmp_path: Path, sqlite_url: str) -> None:
    serving.write(tmp_path, sqlite_url)
    with serving.serving(tmp_path, sqlite_url) as server:
        leave(f"{server.url}/u/{server.fresh('daily')}")
        settings = tmp_path / "project.yaml"
        settings.write_text(settings.read_text() + "sinks: [{type: jsonl, path: later.jsonl}]\n")
        eventually(lambda: len(lines(tmp_path / "later.jsonl")) == 1)
        leave(f"{server.url}/u/{server.fresh('daily')}")
        eventually(lambda: len(lines(tmp_path / "later.jsonl")) == 2)
