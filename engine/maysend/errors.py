"""What can go wrong: problems in declarations, and the exceptions everything else raises."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong in a declaration, at a place a person can go to.

    ``file`` is relative to the project; ``line`` and ``column`` count from 1 and are 0 where a problem is
    about a file as a whole (it is missing, it cannot be read).
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        """One line, in which no character of a quoted value can end the line or steer a terminal."""
        line = f"{self.file}:{self.line}:{self.column}: {self.message}"
        return line if line.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def did_you_mean(word: str, known: Iterable[str], *, few: str = "known:") -> str:
    """A closing hint for an unknown ``word``: the nearest known one, else the few there are, else nothing.

    ``few`` is what the few are called: of a file's columns, "it has".
    """
    names = sorted(known)
    if near := get_close_matches(word, names, n=1, cutoff=0.6):
        return f'; did you mean "{near[0]}"?'
    if 0 < len(names) <= 8:
        return f"; {few} {', '.join(names)}"
    return ""


class MaysendError(Exception):
    """The base of every error a person can cause: one clear line, and the process's exit code."""

    exit_code = 1


class InvalidProjectError(MaysendError):
    """The declarations have problems; nothing was evaluated, recorded or served."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownNameError(MaysendError):
    """A name on the command line that nothing declares, or words that do not make sense together."""

    exit_code = 2


class SourceError(MaysendError):
    """A data file is missing, broken, or not shaped as declared."""


class LedgerError(MaysendError):
    """The ledger is missing, busy, read-only, full, or newer than this program; nothing was recorded."""


class LedgerMissingError(LedgerError):
    """There is no ledger where one is declared; a missing ledger is never an empty one."""


class PluginError(MaysendError):
    """A plugin broke the contract of its hook."""


class FeedbackError(MaysendError):
    """Feedback that cannot be verified (``status`` 401) or read (400)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class DeliveryError(MaysendError):
    """A sink could not deliver its events; nothing else is held up.

    ``delivered`` says how many of them, counted from the first, are durable at the receiver all the same; with
    ``rejected`` the receiver will never take the one after those, so that it becomes a dead letter.
    """

    def __init__(self, message: str, *, delivered: int = 0, rejected: bool = False) -> None:
        super().__init__(message)
        self.delivered = delivered
        self.rejected = rejected


class RevisionError(MaysendError):
    """A revision that cannot be read, or looked for; nothing was compared."""


class OutputError(MaysendError):
    """Results cannot be written where they were asked for."""


class KeysError(MaysendError):
    """There is no key to seal links with, or what the environment holds is none."""


class InvalidTokenError(MaysendError):
    """A token that no key of ours sealed; it never says which part of it was wrong."""

    def __init__(self) -> None:
        super().__init__("this link is not valid")
