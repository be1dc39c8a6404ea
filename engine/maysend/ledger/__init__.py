"""The ledger: the append-only record of every answer, and the status the answers add up to.

One module for two stores, SQLite and PostgreSQL. The only door to SQLAlchemy and Alembic.
"""

from .cursors import Cursor, Cursors, DeadLetter
from .ledger import AnswerRow, KnownGroup, Ledger, Mark, Recorded, is_storable, open_ledger
from .rehearsal import rehearse
from .standings import Subject
from .stores import sqlite_journal, sqlite_version
from .tally import Tally
from .verification import Proof

__all__ = [
    "AnswerRow",
    "Cursor",
    "Cursors",
    "DeadLetter",
    "KnownGroup",
    "Ledger",
    "Mark",
    "Proof",
    "Recorded",
    "Subject",
    "Tally",
    "is_storable",
    "open_ledger",
    "rehearse",
    "sqlite_journal",
    "sqlite_version",
]
