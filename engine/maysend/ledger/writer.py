"""Group commit: one thread writes for everybody, and answers only once its commit is on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

from ..errors import LedgerError

MOST_AT_ONCE = 512
"""How many waiting jobs one transaction takes in."""

J = TypeVar("J")
R = TypeVar("R")
Told = Callable[[R | Exception], None]
"""Is told a job's result, or what kept it from having one; it must not raise, and not wait."""


class Writer(Generic[J, R]):
    """Hands waiting jobs to ``write``, many at once; ``write`` commits them together or raises for all of them.

    Where a batch fails for a reason other than the ledger's state, it is tried again job by job, so that one bad job
    fails alone.
    """

    def __init__(self, write: Callable[[Sequence[J]], Sequence[R]]) -> None:
        self._write = write
        self._jobs: SimpleQueue[tuple[J, Told[R]] | None] = SimpleQueue()
        self._start = Lock()
        self._thread: Thread | None = None
        self._closed = False

    def submit(self, job: J, told: Told[R]) -> None:
        """Queue ``job``; the writer's thread calls ``told`` once it is committed, or cannot be."""
        with self._start:
            if self._closed:
                raise LedgerError("ledger: is closed")
            if self._thread is None:
                self._thread = Thread(target=self._run, name="maysend-ledger", daemon=True)
                self._thread.start()
            self._jobs.put((job, told))

    def close(self) -> None:
        """Finish what was submitted, and take no more."""
        with self._start:
            if not self._closed and self._thread:
                self._jobs.put(None)
            self._closed = True
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while True:
            batch, last = self._drain()
            if batch:
                self._commit(batch)
            if last:
                return

    def _drain(self) -> tuple[list[tuple[J, Told[R]]], bool]:
        """Wait for one job, then take what else is there; the flag says that the ledger closes."""
        batch = []
        waiting = self._jobs.get()
        while waiting:
            batch.append(waiting)
            if len(batch) == MOST_AT_ONCE:
                return batch, False
            try:
                waiting = self._jobs.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: Sequence[tuple[J, Told[R]]]) -> None:
        try:
            results = self._write([job for job, _ in batch])
        except Exception as error:  # whatever it was, the one who waits must hear of it
            if len(batch) == 1 or isinstance(error, LedgerError):
                for _, told in batch:
                    told(error)
            else:
                for single in batch:
                    self._commit([single])
            return
        for (_, told), result in zip(batch, results, strict=True):
            told(result)
