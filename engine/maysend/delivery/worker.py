"""One sink's thread: it reads the ledger from the sink's cursor, and tries until the sink has taken what it read."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from threading import Event, Thread

import stamina

from ..errors import DeliveryError, LedgerError
from ..events import ChannelUnsubscribed
from ..hookspecs import CloudEvent, Sink
from ..ledger import Cursors, DeadLetter, Ledger
from ..ledger.cursors import HELD_SECONDS
from .cloud_events import cloud_event
from .sinks import DeclaredSink

POLL_SECONDS = 0.5
"""How often the ledger is asked for new events once all are delivered."""

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 20.0
_ATTEMPTS_ONCE = 4
_log = logging.getLogger("maysend")


class Worker(Thread):
    """Delivers to one sink: with ``follow`` until it is stopped, else once through, giving up after a few attempts.

    ``delivered`` and ``rejected`` count events; ``failure`` is why nothing can be delivered now, or
    None. ``busy_since`` is the monotonic time at which the sink was called, None while it is not.
    """

    def __init__(self, sink: DeclaredSink, ledger: Ledger, cursors: Cursors, source: str, *, follow: bool) -> None:
        super().__init__(name=f"maysend-sink-{sink.name}", daemon=True)
        self.sink = sink
        self.follow = follow
        self.stopping = Event()
        self.delivered = 0
        self.rejected = 0
        self.failure: str | None = None
        self.busy_since: float | None = None
        self._ledger = ledger
        self._cursors = cursors
        self._source = source
        self._open: Sink | None = None
        self._held_until = 0.0
        self._renewed_at = 0.0
        self._waits = False
        self._seq = 0
        self._events: Iterator[ChannelUnsubscribed] = iter(())
        self._batch: list[CloudEvent] = []

    def tell(self, failure: str) -> None:
        """Say once why nothing can be delivered now, and write it down."""
        if failure != self.failure:
            _log.warning('sink "%s": %s', self.sink.name, failure)
        self.failure = failure
        with suppress(LedgerError):
            self._cursors.fail(self.sink.name, failure)

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                if not self._try_next():
                    if not self.follow:
                        break
                    self.stopping.wait(POLL_SECONDS)
        except Exception as error:
            self._fail(error)
        finally:
            self._close()
            self.release()

    def release(self) -> None:
        """Let others deliver to this sink at once."""
        with suppress(LedgerError):
            self._cursors.release(self.sink.name)

    def renew(self) -> None:
        """Keep others from delivering to this sink while it is called, however long it takes; for another thread."""
        since = self.busy_since
        if since is not None and time.monotonic() - max(since, self._renewed_at) > HELD_SECONDS / 4:
            with suppress(LedgerError):  # the next look tries again
                self._cursors.renew(self.sink.name)
                self._renewed_at = time.monotonic()

    def _try_next(self) -> bool:
        """Deliver the next events, however many attempts it takes; whether there were any."""
        attempts = None if self.follow else _ATTEMPTS_ONCE
        waits = {"wait_initial": _FIRST_WAIT, "wait_max": _LONGEST_WAIT, "wait_jitter": 1.0}
        for attempt in stamina.retry_context(on=self._may_retry, attempts=attempts, timeout=None, **waits):
            if self.stopping.is_set():
                return False
            with attempt:
                return self._deliver_next()
        return False

    def _may_retry(self, error: Exception) -> bool:
        self._fail(error)
        return not self.stopping.is_set()

    def _deliver_next(self) -> bool:
        if not self._batch and not self._read():
            self.failure = None
            return False
        if not self._hold():
            if not self.follow:
                raise DeliveryError("another process delivers to it")
            if not self._waits:
                _log.info('sink "%s": another process delivers to it; waiting', self.sink.name)
            self._waits = True
            return False
        self._waits = False
        if not self._batch:
            return True  # another process was here before: read again
        try:
            self._call(self._batch)
        except DeliveryError as error:
            self._take_in(error)
            if not error.rejected:
                raise
        else:
            self._advance(len(self._batch))
        self.failure = None
        return True

    def _read(self) -> bool:
        """Fill the batch with the events after the cursor, if there are any."""
        if not self._held_until:
            self._seq = self._cursors.read(self.sink.name).seq
        batch = list(islice(self._events, self.sink.type.at_once))
        if not batch:
            self._events = self._ledger.events(self._seq)
            batch = list(islice(self._events, self.sink.type.at_once))
        self._batch = [cloud_event(event, self._source) for event in batch]
        return bool(batch)

    def _hold(self) -> bool:
        """Keep others from delivering to this sink; what they have delivered meanwhile is not delivered again."""
        if self._held_until - time.monotonic() > HELD_SECONDS / 2:
            return True
        seq = self._cursors.hold(self.sink.name)
        if seq is None:
            self._forget()
            return False
        if seq != self._seq:
            self._forget()
            self._seq = seq
        self._held_until = time.monotonic() + HELD_SECONDS
        return True

    def _call(self, batch: Sequence[CloudEvent]) -> None:
        self.busy_since = time.monotonic()
        try:
            self._open = self._open or self.sink.open()
            self._open.deliver(batch)
        except SystemExit as error:
            raise DeliveryError("it called for the program to end") from error
        finally:
            self.busy_since = None

    def _take_in(self, error: DeliveryError) -> None:
        """Move past what was delivered before the error, and past an event that was rejected for good."""
        if not 0 <= error.delivered < len(self._batch):
            raise DeliveryError(f"{error} (it says {error.delivered} of {len(self._batch)} are delivered)") from error
        if error.rejected:
            letter = self._batch[error.delivered]
            reason = self.sink.told(error)
            _log.error('sink "%s" rejected event %s for good: %s', self.sink.name, letter.id, reason)
            self._advance(error.delivered + 1, DeadLetter(letter.seq, letter.id, reason, datetime.now(UTC)))
        elif error.delivered:
            self._advance(error.delivered)

    def _advance(self, count: int, *rejected: DeadLetter) -> None:
        try:
            self._cursors.advance(self.sink.name, self._batch[count - 1].seq, rejected)
        except LedgerError:
            self._forget()
            raise
        self._seq = self._batch[count - 1].seq
        self._held_until = time.monotonic() + HELD_SECONDS
        self._batch = self._batch[count:]
        self.delivered += count - len(rejected)
        self.rejected += len(rejected)

    def _forget(self) -> None:
        """Start again from the cursor in the ledger."""
        self._batch, self._events, self._held_until = [], iter(()), 0.0

    def _fail(self, error: Exception) -> None:
        """Tell what went wrong, and let go of the sink: the next attempt opens it anew."""
        self.tell(self.sink.told(error))
        self._close()

    def _close(self) -> None:
        opened, self._open = self._open, None
        if opened:
            try:
                opened.close()
            except Exception as error:  # a third party's code; what it delivered is delivered
                _log.warning('sink "%s" cannot be closed: %s', self.sink.name, self.sink.told(error))
