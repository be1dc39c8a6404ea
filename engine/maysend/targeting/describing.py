"""A plan as a reviewer reads it: what it asks of every profile, and what each campaign must pass."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from .plan import Plan
from .stages import REASONS


def describe(plan: Plan, dialect: str = "duckdb") -> str:
    """Features by name, predicates by stage with the campaigns that ask them, then a query for each table joined."""
    return "\n".join(_lines(plan, dialect)) + "\n"


def _lines(plan: Plan, dialect: str) -> Iterator[str]:
    for feature in plan.features.features.values():
        yield f"{feature.name}: {feature.expression.sql(dialect)}"
    names = [asked.campaign.name for asked in plan.asked]
    for stage, reason in enumerate(REASONS):
        for predicate in (predicate for predicate in plan.predicates if predicate.stage == stage):
            asking = [name for index, name in enumerate(names) if predicate.mask >> index & 1]
            yield f"{reason} unless {predicate.test.sql(dialect)}{_for(asking, names)}"
    for standing in plan.features.standings.values():
        given = ", ".join(f"{word}.{bit} {name}" for name, word, bit in standing.described())
        yield f"{standing.alias}: answers on {standing.channel}: {given}"
    for name, query in plan.behaviour():
        yield f"{name}:"
        yield from (f"  {line}" for line in _pretty(query, dialect))


def _for(asking: list[str], names: list[str]) -> str:
    return "" if len(asking) == len(names) else f"  -- {', '.join(asking)}"


def _pretty(query: exp.Query, dialect: str) -> list[str]:
    return query.sql(dialect, pretty=True).splitlines()
