"""Shared secrets in requests, for services that cannot sign what they send."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Mapping


def is_authorized(headers: Mapping[str, str], secret: str) -> bool:
    """Whether the header Authorization holds ``secret``: as Bearer token (RFC 6750), or as Basic password (RFC 7617).

    ``headers`` have names in lower case.
    """
    scheme, _, given = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return _same(given.strip(), secret)
        case "basic":
            try:
                _, _, password = b64decode(given, validate=True).decode().partition(":")
            except ValueError:
                return False
            return _same(password, secret)
        case _:
            return False


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())
