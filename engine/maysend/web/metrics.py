"""What Prometheus may scrape at ``/metrics``: counts and times, and nothing about anybody."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the directory in which several workers keep their counts."""


class Metrics:
    """The counters of one process; with several workers they are added up where they are read."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "maysend_requests", "Requests answered.", ["route", "method", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "maysend_request_seconds", "Time to answer a request.", ["route"], registry=self._registry
        )
        self.events = Counter(
            "maysend_events", "Events recorded, by source.", ["source", "resubscribed"], registry=self._registry
        )
        self.appending = Histogram(
            "maysend_append_seconds", "Time until answers are durable in the ledger.", registry=self._registry
        )
        self.reloads = Counter(
            "maysend_reloads", "Changes of declarations seen, by outcome.", ["outcome"], registry=self._registry
        )

    def text(self) -> bytes:
        """The Prometheus text format."""
        if MULTIPROCESS in os.environ:
            everyone = CollectorRegistry()
            MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
            return generate_latest(everyone)
        return generate_latest(self._registry)
