"""The way into the ledger: nothing is answered before what it answers is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

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
    with metrics.appending.time():
        appended = await asyncio.shield(asyncio.wrap_future(ledger.submit(facts)))
    events = [event for event in appended if event]
    for event in events:
        metrics.events.labels(event.source, "yes" if event.resubscribed else "no").inc()
    return events
