"""The ledger: the append-only record of every answer, and the status the answers add up to.

One module for two stores, SQLite and PostgreSQL. The only door to SQLAlchemy and Alembic.
"""

from .ledger import AnswerRow, KnownGroup, Ledger, open_ledger
from .rehearsal import rehearse
from .standings import Subject
from .verification import Proof

__all__ = ["AnswerRow", "KnownGroup", "Ledger", "Proof", "Subject", "open_ledger", "rehearse"]
