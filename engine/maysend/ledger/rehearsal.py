"""What would change: a ledger on the side that starts from the standings of another, and is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.dialects.sqlite import insert

from ..events import Fact
from . import statements, stores
from .ledger import Ledger
from .recording import Recorded
from .standings import subjects_of
from .tables import status, tombstones


class _Rehearsal(Ledger):
    """Copies the standings of the subjects it is asked about before it answers."""

    def __init__(self, engine: Engine, original: Engine) -> None:
        super().__init__(engine)
        self._original = original

    def _record(self, facts: Sequence[Fact], *, spare_own_choices: bool = False) -> Recorded:
        self._copy(facts)
        return super()._record(facts, spare_own_choices=spare_own_choices)

    def _copy(self, facts: Sequence[Fact]) -> None:
        """What is here already has moved on since it was copied, and stays."""
        values = list({subject.value for fact in facts for subject in subjects_of(fact)})
        with stores.clear_errors(self._original), self._original.connect() as connection:
            rows = list(statements.rows_where(connection, status, "subject", values))
        if rows:
            with stores.clear_errors(self._engine), stores.writing(self._engine) as connection:
                connection.execute(
                    insert(status).on_conflict_do_nothing(),
                    [dict(zip(status.c.keys(), row, strict=True)) for row in rows],
                )


@contextmanager
def rehearse(ledger: Ledger) -> Iterator[Ledger]:
    """A ledger to append to and read standings from, as if it were ``ledger``; nothing of it is kept."""
    with tempfile.TemporaryDirectory(prefix="maysend-") as directory:
        engine = stores.connect("sqlite:///rehearsal.db", Path(directory), create=True)
        stores.prepare(engine, create=True)
        with stores.clear_errors(ledger._engine), ledger._engine.connect() as connection:
            erased = [dict(row) for row in connection.execute(select(tombstones)).mappings()]
        if erased:
            with stores.clear_errors(engine), stores.writing(engine) as connection:
                connection.execute(insert(tombstones), erased)
        with _Rehearsal(engine, ledger._engine) as rehearsal:
            yield rehearsal
