"""Erasing a person: the values go, their commitments stay, and a tombstone keeps their no to the channel.

A tombstone holds an HMAC-SHA256 of the subject under ``MAYSEND_ERASURE_KEY``: whoever has the key can ask whether
somebody was erased, and nobody can read who. The key is never rotated, for the subjects are no longer there to digest
anew.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, or_, select, union, update

from ..errors import LedgerError
from ..events import ERASURE, Fact, microseconds
from ..status import CHANNEL, Standing
from . import statements
from .standings import Subject, subjects_of
from .tables import cursors, dead_letters, events, status, tombstones

KEY_VARIABLE = "MAYSEND_ERASURE_KEY"

_AT_ONCE = 500
_FORGOTTEN = "erased with the person it was about"
_SHORTEST = 16
_CHECK = Subject("", "profile", "")  # the digest under which a ledger remembers which key is its own
_CHECKS = select(tombstones.c.digest).where(tombstones.c.channel == _CHECK.channel)


class Tombstones:
    """What a ledger knows of erased people."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key

    @classmethod
    def of(cls, connection: Connection) -> Tombstones:
        """The ledger's tombstones, to be read with the key in the environment.

        Raises LedgerError where there are some, and the key is missing or another one.
        """
        key = os.environ.get(KEY_VARIABLE, "").encode() or None
        if not (checks := statements.rows_of(connection, _CHECKS)):
            return cls(None)
        if key is None:
            raise LedgerError(f"ledger: people were erased from it; set {KEY_VARIABLE} to the key of then")
        if not hmac.compare_digest(_digest(key, _CHECK), checks[0][0]):
            raise LedgerError(f"ledger: {KEY_VARIABLE} is not the key with which people were erased from it")
        return cls(key)

    def __bool__(self) -> bool:
        return self._key is not None

    def erased(self, connection: Connection, subjects: Iterable[Subject]) -> dict[Subject, int]:
        """Of the given subjects, those who were erased, and when."""
        if self._key is None:
            return {}
        by_digest = {_digest(self._key, subject): subject for subject in subjects}
        digests = list(by_digest)
        found: dict[Subject, int] = {}
        for start in range(0, len(digests), _AT_ONCE):
            some = digests[start : start + _AT_ONCE]
            query = select(tombstones.c.digest, tombstones.c.erased_at).where(tombstones.c.digest.in_(some))
            found |= {by_digest[digest]: at for digest, at in connection.execute(query)}
        return found

    def stand_in(self, connection: Connection, standings: Mapping[Subject, Standing]) -> dict[Subject, int]:
        """Let the standings of erased people begin with the no that is left of them; return who they are, and when."""
        erased = self.erased(connection, standings)
        for subject, at in erased.items():
            standing = standings[subject]
            own = standing.answers.get(CHANNEL)
            if own is None or own.yields_to(False, at):
                standing.apply(CHANNEL, False, at, source=ERASURE)
        return erased


def without_erased(fact: Fact, erased: Mapping[Subject, int]) -> Fact | None:
    """The fact without those who were erased since it occurred: it must not bring back what was forgotten."""
    if not erased or fact.occurred_at is None:
        return fact
    at = microseconds(fact.occurred_at)
    gone: dict[str, Any] = {subject.level: None for subject in subjects_of(fact) if at <= erased.get(subject, at - 1)}
    if len(gone) == len(subjects_of(fact)):
        return None
    return replace(fact, **gone) if gone else fact


def erase(connection: Connection, subjects: Collection[Subject], at: int) -> int:
    """Erase the subjects, and return how many events named them; the caller holds the lock and commits.

    The reason a person gave goes with them. Raises LedgerError where the key is missing, short or another one.
    """
    key = os.environ.get(KEY_VARIABLE, "").encode()
    if len(key) < _SHORTEST:
        raise LedgerError(f"set {KEY_VARIABLE} to a secret of at least {_SHORTEST} characters, and keep it for good")
    if not Tombstones.of(connection):
        connection.execute(insert(tombstones), [_tombstone(key, _CHECK, at)])
    named: set[int] = set()
    for subject in subjects:
        column = events.c[subject.level]
        here = (events.c.channel == subject.channel) & (column == subject.value)
        gone = {"reason": None, "reason_salt": None, subject.level: None, f"{subject.level}_salt": None}
        named.update(connection.execute(select(events.c.seq).where(here)).scalars())
        _forget_errors(connection, select(events.c.seq).where(here), subject)
        connection.execute(update(events).where(here).values(gone))
        own = (status.c.subject == subject.value) & (status.c.channel == subject.channel)
        connection.execute(delete(status).where(own & (status.c.level == subject.level)))
        connection.execute(delete(tombstones).where(tombstones.c.digest == _digest(key, subject)))
        connection.execute(insert(tombstones), [_tombstone(key, subject, at)])
    return len(named)


def _forget_errors(connection: Connection, seqs: Select[Any], subject: Subject) -> None:
    """Receivers may name a person in the words in which they reject an event: theirs, or another's."""
    named: list[ColumnElement[bool]] = [dead_letters.c.seq.in_(seqs)]
    if subject.level == "address":
        named.append(dead_letters.c.reason.icontains(subject.value, autoescape=True))
        told = cursors.c.error.icontains(subject.value, autoescape=True)
        connection.execute(update(cursors).where(told).values(error=_FORGOTTEN))
    connection.execute(update(dead_letters).where(or_(*named)).values(reason=_FORGOTTEN))


def addresses_of(connection: Connection, profile: str) -> set[Subject]:
    """The addresses that events name together with a profile."""
    query = select(events.c.channel, events.c.address).where(events.c.profile == profile, events.c.address.is_not(None))
    return {Subject(channel, "address", address) for channel, address in connection.execute(query.distinct())}


def known_elsewhere(connection: Connection, subjects: Iterable[Subject]) -> set[Subject]:
    """The same people on every channel that the ledger knows them on, whether it is still declared or not."""
    found: set[Subject] = set()
    for level, value in {(subject.level, subject.value) for subject in subjects}:
        named = select(events.c.channel).where(events.c[level] == value)
        answered = select(status.c.channel).where(status.c.subject == value, status.c.level == level)
        channels = connection.execute(union(named, answered)).scalars()
        found |= {Subject(channel, level, value) for channel in channels}
    return found


def newest(connection: Connection) -> int:
    """When somebody was last erased, 0 for never: a copy of the ledger from before then must not be used."""
    return int(connection.execute(select(func.coalesce(func.max(tombstones.c.erased_at), 0))).scalar_one())


def _tombstone(key: bytes, subject: Subject, at: int) -> dict[str, object]:
    digest = _digest(key, subject)
    return {"channel": subject.channel, "level": subject.level, "digest": digest, "erased_at": at}


def _digest(key: bytes, subject: Subject) -> bytes:
    return hmac.digest(key, "\0".join(subject).encode(), "sha256")
