"""What Prometheus may scrape at ``/metrics``: counts and times, and nothing about anybody."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from ..events import Fact

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the directory in which several workers keep their counts."""


class Metrics:
    """The counters of one process; with several workers they are added up where they are read."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        requests = Histogram(
            "maysend_request_seconds",
            "Time to answer a request.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        events = Counter(
            "maysend_events", "Events recorded, by source.", ["source", "resubscribed"], registry=self._registry
        )
        self._appending = Histogram(
            "maysend_append_seconds", "Time until answers are durable in the ledger.", registry=self._registry
        )
        self.reloads = Counter(
            "maysend_reloads", "Changes of declarations seen, by outcome.", ["outcome"], registry=self._registry
        )
        # The library looks a label up slowly, for every request: each is looked up once.
        self._requests, self._events = cache(requests.labels), cache(events.labels)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request answered."""
        self._requests(route, method, status).observe(seconds)

    def count_append(self, changed: Sequence[Fact], seconds: float) -> None:
        """One append, and the facts of it that became events."""
        self._appending.observe(seconds)
        for fact in changed:
            self._events(fact.source, "yes" if fact.subscribed else "no").inc()

    def text(self) -> bytes:
        """The Prometheus text format."""
        if MULTIPROCESS in os.environ:
            everyone = CollectorRegistry()
            MultiProcessCollector(everyone)  # type: ignore[no-untyped-call] # prometheus_client says no types here
            return generate_latest(everyone)
        return generate_latest(self._registry)
