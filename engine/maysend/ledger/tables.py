"""The ledger's tables. Times are microseconds since the epoch in UTC; the whole channel is the group ``""``.

An event's address, profile and reason can be erased: beside each stand a salt, erased with it, and the salted digest
that the hash chain covers in its place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

from ..events import Source, Type

ERASABLE = ("address", "profile", "reason")
"""The columns of ``events`` that can be erased."""

_Seq = BigInteger().with_variant(Integer, "sqlite")  # an INTEGER PRIMARY KEY is SQLite's own row number

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("seq", _Seq, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False, unique=True),
    Column("occurred_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("group_name", Text, nullable=False),
    Column("subscribed", Boolean, nullable=False),
    Column("type", Text),
    Column("source", Text, nullable=False),
    Column("campaign", Text),
    Column("campaign_type", Text),
    Column("variant", Text),
    Column("revision", Text),
    Column("text_hash", Text),
    *(Column(name, Text) for name in ERASABLE),
    *(Column(f"{name}_salt", LargeBinary) for name in ERASABLE),
    *(Column(f"{name}_digest", LargeBinary) for name in ERASABLE),
    Column("hash", LargeBinary, nullable=False),
    Index("events_address", "address"),
    Index("events_profile", "profile"),
)


class EventRow(NamedTuple):
    """A row of ``events``, its columns in their order."""

    seq: int
    event_id: str
    occurred_at: int
    recorded_at: int
    channel: str
    group_name: str
    subscribed: bool
    type: Type | None
    source: Source
    campaign: str | None
    campaign_type: str | None
    variant: str | None
    revision: str | None
    text_hash: str | None
    address: str | None
    profile: str | None
    reason: str | None
    address_salt: bytes | None
    profile_salt: bytes | None
    reason_salt: bytes | None
    address_digest: bytes | None
    profile_digest: bytes | None
    reason_digest: bytes | None
    hash: bytes

    @property
    def covered(self) -> tuple[Any, ...]:
        """What the hash covers as it is."""
        return self[:14]

    @property
    def erasable(self) -> tuple[str | None, ...]:
        """The values of ``ERASABLE``."""
        return self[14:17]

    @property
    def salts(self) -> tuple[bytes | None, ...]:
        return self[17:20]

    @property
    def digests(self) -> tuple[bytes | None, ...]:
        return self[20:23]


status = Table(
    "status",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("level", Text, primary_key=True),
    Column("group_name", Text, primary_key=True),
    Column("answer", SmallInteger, nullable=False),
    Column("answered_at", BigInteger),
    Column("source", Text),
    Column("in_force", SmallInteger, nullable=False),
    Column("suppressed", Boolean, nullable=False),
    Column("types", Text, nullable=False),
    Column("last_yes", BigInteger),
    Column("seq", BigInteger, nullable=False),
    Index("status_seq", "seq"),
    sqlite_with_rowid=False,
)

known_groups = Table(
    "known_groups",
    metadata,
    Column("name", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("default_status", Text, nullable=False),
    Column("acknowledged", Text),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("level", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("erased_at", BigInteger, nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    Column("sink", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("holder", Text),
    Column("held_until", BigInteger, nullable=False),
    Column("error", Text),
    Column("error_at", BigInteger),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("sink", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rejected_at", BigInteger, nullable=False),
)
