"""*Channel Unsubscribed*: the one event maysend raises, whose recording is the answer.

Fields as CleverTap documents them for its system event of that name, and ours beside them (spec 6).
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Source = Literal["page", "one_click", "api", "import", "feedback", "reply", "cli"]
Type = Literal["bounced", "dropped", "spam"]
Level = Literal["Account", "Profile"]
Default = Literal["subscribed", "unsubscribed"]

SOURCES: tuple[Source, ...] = ("page", "one_click", "api", "import", "feedback", "reply", "cli")
ERASURE = "erasure"
"""The source of the no that is left of somebody erased; no event has it."""
OWN_CHOICES = frozenset[str](("page", "one_click", "api", "reply", "feedback", ERASURE))
"""The sources of a no that holds until the person returns: they said it themselves, or it is left of them."""
TYPES: tuple[Type, ...] = ("bounced", "dropped", "spam")

LONGEST_SUBJECT = 512
"""Characters of the longest address or key that is recorded; an e-mail address has at most 254 (RFC 5321)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Somebody's answer, before the ledger has decided whether it changes anything.

    It names ``address`` (already normalized), ``profile`` (the key as text), or both; ``group`` is None for the whole
    channel. ``occurred_at`` is None for a live choice: the ledger stamps it. Times are timezone-aware.
    """

    channel: str
    group: str | None
    subscribed: bool
    address: str | None = None
    profile: str | None = None
    occurred_at: datetime | None = None
    type: Type | None = None
    source: Source
    reason: str | None = None
    campaign: str | None = None
    campaign_type: str | None = None
    variant: str | None = None
    revision: str | None = None
    text_hash: str | None = None
    event_id: str = field(default_factory=lambda: new_event_id())

    def __post_init__(self) -> None:
        if not (self.address or self.profile):
            raise ValueError("an answer names an address, a profile, or both")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUnsubscribed:
    """A recorded answer. ``seq`` is its place in the ledger; ``text_hash`` is the SHA-256 of the text shown."""

    seq: int
    event_id: str
    occurred_at: datetime
    recorded_at: datetime
    channel: str
    group: str | None
    address: str | None
    profile: str | None
    resubscribed: bool
    type: Type | None
    source: Source
    reason: str | None
    campaign_id: str | None
    campaign_type: str | None
    variant: str | None
    revision: str | None
    text_hash: str | None

    @property
    def identity(self) -> str | None:
        """CleverTap's ``identity``: the profile's key, else the address."""
        return self.profile or self.address

    @property
    def subscription_type(self) -> Level:
        return "Account" if self.address else "Profile"

    def as_json(self) -> dict[str, Any]:
        """The event with the field names of spec 6 and times as RFC 3339 text in UTC."""
        fields = asdict(self)
        fields |= {name: isoformat(fields[name]) for name in ("occurred_at", "recorded_at")}
        return fields | {"identity": self.identity, "subscription_type": self.subscription_type}


def isoformat(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, the one form in which times leave maysend."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def microseconds(moment: datetime) -> int:
    """Microseconds since the epoch in UTC, as the ledger keeps times; exact."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def new_event_id() -> str:
    """A UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (
        (milliseconds & (1 << 48) - 1) << 80
        | 0x7 << 76
        | (random >> 68 & 0xFFF) << 64
        | 0b10 << 62
        | random & (1 << 62) - 1
    )
    text = f"{value:032x}"  # UUID's own way to its text takes four times as long
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
