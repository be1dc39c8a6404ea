"""``maysend serve`` delivers beside the pages: a person's choice reaches every sink, whatever another sink does."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import httpx

import receiving
import serving
from delivering import eventually

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


def test_sinks_that_are_declared_later_are_taken_in(tmp_path: Path, sqlite_url: str) -> None:
    serving.write(tmp_path, sqlite_url)
    with serving.serving(tmp_path, sqlite_url) as server:
        leave(f"{server.url}/u/{server.fresh('daily')}")
        settings = tmp_path / "project.yaml"
        settings.write_text(settings.read_text() + "sinks: [{type: jsonl, path: later.jsonl}]\n")
        eventually(lambda: len(lines(tmp_path / "later.jsonl")) == 1)
        leave(f"{server.url}/u/{server.fresh('daily')}")
        eventually(lambda: len(lines(tmp_path / "later.jsonl")) == 2)
