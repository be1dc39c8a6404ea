"""The way into the ledger: nothing is answered before what it answers is durable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future

from starlette.requests import Request

from ..events import ChannelUnsubscribed, Fact
from ..ledger import Ledger
from .metrics import Metrics


async def record(request: Request, facts: Sequence[Fact]) -> list[ChannelUnsubscribed]:
    """Append facts and wait until they are on disk; the events they became. Raises LedgerError."""
    if not facts:
        return []
    ledger: Ledger = request.app.state.ledger
    metrics: Metrics = request.app.state.metrics
    started = time.perf_counter()
    events = [event for event in await _done(ledger.submit(facts)) if event]
    metrics.count_events(events, time.perf_counter() - started)
    return events


async def _done(appending: Future[list[ChannelUnsubscribed | None]]) -> list[ChannelUnsubscribed | None]:
    """What a thread makes of ``appending``; whoever stops waiting for it does not stop it."""
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()
    appending.add_done_callback(lambda _: loop.call_soon_threadsafe(_wake, woken))
    await woken
    return appending.result()


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
