"""Polars, lazily: a collect a campaign, or one for all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import reduce
from operator import and_, or_
from typing import Any

import polars as pl

from ..projects import Campaign, Condition
from ..sql import PRIME
from . import Asked, Found, What, named, split


def each(asked: Asked) -> dict[str, Found]:
    """A query for each campaign."""
    rows = []
    for campaign in asked.campaigns:
        left = _stages(_clause(campaign))
        query = pl.scan_parquet(asked.people).filter(_audience(campaign))
        rows.append(_row(query, [pl.len(), *(stage.sum() for stage in left), *_who(left[-1], asked.what)]))
    return named(asked, rows)


def at_once(asked: Asked) -> dict[str, Found]:
    """One query for all campaigns."""
    inner, outer = [], []
    for number, campaign in enumerate(asked.campaigns):
        inner += [_audience(campaign).fill_null(False).alias(f"a{number}"), _clause(campaign).alias(f"g{number}")]
        audience = pl.col(f"a{number}")
        left = [audience, *(audience & stage for stage in _stages(pl.col(f"g{number}")))]
        outer += [*(stage.sum() for stage in left), *_who(left[-1], asked.what)]
    facts = ["id", "reachable", "suppressed", "channel"]
    return split(asked, _row(pl.scan_parquet(asked.people).select(*facts, *inner), outer))


def _row(query: pl.LazyFrame, columns: Sequence[pl.Expr]) -> tuple[object, ...]:
    chosen = [column.alias(str(number)) for number, column in enumerate(columns)]
    return query.select(chosen).collect(engine="streaming").row(0)


def _who(left: pl.Expr, what: What) -> list[pl.Expr]:
    check = pl.col("id") * 2654435761 % PRIME
    return {"checks": [check.filter(left).sum()], "ids": [pl.col("id").filter(left).implode()]}.get(what, [])


def _stages(groups: pl.Expr) -> list[pl.Expr]:
    reached = pl.col("reachable") & ~pl.col("suppressed")
    return [pl.col("reachable"), reached, reached & (pl.col("channel") | groups), reached & groups]


def _clause(campaign: Campaign) -> pl.Expr:
    if campaign.clause == "all":
        return pl.all_horizontal(*campaign.groups)
    if campaign.clause == "any":
        return pl.any_horizontal(*campaign.groups)
    return pl.sum_horizontal(*campaign.groups) >= campaign.at_least


def _audience(campaign: Campaign) -> pl.Expr:
    return reduce(and_, map(_condition, campaign.conditions))


def _condition(condition: Condition) -> pl.Expr:
    match condition:
        case {"any": parts}:
            return reduce(or_, map(_condition, parts))
        case {"property": name, **rest}:
            ((operator, operand),) = rest.items()
            return _property(pl.col(name), operator, operand)
    raise AssertionError(condition)


def _property(column: pl.Expr, operator: str, operand: Any) -> pl.Expr:
    match operator, operand:
        case "in", list():
            return column.is_in(operand)
        case "not_in", list():
            return ~column.is_in(operand)
        case "between", [low, high]:
            return column.is_between(low, high)
        case "starts_with", str():
            return column.str.starts_with(operand)
        case "has_any", list():
            return column.list.eval(pl.element().is_in(operand)).list.any()
        case "after", str():
            return column > date.fromisoformat(operand)
        case "before", str():
            return column < date.fromisoformat(operand)
        case "at_least", _:
            return column.ge(operand)
        case "at_most", _:
            return column.le(operand)
        case "greater_than", _:
            return column.gt(operand)
    raise AssertionError(operator)
