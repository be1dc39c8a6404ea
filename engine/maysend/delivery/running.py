"""Delivery to several sinks at once, with an eye on those that fall silent."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Collection
from threading import Event, Thread
from uuid import uuid4

from stamina import instrumentation

from ..ledger import Ledger
from ..model import Project
from ..plugins import Plugins
from .cloud_events import source_of
from .sinks import declared
from .worker import Worker

SILENT_SECONDS = 60.0
"""How long a sink may take over one call before it is said to hang."""


class Running:
    """Delivery under way: a thread for every sink, and one that watches them."""

    def __init__(self, workers: Collection[Worker], silent_seconds: float) -> None:
        self.workers = {worker.sink.name: worker for worker in workers}
        self._silent_seconds = silent_seconds
        self._stopped = Event()
        self._told: dict[str, float] = {}
        self._watch = Thread(target=self._watch_over, name="maysend-sinks", daemon=True)
        for worker in workers:
            worker.start()
        self._watch.start()

    def stop(self, seconds: float = 5.0) -> None:
        """End it: a sink that is being called may finish within ``seconds``; the rest comes again later."""
        self._stopped.set()
        for worker in self.workers.values():
            worker.stopping.set()
        until = time.monotonic() + seconds
        for worker in self.workers.values():
            while worker.is_alive() and (worker.failure is None or worker.busy_since) and time.monotonic() < until:
                worker.join(0.05)
            worker.release()
        self._watch.join()

    def wait(self) -> None:
        """Wait until every sink has taken everything, given up, or (but for those that are followed) hangs."""
        for worker in self.workers.values():
            while worker.is_alive() and (worker.follow or not self._hangs(worker)):
                worker.join(0.05)

    def _watch_over(self) -> None:
        while not self._stopped.wait(min(1.0, self._silent_seconds / 4)):
            for worker in self.workers.values():
                worker.renew()
                self._hangs(worker)

    def _hangs(self, worker: Worker) -> bool:
        """Whether the sink has been silent for too long, which is told once."""
        since = worker.busy_since
        if since is None or time.monotonic() - since <= self._silent_seconds:
            return False
        if self._told.get(worker.sink.name) != since:
            self._told[worker.sink.name] = since
            worker.tell(f"has not answered for {self._silent_seconds:g} seconds")
        return True


def start(
    project: Project,
    plugins: Plugins,
    ledger: Ledger,
    *,
    only: Collection[str] = (),
    follow: bool = True,
    silent_seconds: float = SILENT_SECONDS,
) -> Running:
    """Start delivering to the project's sinks (to those named in ``only``, where it names any).

    With ``follow`` it goes on until ``stop``; else each sink's thread ends once it has taken everything.
    """
    instrumentation.set_on_retry_hooks([])  # a failure is told once, not at every attempt
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
    source = source_of(project)
    workers = [
        Worker(sink, ledger, ledger.cursors(holder), source, follow=follow)
        for name, sink in declared(project, plugins).items()
        if not only or name in only
    ]
    return Running(workers, silent_seconds)
