"""Answers from files: read, checked row by row, put in the order of time, and recorded."""

from .answers import Outcome, import_answers
from .rows import Refused

__all__ = ["Outcome", "Refused", "import_answers"]
