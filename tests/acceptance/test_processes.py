"""Processes that write to one ledger while another decides over it: nothing is lost, nothing is there twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maysend.ledger import open_ledger
from serving import FILES, write

WRITER = Path(__file__).parent / "kill" / "writer.py"
PROFILES = "id,email,phone\n" + "".join(f"{n},p{n}@x.org,\n" for n in range(200))
Run = Callable[..., Any]


@pytest.mark.parametrize("runs", [1, pytest.param(15, marks=pytest.mark.soak)])
def test_what_several_write_is_there_once_and_a_run_beside_them_sees_one_moment(
    ledger_url: str, tmp_path: Path, maysend: Run, maysend_json: Run, runs: int
) -> None:
    """Two to SQLite, eight to PostgreSQL. A run is repeated from its manifest, byte by byte, when all is still."""
    write(tmp_path, ledger_url, {**FILES, "readers.csv": PROFILES})
    open_ledger(ledger_url, tmp_path, create=True).close()
    count = 2 if ledger_url.startswith("sqlite") else 8
    outs = [tmp_path / f"told{number}.jsonl" for number in range(count)]
    writers = [_start(ledger_url, out) for out in outs]
    try:
        for number in range(runs):
            _wait_for_more(outs)
            maysend("evaluate", "daily", "--out", f"out{number}", cwd=tmp_path)
        _wait_for_more(outs)
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
        for writer in writers:
            writer.wait()
    told = [json.loads(line) for out in outs for line in out.read_text().splitlines()]
    with open_ledger(ledger_url, tmp_path) as ledger:
        recorded = {event.event_id: event.as_json() for event in ledger.events()}
        proof = ledger.verify()
    assert (proof.faults, proof.events) == ([], len(recorded))
    assert max(Counter(event["event_id"] for event in told).values()) == 1
    assert [event for event in told if recorded.get(event["event_id"]) != event] == []
    assert len(recorded) - len(told) <= count * 4  # those whose answer the end cut off
    for number in range(runs):
        assert maysend_json("evaluate", "--from", f"out{number}/manifest.json", cwd=tmp_path)["agrees"]


def _start(url: str, out: Path) -> subprocess.Popen[bytes]:
    with out.open("wb") as told:
        return subprocess.Popen([sys.executable, WRITER, url, "4", out.stem], stdout=told)


def _wait_for_more(outs: list[Path]) -> None:
    """Wait until each process was heard again: none is left out."""
    before = [out.stat().st_size for out in outs]
    deadline = time.monotonic() + 60
    while not all(out.stat().st_size > size for out, size in zip(outs, before, strict=True)):
        assert time.monotonic() < deadline, "a process was not heard for a minute"
        time.sleep(0.01)
