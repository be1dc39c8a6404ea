"""Tokens: the sealed part of a link. Encrypted and authenticated with AES-SIV (RFC 5297), and the same every time.

A key is 32 random bytes; what seals is derived from it per purpose with HKDF (RFC 5869). The newest key seals, and
all open.
"""

from __future__ import annotations

import binascii
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .errors import InvalidTokenError, KeysError, MaysendError

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ModuleNotFoundError:
    raise KeysError("links are sealed with cryptography; run `pip install 'maysend[server]'`") from None

VARIABLE = "MAYSEND_KEYS"
"""The environment variable with the keys, comma-separated, newest first."""

LONGEST = 4096
"""Characters of the longest link's token that is looked at."""

LONGEST_SEALED = 900
"""Characters of the longest that is sealed: as ``List-Unsubscribe`` it is part of a line, of at most 998 (RFC 5322,
section 2.1.1)."""

_KEY_BYTES = 32
_URL_SAFE, _PLAIN = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
_FORMAT, _TEST = 0x10, 0x01


@dataclass(frozen=True, slots=True)
class Link:
    """What a link holds: who, on which channel, and what the message was about.

    ``address`` is normalized. ``groups`` are those the campaign asked for at sending; none means the whole channel.
    ``test`` marks a test send, whose links save nothing.
    """

    channel: str
    campaign: str | None = None
    groups: tuple[str, ...] = ()
    profile: str | None = None
    address: str | None = None
    test: bool = False


class Sealer:
    """Seals bytes into URL-safe text for one purpose, and opens what any of its keys sealed for that purpose."""

    def __init__(self, keys: Sequence[bytes], purpose: str) -> None:
        self._ciphers = [AESSIV(_derive(key, purpose)) for key in keys]

    def seal(self, payload: bytes, beside: bytes = b"") -> str:
        """``payload`` sealed by the newest key; to open it takes the same ``beside``."""
        return _encode(self._ciphers[0].encrypt(payload, [beside]))

    def open(self, text: str, beside: bytes = b"") -> bytes:
        """What ``seal`` was given. Raises InvalidTokenError for anything else."""
        sealed = _decode(text)
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed, [beside])
            except (InvalidTag, ValueError):
                continue
        raise InvalidTokenError


class LinkSealer:
    """Seals the links of one campaign's messages, with all that they share packed once."""

    def __init__(
        self, keys: Sequence[bytes], channel: str, campaign: str | None, groups: Sequence[str], *, test: bool = False
    ) -> None:
        self._seal = Sealer(keys, "link").seal
        self._campaign = campaign
        self._start = bytes([_FORMAT | (_TEST if test else 0)])
        self._end = " ".join((channel, campaign or "", *groups)).encode()

    def seal(self, profile: str | None, address: str | None) -> str:
        """The token of the message to one profile. Raises MaysendError where a mail's header could not hold it."""
        who, where = (profile or "").encode(), (address or "").encode()
        payload = b"".join((self._start, _length(len(who)), who, _length(len(where)), where, self._end))
        token = self._seal(payload)
        if len(token) > LONGEST_SEALED:
            raise MaysendError(
                f"campaign {self._campaign}: its links would be too long for a mail's header "
                f"({len(token)} characters, at most {LONGEST_SEALED}); ask for fewer groups, or give them shorter names"
            )
        return token


def open_link(sealer: Sealer, token: str) -> Link:
    """What a token holds; ``sealer`` is one for the purpose ``link``. Raises InvalidTokenError."""
    if len(token) > LONGEST:
        raise InvalidTokenError
    payload = sealer.open(token)
    try:
        if payload[0] & ~_TEST != _FORMAT:
            raise InvalidTokenError
        profile, place = _take(payload, 1)
        address, place = _take(payload, place)
        return Link(
            *_shared(payload[place:]),
            profile.decode() or None,
            address.decode() or None,
            bool(payload[0] & _TEST),
        )
    except (ValueError, IndexError):
        raise InvalidTokenError from None


@lru_cache(1024)
def _shared(end: bytes) -> tuple[str, str | None, tuple[str, ...]]:
    """Channel, campaign and groups: the same in all messages of a campaign."""
    channel, campaign, *groups = end.decode().split(" ")
    return channel, campaign or None, tuple(groups)


def new_key() -> str:
    """A fresh key, as text for the environment."""
    return _encode(os.urandom(_KEY_BYTES))


def keys_from_environment() -> tuple[bytes, ...]:
    """The keys in MAYSEND_KEYS, newest first. Raises KeysError where there is none, or one that is not a key."""
    return read_keys(os.environ.get(VARIABLE, ""))


def read_keys(text: str) -> tuple[bytes, ...]:
    """Keys from comma-separated text. Raises KeysError where there is none, or one that is not a key."""
    texts = [part.strip() for part in text.split(",") if part.strip()]
    if not texts:
        raise KeysError(f"{VARIABLE} is not set, and links need a key; `maysend keys new` makes one to put there")
    return tuple(_read_key(part, place) for place, part in enumerate(texts, 1))


def fingerprint(key: bytes) -> str:
    """Sixteen hexadecimal digits that tell keys apart, and tell nothing about them."""
    return hashlib.sha256(b"maysend key fingerprint" + key).hexdigest()[:16]


def _read_key(text: str, place: int) -> bytes:
    try:
        key = _decode(text)
    except InvalidTokenError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise KeysError(f"key {place} in {VARIABLE} is not a key; `maysend keys new` makes one")
    return key


def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), length=64, salt=None, info=f"maysend {purpose}".encode()).derive(key)


def _decode(text: str) -> bytes:
    """Strict, unpadded base64url (RFC 4648, section 5): one text for each sequence of bytes."""
    if not text.isascii():
        raise InvalidTokenError
    try:
        decoded = binascii.a2b_base64(text.encode().translate(_PLAIN) + b"==")
    except ValueError:
        raise InvalidTokenError from None
    if _encode(decoded) != text:
        raise InvalidTokenError
    return decoded


def _encode(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE, b"=").decode()


@lru_cache(1024)
def _length(length: int) -> bytes:
    """A length in LEB128: seven bits a byte, the lowest first. What it is of follows it."""
    return bytes((length,)) if length < 0x80 else bytes((length & 0x7F | 0x80,)) + _length(length >> 7)


def _take(data: bytes, place: int) -> tuple[bytes, int]:
    """The sized value that begins at ``place``, and where it ends."""
    length = shift = 0
    while True:
        byte = data[place]
        length |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            break
    end = place + length
    if end > len(data):
        raise ValueError("cut short")
    return data[place:end], end
