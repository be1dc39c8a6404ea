"""What tests of delivery share: a project with sinks, answers in its ledger, and sinks that behave as told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maysend import CloudEvent, DeliveryError, SinkType, plugins
from maysend.events import ChannelUnsubscribed, Fact
from maysend.ledger import Ledger, open_ledger

DECLARATIONS = {
    "channels/email.yaml": "type: email\naddress: email\n",
    "profiles.csv": "id,email\n1,ann@example.com\n",
}


def write_project(root: Path, sinks: Sequence[Mapping[str, Any]], ledger: str = "sqlite:///ledger.db") -> None:
    """A project with one channel and these sinks, and its empty ledger."""
    settings = (
        "title: A shop\n"
        "profiles: {source: profiles.csv, key: id, columns: {id: integer, email: text}}\n"
        f"ledger: {json.dumps(ledger)}\n"
        f"sinks: {json.dumps(sinks)}\n"
    )
    for name, text in (DECLARATIONS | {"project.yaml": settings}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    open_ledger(ledger, root, create=True).close()


def answer(ledger: Ledger, count: int, *, people: int = 10, start: int = 0) -> list[ChannelUnsubscribed]:
    """Record so many answers of so many people, each leaving and returning in turn."""
    facts = [
        Fact(
            channel="email",
            group=None,
            subscribed=bool((number // people) % 2),
            address=f"p{number % people}@example.com",
            source="cli",
        )
        for number in range(start, start + count)
    ]
    recorded = [event for at in range(0, count, 5000) for event in ledger.append(facts[at : at + 5000])]
    return [event for event in recorded if event]


@dataclass
class Told:
    """A sink that keeps what it gets, and first does what ``behave`` says with each call."""

    behave: Callable[[Sequence[CloudEvent]], None] = lambda _: None
    got: list[CloudEvent] = field(default_factory=list)
    calls: int = 0
    opened: int = 0
    closed: int = 0

    def deliver(self, events: Sequence[CloudEvent]) -> None:
        self.calls += 1
        try:
            self.behave(events)
        except DeliveryError as error:
            self.got += events[: error.delivered]
            raise
        self.got += events

    def close(self) -> None:
        self.closed += 1


def with_sinks(at_once: int = 100, **sinks: Any) -> plugins.Plugins:
    """The installed plugins, and one sink type for every given sink."""
    installed = plugins.load()

    def opener(sink: Any) -> Callable[[Mapping[str, Any]], Any]:
        def open_it(settings: Mapping[str, Any]) -> Any:
            sink.opened += 1
            return sink

        return open_it

    brought = {name: SinkType(name=name, open=opener(sink), at_once=at_once) for name, sink in sinks.items()}
    registered = {**installed.registered, "register_sink_types": {**installed.sink_types, **brought}}
    return plugins.Plugins(installed.loaded, registered, installed.sources)


def eventually(holds: Callable[[], bool], seconds: float = 20.0, interval: float = 0.01) -> None:
    """Wait until ``holds`` is true; fail where it does not become so."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(interval)
