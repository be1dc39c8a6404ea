"""Delivery: at least once, in order, each sink at its own pace, whatever the others do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import stamina
from cloudevents.core.formats.json import JSONFormat

from delivering import Told, answer, eventually, with_sinks, write_project
from maysend import CloudEvent, DeliveryError, SinkType, delivery, loader
from maysend.errors import LedgerError
from maysend.ledger import Cursors, Ledger, open_ledger
from maysend.schemas import schema


@pytest.fixture(autouse=True)
def _without_waits() -> Iterator[None]:
    """Attempts follow each other at once."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture
def ledger(tmp_path: Path, ledger_url: str) -> Iterator[Ledger]:
    with open_ledger(ledger_url, tmp_path, create=True) as opened:
        yield opened


def start(root: Path, ledger: Ledger, *, follow: bool = False, at_once: int = 100, **sinks: Any) -> delivery.Running:
    write_project(root, [{"type": name} for name in sinks])
    found = with_sinks(at_once, **sinks)
    return delivery.start(loader.load(root, found), found, ledger, follow=follow, silent_seconds=0.5)


def deliver(root: Path, ledger: Ledger, at_once: int = 100, **sinks: Any) -> delivery.Running:
    running = start(root, ledger, at_once=at_once, **sinks)
    running.wait()
    running.stop()
    return running


def seqs(events: Sequence[CloudEvent]) -> list[int]:
    return [event.seq for event in events]


def test_every_event_once_and_in_order(tmp_path: Path, ledger: Ledger) -> None:
    recorded, sink = answer(ledger, 250), Told()
    deliver(tmp_path, ledger, a=sink)
    assert seqs(sink.got) == [event.seq for event in recorded]
    assert (sink.opened, sink.closed, sink.calls) == (1, 1, 3)
    assert ledger.cursors("").read("a").lag == 0

    answer(ledger, 10, start=250)
    deliver(tmp_path, ledger, a=sink)
    assert seqs(sink.got) == list(range(1, 261))


def test_an_event_is_a_valid_cloudevent_with_valid_data(tmp_path: Path, ledger: Ledger) -> None:
    (recorded,) = answer(ledger, 1)
    sink = Told()
    deliver(tmp_path, ledger, a=sink)
    parsed = JSONFormat().read(None, sink.got[0].body)
    data: Any = parsed.get_data()
    assert (parsed.get_id(), parsed.get_type()) == (recorded.event_id, "com.maysend.channel_unsubscribed.v1")
    assert (parsed.get_source(), parsed.get_subject()) == ("/maysend/A%20shop", "email")
    assert parsed.get_time() == recorded.occurred_at
    assert parsed.get_dataschema() == schema("channel_unsubscribed")["$id"]
    assert data == recorded.as_json() == sink.got[0].data
    jsonschema.validate(data, schema("channel_unsubscribed"))
    assert set(data) == set(schema("channel_unsubscribed")["properties"])
    assert b"p0@example.com" not in sink.got[0].body.replace(json.dumps(data).encode(), b"")


def test_what_fails_comes_again_and_nothing_is_lost(tmp_path: Path, ledger: Ledger) -> None:
    answer(ledger, 30)
    failures = iter([OSError("no route"), DeliveryError("half", delivered=4), RuntimeError("again")])

    def fail_first(_: Sequence[CloudEvent]) -> None:
        if error := next(failures, None):
            raise error

    sink = Told(fail_first)
    running = deliver(tmp_path, ledger, at_once=10, a=sink)
    assert seqs(sink.got) == list(range(1, 31))
    assert sink.opened == sink.closed == 4
    assert running.workers["a"].failure is None


def test_an_event_rejected_for_good_is_a_dead_letter_and_may_come_again(tmp_path: Path, ledger: Ledger) -> None:
    answer(ledger, 20)

    def reject_the_seventh(events: Sequence[CloudEvent]) -> None:
        if 7 in seqs(events):
            raise DeliveryError("no such person", delivered=seqs(events).index(7), rejected=True)

    sink = Told(reject_the_seventh)
    deliver(tmp_path, ledger, a=sink)
    assert seqs(sink.got) == [*range(1, 7), *range(8, 21)]
    cursor = ledger.cursors("").read("a")
    assert [(letter.seq, letter.reason) for letter in cursor.dead_letters] == [(7, "no such person")]

    cursors = ledger.cursors("a person")
    assert cursors.hold("a") == 20
    cursors.move("a", 6)
    cursors.release("a")
    sink = Told()
    deliver(tmp_path, ledger, a=sink)
    assert seqs(sink.got) == list(range(7, 21))
    assert ledger.cursors("").read("a").dead_letters == ()


def test_one_that_gives_up_is_named_and_the_others_are_done(tmp_path: Path, ledger: Ledger) -> None:
    answer(ledger, 5)

    def fail(_: Sequence[CloudEvent]) -> None:
        raise ValueError("broken\nbadly")

    bad, wrong, good = Told(fail), Told(), Told()
    wrong.deliver = None
    running = deliver(tmp_path, ledger, bad=bad, wrong=wrong, good=good)
    assert len(good.got) == 5
    assert running.workers["bad"].failure == "ValueError: broken badly"
    assert "which is no sink" in str(running.workers["wrong"].failure)
    cursor = ledger.cursors("").read("bad")
    assert (cursor.error, cursor.lag) == ("ValueError: broken badly", 5)


def test_one_that_hangs_is_named_and_delays_nobody(tmp_path: Path, ledger: Ledger) -> None:
    """The webhook that does not answer for an hour: the clock stands still for it alone."""
    end = threading.Event()
    hanging, good = Told(lambda _: end.wait() and None), Told()
    answer(ledger, 1)
    running = start(tmp_path, ledger, follow=True, hanging=hanging, good=good)
    try:
        eventually(lambda: ledger.cursors("").read("hanging").error is not None)
        assert ledger.cursors("").read("hanging").error == "has not answered for 0.5 seconds"
        began = time.monotonic()
        for number in range(1, 51):
            answer(ledger, 1, start=number)
        assert time.monotonic() - began < 10, "recording waits for no sink"
        eventually(lambda: len(good.got) == 51)
        assert hanging.got == []
    finally:
        end.set()
        running.stop()


def test_following_takes_in_what_is_recorded_later(tmp_path: Path, ledger: Ledger) -> None:
    sink = Told()
    running = start(tmp_path, ledger, follow=True, a=sink)
    for number in range(3):
        answer(ledger, 1, start=number)
        eventually(lambda expected=number + 1: len(sink.got) == expected)
    running.stop()
    assert not any(worker.is_alive() for worker in running.workers.values())
    assert ledger.cursors("another").hold("a") == 3, "the cursor is free for others"


def test_two_processes_do_not_deliver_at_the_same_time(tmp_path: Path, ledger: Ledger) -> None:
    answer(ledger, 5)
    others = ledger.cursors("another process")
    assert others.hold("a") == 0
    sink = Told()
    running = deliver(tmp_path, ledger, a=sink)
    assert sink.got == []
    assert running.workers["a"].failure == "another process delivers to it"
    with pytest.raises(LedgerError, match="another process"):
        ledger.cursors("a third").advance("a", 5)

    others.advance("a", 2)
    others.release("a")
    deliver(tmp_path, ledger, a=sink)
    assert seqs(sink.got) == [3, 4, 5]


def test_a_call_that_takes_longer_than_the_hold_is_not_repeated_by_another_process(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hold is renewed meanwhile, also after the ledger failed once."""
    renew, failures, waits = Cursors.renew, iter([LedgerError("busy")]), iter([3.0])

    def fail_first(cursors: Cursors, sink: str) -> None:
        if error := next(failures, None):
            raise error
        renew(cursors, sink)

    monkeypatch.setattr(Cursors, "renew", fail_first)
    for module in ("ledger.cursors", "delivery.worker"):
        monkeypatch.setattr(f"maysend.{module}.HELD_SECONDS", 2)
    answer(ledger, 20)
    sink = Told(lambda _: time.sleep(next(waits, 0)))
    processes = [start(tmp_path, ledger, follow=True, at_once=10, a=sink) for _ in range(2)]
    eventually(lambda: ledger.cursors("").read("a").lag == 0)
    for running in processes:
        running.stop()
    assert next(failures, None) is None, "renewing was tried"
    assert seqs(sink.got) == list(range(1, 21))


def test_a_hold_is_renewed_only_where_it_is_held(ledger: Ledger) -> None:
    ours, others = ledger.cursors("a process"), ledger.cursors("another process")
    assert ours.hold("a") == 0
    ours.release("a")
    ours.renew("a")
    assert others.hold("a") == 0
    ours.renew("a")
    others.advance("a", 0)


def test_no_error_says_a_secret_however_deep_it_stands() -> None:
    settings = {
        "token": "hush-1",
        "client": {"sasl.password": "hush-2", "client.id": "shop"},
        "headers": [{"secret": "hush-3"}],
        "tokens": ["hush-4"],
        "url": "amqp://ann:hush-5@shop",
    }
    sink = delivery.DeclaredSink("a", SinkType(name="a", open=lambda _: Told()), settings)
    told = sink.told(OSError(f"shop: {settings}"))
    assert "hush" not in told
    assert told.startswith("shop: ")


def test_once_through_does_not_wait_for_one_that_hangs(tmp_path: Path, ledger: Ledger) -> None:
    end = threading.Event()
    answer(ledger, 3)
    running = start(tmp_path, ledger, hanging=Told(lambda _: end.wait() and None), good=Told())
    running.wait()
    assert running.workers["hanging"].failure == "has not answered for 0.5 seconds"
    assert running.workers["good"].failure is None
    end.set()
    running.stop()
