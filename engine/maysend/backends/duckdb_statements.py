"""Statements of DuckDB's that are no queries, and what every database is told first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from sqlglot import exp

from .duckdb_columns import DECLARED

AS_WRITTEN = "SET disabled_optimizers = 'join_order,build_side_probe_side'"
"""Every query of a plan is written with the small table on the right of a join; an estimate would only get it wrong."""
STATEMENTS = ("SET TimeZone = 'UTC'", "SET enable_progress_bar = false", AS_WRITTEN)
"""What every database is told first."""


def copied(query: exp.Query, file: Path, options: Mapping[str, str | int]) -> exp.Copy:
    """``COPY (query) TO file (options)``"""
    return exp.Copy(
        this=exp.Subquery(this=query),
        kind=False,
        files=[exp.Literal.string(str(file))],
        params=[
            exp.CopyParameter(this=exp.Var(this=name), expression=exp.convert(value)) for name, value in options.items()
        ],
    )


def temporary(kind: Literal["TABLE", "VIEW"], name: str, query: exp.Query) -> exp.Create:
    """``CREATE OR REPLACE TEMPORARY kind name AS query``"""
    own = exp.Properties(expressions=[exp.TemporaryProperty()])
    return exp.Create(this=identifier(name), kind=kind, expression=query, replace=True, properties=own)


def attach(file: Path, name: exp.Identifier, *, read_only: bool = False) -> exp.Attach:
    """``ATTACH file AS name``"""
    options = [exp.AttachOption(this=exp.var("READ_ONLY"))] if read_only else []
    attached = exp.Alias(this=exp.Literal.string(str(file)), alias=name.copy())
    return exp.Attach(this=attached, expressions=options)


def identifier(name: str) -> exp.Identifier:
    """A name as it is, in quotes."""
    return exp.to_identifier(name, quoted=True)


def projected(name: str, declared: Mapping[str, str]) -> str:
    """A column, cast to the type that is declared for it."""
    column: exp.Expr = exp.column(name, quoted=True)
    if name in declared:
        column = exp.cast(column, exp.DataType.build(DECLARED[declared[name]], dialect="duckdb"))
    return exp.alias_(column, name, quoted=True).sql("duckdb")
