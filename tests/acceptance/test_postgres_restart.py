"""A PostgreSQL server that ends at once, again and again, while people answer: nothing acknowledged is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

import private_postgres
from maysend.errors import LedgerError
from maysend.events import Fact
from maysend.ledger import Ledger, open_ledger, recording

pytest.importorskip("psycopg", reason="psycopg is not installed (extra: postgres)")


@pytest.mark.parametrize("restarts", [2, pytest.param(30, marks=pytest.mark.soak)])
def test_a_server_restarted_in_mid_commit_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarts: int
) -> None:
    """What was told as recorded is there once, and what is there was told so, or as an error."""
    tries: list[bool] = []
    record = recording.record

    def watched(connection: Any, facts: Sequence[Fact], *, retried: bool, **options: Any) -> recording.Recorded:
        tries.append(retried)
        return record(connection, facts, retried=retried, **options)

    monkeypatch.setattr(recording, "record", watched)
    random = Random(restarts)
    with private_postgres.running() as server, open_ledger(server.url, tmp_path, create=True) as ledger:
        people = _People(ledger)
        threads = [threading.Thread(target=people.leave, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(restarts):
                people.wait_for(20)
                time.sleep(random.random() * 0.1)
                server.restart()
            people.wait_for(20)
        finally:
            people.stop.set()
            for thread in threads:
                thread.join()
        recorded = [(event.event_id, event.seq) for event in ledger.events()]
        assert ledger.verify().faults == []
    assert True in tries
    assert [seq for _, seq in recorded] == list(range(1, len(recorded) + 1))
    assert len(dict(recorded)) == len(recorded)
    assert set(people.told) <= set(recorded)
    assert len(set(people.told)) == len(people.told) > 20 * restarts
    assert {event_id for event_id, _ in set(recorded) - set(people.told)} <= people.refused


class _People:
    """People who leave one after the other, each once; ``told`` has (event_id, seq) of those who were heard."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.stop = threading.Event()
        self.told: list[tuple[str, int]] = []
        self.refused: set[str] = set()

    def wait_for(self, more: int) -> None:
        """Wait until so many more were heard."""
        wanted, deadline = len(self.told) + more, time.monotonic() + 60
        while len(self.told) < wanted:
            assert time.monotonic() < deadline, f"{len(self.told)} of {wanted} were heard"
            time.sleep(0.01)

    def leave(self, number: int) -> None:
        place = 0
        while not self.stop.is_set():
            place += 1
            who = f"{number} {place}"
            fact = Fact(channel="email", group="news", subscribed=False, profile=who, source="page")
            try:
                (event,) = self._ledger.append([fact])
            except LedgerError:
                self.refused.add(fact.event_id)
                continue
            assert event
            self.told.append((event.event_id, event.seq))
