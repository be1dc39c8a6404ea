"""Parts of SQL trees as maysend writes them: identifiers always quoted, types never parsed, arguments never copied.

sqlglot's own builders copy what they are given and read types from text; a plan of a hundred campaigns has too many
nodes for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Literal, TypeVar

from sqlglot import exp
from sqlglot.dialects import Dialect

E = exp.Expr
N = TypeVar("N", bound=exp.Expr)
Type = Literal["smallint", "integer", "bigint", "double", "text", "date", "timestamp", "timestamptz"]

_TYPES: dict[Type, exp.DType] = {
    "smallint": exp.DType.SMALLINT,
    "integer": exp.DType.INT,
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


def has(word: E, bits: int) -> E:
    """Whether a word has any of the bits."""
    return exp.NEQ(this=_bits(word, bits), expression=small(0))


def has_all(word: E, bits: int) -> E:
    """Whether a word has all of the bits."""
    return exp.EQ(this=_bits(word, bits), expression=small(bits))


def how_many(word: E, bits: int) -> E:
    """How many of the bits a word has, as a number of 64 bits: DuckDB's has 8, and words are added up."""
    return cast(exp.func("BIT_COUNT", exp.BitwiseAnd(this=word, expression=small(bits))), "bigint")


def outermost(value: E, kind: type[N]) -> Iterator[N]:
    """The nodes of a kind that are in no other: what sqlglot's own walk finds, in a third of the time."""
    left = [value]
    while left:
        node = left.pop()
        if isinstance(node, kind):
            yield node
            continue
        for child in node.args.values():
            if isinstance(child, exp.Expr):
                left.append(child)
            elif isinstance(child, list):
                left += [one for one in child if isinstance(one, exp.Expr) and not isinstance(one, exp.Literal)]


def columns_in(value: E) -> set[str]:
    """The names of all columns in a tree."""
    return {found.name for found in outermost(value, exp.Column)}


def written(value: E) -> str:
    """A value as SQL of no dialect, which tells it from others."""
    return str(_WRITER.generate(value, copy=False))


def _bits(word: E, bits: int) -> E:
    return exp.Paren(this=exp.BitwiseAnd(this=word, expression=small(bits)))


def _grouped(test: E) -> E:
    return exp.Paren(this=test) if isinstance(test, exp.Connector) else test
