"""Reads of a plan's decisions: counts for a waterfall, an audience, a profile's reason."""

from __future__ import annotations

from sqlglot import exp

from .coding import WORD_BITS
from .names import column
from .plan import Engine, Plan
from .stages import REASONS
from .standings import number

E = exp.Expr
INCLUDED = "included"
_LAST = len(REASONS) - 1


def waterfall(plan: Plan, engine: Engine) -> tuple[int, list[dict[str, int]]]:
    """How many profiles there are, and for each campaign how many have each reason (``included`` among them)."""
    places = [(stage, word) for stage in range(len(REASONS)) for word in range(plan.words) if plan.changes(stage, word)]
    words = [column(f"s{stage}_{word}") for stage, word in places]
    sets = exp.Group(
        grouping_sets=[exp.GroupingSets(expressions=[exp.Tuple(expressions=[word.copy()]) for word in words])]
    )
    place = exp.Case(
        ifs=[
            exp.If(this=exp.not_(exp.Is(this=w.copy(), expression=exp.null())), true=exp.Literal.number(i))
            for i, w in enumerate(words)
        ]
    )
    many = exp.alias_(exp.Count(this=exp.Star()), "many", quoted=True)
    tally = exp.select(
        exp.alias_(place, "place", quoted=True),
        exp.alias_(exp.Coalesce(this=words[0].copy(), expressions=[w.copy() for w in words[1:]]), "word", quoted=True),
        many,
    )
    tally = tally.from_(plan.decisions().subquery("d"))
    tally.set("group", sets)
    bits = [
        exp.Sum(
            this=exp.Case(
                ifs=[exp.If(this=has(column("word"), 1 << bit), true=column("many"))], default=exp.Literal.number(0)
            )
        )
        for bit in range(min(len(plan.asked), WORD_BITS))
    ]
    rows = engine.rows(
        exp.select(column("place"), exp.Sum(this=column("many")), *bits)
        .from_(tally.subquery("t"))
        .group_by(column("place"))
    )
    counted = {places[row[0]]: [int(number) for number in row[2:]] for row in rows if row[0] is not None}
    population = int(rows[0][1]) if rows else 0
    return population, [_counts(plan, index, population, counted) for index in range(len(plan.asked))]


def _counts(plan: Plan, index: int, population: int, counted: dict[tuple[int, int], list[int]]) -> dict[str, int]:
    word, bit = divmod(index, WORD_BITS)
    left, counts = population, {}
    for stage, reason in enumerate(REASONS):
        passed = counted[stage, word][bit] if (stage, word) in counted else left
        counts[reason], left = left - passed, passed
    return counts | {INCLUDED: left}


def audience(plan: Plan, index: int) -> exp.Select:
    """The included profiles of one campaign, in key order: the key under its own name, and ``address``."""
    asked = plan.asked[index]
    word, bit = plan.bit(index)
    address = plan.views()[index].address(asked.campaign.channel)
    return (
        exp.select(
            exp.alias_(column("key"), asked.project.profiles.key, quoted=True),
            exp.alias_(column(address), "address", quoted=True),
        )
        .from_(plan.decisions().subquery("d"))
        .where(has(column(f"s{_LAST}_{word}"), bit))
        .order_by(column("key"))
    )


def reasons(plan: Plan, index: int) -> exp.Select:
    """Every profile's reason for one campaign, in key order: the key under its own name, ``address`` and ``reason``."""
    asked = plan.asked[index]
    word, bit = plan.bit(index)
    address = plan.views()[index].address(asked.campaign.channel)
    lost = [
        exp.If(this=exp.not_(has(column(f"s{stage}_{word}"), bit)), true=exp.Literal.string(reason))
        for stage, reason in enumerate(REASONS)
    ]
    reason = exp.Case(ifs=lost, default=exp.Literal.string(INCLUDED))
    return (
        exp.select(
            exp.alias_(column("key"), asked.project.profiles.key, quoted=True),
            exp.alias_(column(address), "address", quoted=True),
        )
        .select(exp.alias_(reason, "reason", quoted=True))
        .from_(plan.decisions().subquery("d"))
        .order_by(column("key"))
    )


def has(word: E, bit: int) -> E:
    return exp.NEQ(this=exp.paren(exp.BitwiseAnd(this=word, expression=number(bit))), expression=number(0))
