"""Parts of SQL trees as maysend writes them: identifiers always quoted, types never parsed, arguments never copied.

sqlglot's own builders copy what they are given and read types from text; a plan of a hundred campaigns has too many
nodes for that.
"""

from __future__ import annotations

from functools import reduce
from typing import Literal

from sqlglot import exp
from sqlglot.dialects import Dialect

E = exp.Expr
Type = Literal["smallint", "bigint", "double", "text", "date", "timestamp", "timestamptz"]

_TYPES: dict[Type, exp.DType] = {
    "smallint": exp.DType.SMALLINT,
    "bigint": exp.DType.BIGINT,
    "double": exp.DType.DOUBLE,
    "text": exp.DType.TEXT,
    "date": exp.DType.DATE,
    "timestamp": exp.DType.TIMESTAMP,
    "timestamptz": exp.DType.TIMESTAMPTZ,
}


_WRITER = Dialect().generator()


def column(name: str, table: str | None = None) -> exp.Column:
    """A column by name, whatever it is called."""
    found = exp.Column(this=exp.Identifier(this=name, quoted=True))
    if table is not None:
        found.set("table", exp.Identifier(this=table, quoted=True))
    return found


def table(name: str, alias: str | None = None) -> exp.Table:
    named = exp.Table(this=exp.Identifier(this=name, quoted=True))
    if alias:
        named.set("alias", exp.TableAlias(this=exp.Identifier(this=alias, quoted=True)))
    return named


def select(*columns: E) -> exp.Select:
    """A query of columns, to be gone on with by its own methods and ``copy=False``."""
    return exp.Select(expressions=list(columns))


def named(value: E, name: str) -> exp.Alias:
    """``value AS name``"""
    return exp.Alias(this=value, alias=exp.Identifier(this=name, quoted=True))


def cast(value: E, type_: Type) -> exp.Cast:
    return exp.Cast(this=value, to=exp.DataType(this=_TYPES[type_]))


def small(value: int) -> E:
    """An integer constant."""
    return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))


def number(value: int) -> E:
    """An integer constant of 64 bits. One that needs them is read as one."""
    return cast(small(value), "bigint") if abs(value) < 1 << 31 else small(value)


def either(tests: list[E]) -> E:
    """Any of the tests; at least one is given."""
    return reduce(lambda left, right: exp.Or(this=_grouped(left), expression=_grouped(right)), tests)


def both(tests: list[E]) -> E:
    """All of the tests; at least one is given."""
    return reduce(lambda left, right: exp.And(this=_grouped(left), expression=_grouped(right)), tests)


def opposite(test: E) -> E:
    """``NOT test``"""
    return exp.Not(this=_grouped(test))


def missing(value: E) -> exp.Is:
    return exp.Is(this=value, expression=exp.Null())


def has(word: E, bit: int) -> E:
    """Whether a word has a bit."""
    return exp.NEQ(this=exp.Paren(this=exp.BitwiseAnd(this=word, expression=small(bit))), expression=small(0))


def written(value: E) -> str:
    """A value as SQL of no dialect, which tells it from others."""
    return str(_WRITER.generate(value, copy=False))


def _grouped(test: E) -> E:
    return exp.Paren(this=test) if isinstance(test, exp.Connector) else test
