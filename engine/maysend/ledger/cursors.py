"""How far each sink is: a cursor a sink, held by one process at a time, and the events that were rejected for good."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, or_, select, update

from ..errors import LedgerError
from ..events import from_microseconds, microseconds
from . import stores
from .tables import cursors, dead_letters, events

HELD_SECONDS = 30
"""How long a process that fell silent keeps a cursor from others."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a sink's receiver rejected for good."""

    seq: int
    event_id: str
    reason: str
    rejected_at: datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """A sink's progress: all events up to ``seq`` are delivered or dead letters, and ``lag`` events are not yet."""

    seq: int
    lag: int
    error: str | None
    error_at: datetime | None
    dead_letters: tuple[DeadLetter, ...]


class Cursors:
    """The cursors of one ledger, as one process (``holder``) sees them. Raises LedgerError where the store fails."""

    def __init__(self, engine: Engine, holder: str) -> None:
        self._engine = engine
        self._holder = holder

    def hold(self, sink: str) -> int | None:
        """Keep others from delivering to ``sink`` for a while, and return its ``seq``; None where another holds it."""
        with stores.clear_errors(self._engine), stores.writing(self._engine) as connection:
            now = _now()  # not before: a process may wait long for its turn to write
            free = or_(cursors.c.holder.is_(None), cursors.c.holder == self._holder, cursors.c.held_until < now)
            held = {"holder": self._holder, "held_until": now + HELD_SECONDS * 1_000_000}
            if connection.execute(update(cursors).where(cursors.c.sink == sink, free).values(held)).rowcount:
                return int(connection.execute(select(cursors.c.seq).where(cursors.c.sink == sink)).scalar_one())
            if connection.execute(select(cursors.c.seq).where(cursors.c.sink == sink)).first():
                return None
            connection.execute(insert(cursors).values(sink=sink, seq=0, **held))
            return 0

    def renew(self, sink: str) -> None:
        """Keep others from delivering to ``sink`` for a while longer; nothing where this process does not hold it."""
        with stores.clear_errors(self._engine), stores.writing(self._engine) as connection:
            held = {"held_until": _now() + HELD_SECONDS * 1_000_000}
            connection.execute(update(cursors).where(self._ours(sink)).values(held))

    def advance(self, sink: str, seq: int, rejected: Sequence[DeadLetter] = ()) -> None:
        """All up to ``seq`` is delivered, but for what was ``rejected``. Raises LedgerError where others hold it."""
        with stores.clear_errors(self._engine), stores.writing(self._engine) as connection:
            before = self._held_seq(connection, sink)
            again = (dead_letters.c.sink == sink) & dead_letters.c.seq.between(before + 1, seq)
            connection.execute(delete(dead_letters).where(again))
            if rejected:
                connection.execute(insert(dead_letters), [_row(sink, letter) for letter in rejected])
            moved = {"seq": seq, "error": None, "error_at": None, "held_until": _now() + HELD_SECONDS * 1_000_000}
            connection.execute(update(cursors).where(cursors.c.sink == sink).values(moved))

    def move(self, sink: str, seq: int) -> None:
        """Put the cursor of a sink that is held by nobody else elsewhere. Raises LedgerError where others hold it."""
        with stores.clear_errors(self._engine), stores.writing(self._engine) as connection:
            self._held_seq(connection, sink)
            connection.execute(update(cursors).where(cursors.c.sink == sink).values(seq=seq))

    def fail(self, sink: str, error: str) -> None:
        """Write down why the holder can deliver nothing at the moment."""
        with stores.clear_errors(self._engine), stores.writing(self._engine) as connection:
            connection.execute(update(cursors).where(self._ours(sink)).values(error=error, error_at=_now()))

    def release(self, sink: str) -> None:
        """Let others deliver to ``sink`` at once."""
        with stores.clear_errors(self._engine), stores.writing(self._engine) as connection:
            connection.execute(update(cursors).where(self._ours(sink)).values(holder=None, held_until=0))

    def read(self, sink: str) -> Cursor:
        """How far a sink is; one that was never delivered to is at the start."""
        with stores.clear_errors(self._engine), stores.reading(self._engine) as connection:
            row = connection.execute(select(cursors).where(cursors.c.sink == sink)).one_or_none()
            seq = row.seq if row else 0
            letters = select(dead_letters).where(dead_letters.c.sink == sink).order_by(dead_letters.c.seq)
            return Cursor(
                seq,
                connection.execute(select(func.count()).select_from(events).where(events.c.seq > seq)).scalar_one(),
                row.error if row else None,
                from_microseconds(row.error_at) if row and row.error_at is not None else None,
                tuple(
                    DeadLetter(letter.seq, letter.event_id, letter.reason, from_microseconds(letter.rejected_at))
                    for letter in connection.execute(letters)
                ),
            )

    def _ours(self, sink: str) -> ColumnElement[bool]:
        return (cursors.c.sink == sink) & (cursors.c.holder == self._holder)

    def _held_seq(self, connection: Connection, sink: str) -> int:
        seq = connection.execute(select(cursors.c.seq).where(self._ours(sink))).scalar_one_or_none()
        if seq is None:
            raise LedgerError(f'sink "{sink}" is being delivered to by another process')
        return int(seq)


def _row(sink: str, letter: DeadLetter) -> dict[str, object]:
    return {
        "sink": sink,
        "seq": letter.seq,
        "event_id": letter.event_id,
        "reason": letter.reason,
        "rejected_at": microseconds(letter.rejected_at),
    }


def _now() -> int:
    return time.time_ns() // 1000
