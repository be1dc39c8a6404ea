"""Draws: a number per key and declared salt, the same for ever (spec 5)."""

from __future__ import annotations

from decimal import Decimal
from hashlib import md5, sha256

from .world import Key

P = 2**31 - 1


def draw(key: Key, salt: str) -> int:
    """A number from 0 to 2**31 - 2 that depends on the key and the salt alone."""
    h = int(md5(str(key).encode(), usedforsecurity=False).hexdigest()[:8], 16) % P
    digest = sha256(salt.encode()).digest()
    a = int.from_bytes(digest[:8], "big") % (P - 1) + 1
    b = int.from_bytes(digest[8:16], "big") % P
    return (h * a + b) % P


def drawn(key: Key, salt: str, percent: float) -> bool:
    """Whether the key falls into the first ``percent`` of all draws."""
    return draw(key, salt) * 100 < Decimal(str(percent)) * P


def bucket(key: Key, salt: str = "bucket") -> int:
    """A number from 0 to 999."""
    return draw(key, salt) * 1000 // P
