"""The hash chain over events: each event's hash covers all its fields and the hash before it.

Address, profile and reason are covered by salted digests (commitments): once value and salt are erased, the digest
tells nothing, and the chain still verifies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

START = bytes(32)
"""What stands in the place of a hash before the first event."""

SALT_BYTES = 16

_compact = json.JSONEncoder(separators=(",", ":")).encode


def digest(value: str, salt: bytes) -> bytes:
    return hashlib.sha256(salt + value.encode()).digest()


def link(covered: Sequence[object], digests: Sequence[bytes | None], before: bytes) -> bytes:
    """The hash of an event: SHA-256 over the hash before it and the event's fields as compact JSON.

    ``covered`` are the columns of ``events`` up to those that can be erased, whose ``digests`` stand in for them.
    """
    fields = [*covered, *[value.hex() if value else None for value in digests]]
    return hashlib.sha256(before + _compact(fields).encode()).digest()
