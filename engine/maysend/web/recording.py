"""The way into the ledger: nothing is answered before what it answers is durable."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from ..events import Fact
from ..ledger import Ledger, Recorded
from .metrics import Metrics

T = TypeVar("T")


class Waking(Generic[T]):
    """Lets the coroutines of one event loop wait for what another thread tells them.

    That thread does for many of them at once, and the loop is called once for all: a call from outside costs it as
    much as all else about a wait.
    """

    def __init__(self) -> None:
        self._told: deque[tuple[asyncio.Future[T], T]] = deque()
        self._called = False

    async def wait(self, begin: Callable[[Callable[[T], None]], None]) -> T:
        """Call ``begin`` with what is to be told, and wait for that. Whoever stops waiting stops nothing else."""
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        begin(partial(self._tell, waiter))
        return await waiter

    def _tell(self, waiter: asyncio.Future[T], told: T) -> None:
        self._told.append((waiter, told))
        if not self._called:
            self._called = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                waiter.get_loop().call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._called = False  # first: what is told from now on calls again, or is seen below
        while self._told:
            waiter, told = self._told.popleft()
            if not waiter.done():
                waiter.set_result(told)


class Recorder:
    """Appends facts for the requests of one event loop."""

    def __init__(self, ledger: Ledger, metrics: Metrics) -> None:
        self._ledger, self._metrics = ledger, metrics
        self._waking: Waking[Recorded | Exception] = Waking()

    async def record(self, facts: Sequence[Fact]) -> list[Fact]:
        """Append facts and wait until they are on disk; those that became events. Raises LedgerError."""
        if not facts:
            return []
        started = time.perf_counter()
        recorded = await self._waking.wait(partial(self._ledger.submit, facts))
        if isinstance(recorded, Exception):
            raise recorded
        changed = [fact for fact, row in zip(facts, recorded, strict=True) if row]
        self._metrics.count_append(changed, time.perf_counter() - started)
        return changed
