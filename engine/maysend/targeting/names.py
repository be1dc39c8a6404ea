"""Identifiers in plans: always quoted, so that a column may be called anything."""

from __future__ import annotations

from sqlglot import exp


def column(name: str, table: str | None = None) -> exp.Column:
    return exp.column(name, table=table, quoted=True)


def table(name: str, alias: str | None = None) -> exp.Table:
    named = exp.Table(this=exp.to_identifier(name, quoted=True))
    if alias:
        named.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    return named
