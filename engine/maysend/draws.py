"""Draws: a stable number per profile from its key and a declared salt alone (spec 5), in SQL.

h = the first 32 bits of md5(key) mod 2^31 - 1, once a row; draw = (h * a + b) mod 2^31 - 1, with a and b from the
SHA-256 of the salt. Renaming anything re-draws nobody, and two salts draw independently of each other.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from math import ceil

from sqlglot import exp

from .trees import cast

PRIME = 2**31 - 1

E = exp.Expr


def coefficients(salt: str) -> tuple[int, int]:
    """The multiplier (never 0) and the offset of a salt."""
    digest = sha256(salt.encode()).digest()
    return int.from_bytes(digest[:8], "big") % (PRIME - 1) + 1, int.from_bytes(digest[8:16], "big") % PRIME


def hashed(key_text: E) -> E:
    """h of a key shown as text."""
    start = exp.Left(this=exp.MD5(this=key_text), expression=exp.Literal.number(8))
    bits = cast(exp.Concat(expressions=[exp.Literal.string("0x"), start]), "bigint")
    return exp.Mod(this=bits, expression=exp.Literal.number(PRIME))


def draw(hash_: E, salt: str) -> E:
    """The draw of a salt, 0 to 2^31 - 2."""
    a, b = coefficients(salt)
    product = exp.Mul(this=hash_, expression=exp.Literal.number(a))
    return exp.Mod(
        this=exp.paren(exp.Add(this=product, expression=exp.Literal.number(b))), expression=exp.Literal.number(PRIME)
    )


def threshold(percent: float) -> int:
    """A profile is drawn into a share of ``percent`` where its draw is below this."""
    return ceil(Fraction(Decimal(repr(percent))) * PRIME / 100)


def bucket(drawn: E) -> E:
    """0 to 999 from a draw."""
    return exp.IntDiv(
        this=exp.paren(exp.Mul(this=drawn, expression=exp.Literal.number(1000))), expression=exp.Literal.number(PRIME)
    )
