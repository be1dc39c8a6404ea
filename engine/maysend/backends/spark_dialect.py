"""Plans in Spark's SQL: where sqlglot's own Spark dialect means something else than DuckDB does, it is said here.

What both read alike is in ``docs/parity.md``. Nothing but this dialect knows that there is a Spark.
"""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.generators.spark import SparkGenerator

from .java_patterns import java_pattern

_MOST_DIGITS = 38
_CALLED = {"HASH": "XXHASH64", "SUM_NO_OVERFLOW": "SUM"}
_ESCAPED = {"\\": "\\\\", "'": "\\'", "$": "\\u0024"}


class _Generator(SparkGenerator):
    TYPE_MAPPING: ClassVar = {
        **SparkGenerator.TYPE_MAPPING,
        exp.DType.TIMESTAMP: "TIMESTAMP_NTZ",
        exp.DType.TIMESTAMPTZ: "TIMESTAMP",
    }

    TRANSFORMS: ClassVar = {
        **SparkGenerator.TRANSFORMS,
        exp.RegexpLike: lambda self, e: self.func("REGEXP", e.this, _java(e.expression)),
        exp.AtTimeZone: lambda self, e: (
            f"CAST(FROM_UTC_TIMESTAMP({self.sql(e, 'this')}, {self.sql(e, 'zone')}) AS TIMESTAMP_NTZ)"
        ),
        exp.TimestampTrunc: lambda self, e: (
            f"CAST(DATE_TRUNC('{e.unit.name}', {self.sql(e, 'this')}) AS TIMESTAMP_NTZ)"
        ),
        exp.TryCast: lambda self, e: _try_cast(self, e),
        exp.Cast: lambda self, e: _cast(self, e),
        exp.BitwiseRightShift: lambda self, e: self.func("SHIFTRIGHT", e.this, e.expression),
        exp.Literal: lambda _, e: _literal(e),
        exp.Ordered: lambda self, e: f"{self.sql(e, 'this')}{' DESC' if e.args.get('desc') else ''}",
        exp.Anonymous: lambda self, e: (
            self.func(_CALLED[e.name], *e.expressions) if e.name in _CALLED else self.anonymous_sql(e)
        ),
    }


class MaysendSpark(Spark):
    """Spark 4 with ANSI mode on, UTC as the session's zone, names case-sensitive."""

    Generator = _Generator


def _literal(literal: exp.Literal) -> str:
    """Text escaped by code point; a number of more digits than a decimal has is a double, as in DuckDB."""
    text = literal.name
    if literal.is_string:
        return "'" + "".join(map(_escaped, text)) + "'"
    whole, _, fraction = text.partition(".")
    digits = max(len((whole + fraction).lstrip("0")), len(fraction))
    return f"{text}D" if digits > _MOST_DIGITS and (whole + fraction).isdigit() else text


def _escaped(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    return character if character.isprintable() and ord(character) < 0x7F else f"\\U{ord(character):08X}"


def _java(pattern: exp.Expr) -> exp.Expr:
    return exp.Literal.string(java_pattern(pattern.name)) if isinstance(pattern, exp.Literal) else pattern


def _cast(self: SparkGenerator, cast: exp.Cast) -> str:
    """``'0x' || digits`` as a number is Spark's CONV."""
    match cast.this:
        case exp.Concat(expressions=[exp.Literal(this="0x"), digits]):
            return f"CAST(CONV({self.sql(digits)}, 16, 10) AS BIGINT)"
    return self.cast_sql(cast)


def _try_cast(self: SparkGenerator, cast: exp.TryCast) -> str:
    """A cast that is NULL where it cannot be done, whatever the tree says of how safe it is."""
    return f"TRY_CAST({self.sql(cast, 'this')} AS {self.sql(cast, 'to')})"
