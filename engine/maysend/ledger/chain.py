"""The hash chain over events: each event's hash covers all its fields and the hash before it.

Address, profile and reason are covered by salted digests (commitments): once value and salt are erased, the digest
tells nothing, and the chain still verifies.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping

from .tables import ERASABLE

START = bytes(32)
"""What stands in the place of a hash before the first event."""

_COVERED = (
    "seq",
    "event_id",
    "occurred_at",
    "recorded_at",
    "channel",
    "group_name",
    "subscribed",
    "type",
    "source",
    "campaign",
    "campaign_type",
    "variant",
    "revision",
    "text_hash",
)


_compact = json.JSONEncoder(separators=(",", ":")).encode


def commit(row: dict[str, Any], before: bytes) -> None:
    """Fill in the salts, digests and hash of a new row of ``events``."""
    for name in ERASABLE:
        value: str | None = row[name]
        salt = None if value is None else os.urandom(16)
        row[f"{name}_salt"] = salt
        row[f"{name}_digest"] = digest(value, salt) if value is not None and salt else None
    row["hash"] = link(row, before)


def digest(value: str, salt: bytes) -> bytes:
    return hashlib.sha256(salt + value.encode()).digest()


def link(row: Mapping[str, Any] | RowMapping, before: bytes) -> bytes:
    """The hash of a row: SHA-256 over the hash before it and the row's fields as compact JSON in a fixed order."""
    digests = [row[f"{name}_digest"] for name in ERASABLE]
    fields = [row[name] for name in _COVERED] + [value.hex() if value else None for value in digests]
    return hashlib.sha256(before + _compact(fields).encode()).digest()
