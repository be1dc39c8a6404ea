"""The ledger: the append-only record of every answer, and the status the answers add up to.

One module for two stores, SQLite and PostgreSQL. The only door to SQLAlchemy and Alembic, which is opened when a name
is asked for: SQLAlchemy takes as long to import as a thousand declarations to read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cursors import Cursor as Cursor
    from .cursors import Cursors as Cursors
    from .cursors import DeadLetter as DeadLetter
    from .glance import KnownGroup as KnownGroup
    from .ledger import AnswerRow as AnswerRow
    from .ledger import Ledger as Ledger
    from .ledger import Mark as Mark
    from .ledger import Recorded as Recorded
    from .ledger import is_storable as is_storable
    from .ledger import is_subject as is_subject
    from .ledger import open_ledger as open_ledger
    from .rehearsal import rehearse as rehearse
    from .standings import Subject as Subject
    from .stores import sqlite_journal as sqlite_journal
    from .stores import sqlite_version as sqlite_version
    from .tally import Tally as Tally
    from .verification import Proof as Proof

_HOMES = {
    "cursors": ("Cursor", "Cursors", "DeadLetter"),
    "glance": ("KnownGroup",),
    "ledger": (
        "AnswerRow",
        "Ledger",
        "Mark",
        "Recorded",
        "is_storable",
        "is_subject",
        "open_ledger",
    ),
    "rehearsal": ("rehearse",),
    "standings": ("Subject",),
    "stores": ("sqlite_journal", "sqlite_version"),
    "tally": ("Tally",),
    "verification": ("Proof",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
