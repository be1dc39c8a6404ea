"""Addresses, normalized: what reaches somebody on e-mail, SMS and push."""

from __future__ import annotations

BLANKS = " \t\n\v\f\r\u00a0\u200b\ufeff"
WHITE_SPACE = " \t\n\v\f\r"
OPT_IN = "opt_in"
"""A channel type that a plugin of the tests brings: addresses as on push, and no answer is a no, as on WhatsApp."""


def normalize(found: str, channel_type: str) -> str | None:
    """The address in its one form, or None where it is empty or invalid."""
    rules = {"email": _email, "sms": _phone, "push": _token, OPT_IN: _token}
    return rules[channel_type](found.strip(BLANKS))


def _email(address: str) -> str | None:
    """A to Z lowered and no other letter; one @ with something on both sides, and no white space."""
    lowered = "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in address)
    name, _, domain = lowered.partition("@")
    valid = lowered.count("@") == 1 and name and domain and not any(letter in WHITE_SPACE for letter in lowered)
    return lowered if valid else None


def _phone(number: str) -> str | None:
    """E.164: a plus, then 7 to 15 digits that do not start with 0; 00 may stand for the plus."""
    kept = "".join(letter for letter in number if letter not in " \t\u00a0-().·/")
    if kept.startswith("00"):
        kept = "+" + kept[2:]
    digits = kept[1:]
    ascii_digits = all(digit in "0123456789" for digit in digits)
    valid = kept.startswith("+") and 7 <= len(digits) <= 15 and ascii_digits and digits[0] != "0"
    return kept if valid else None


def _token(token: str) -> str | None:
    """One word, as it is."""
    return token if token and not any(letter in WHITE_SPACE for letter in token) else None
