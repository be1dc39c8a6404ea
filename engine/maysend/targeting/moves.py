"""Two campaigns of one population beside each other: who is decided otherwise, and from which reason to which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from sqlglot import exp

from ..trees import column, either, named, number, small, table
from .deciding import decisions
from .engine import Engine
from .lookups import WORD_BITS
from .plan import Plan
from .stages import REASONS

E = exp.Expr
PASSED_ALL = len(REASONS)
"""How many stages whoever is included has passed."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two campaigns of one plan, by index, to be compared at ``stages`` (their places in ``REASONS``)."""

    before: int
    after: int
    stages: Sequence[int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the number of stages that each profile passed is kept: a table with ``key``, and a column of it."""

    table: str
    column: str


def keep(plan: Plan, engine: Engine, name: str, indexes: Iterable[int], pairs: Sequence[Pair] | None) -> None:
    """Keep in table ``name`` how many stages each profile passed of each campaign in ``indexes`` (column ``n<index>``).

    With ``pairs``, only of the profiles that any of them decides otherwise.
    """
    passed = [named(_passed(plan, index), f"n{index}") for index in sorted(set(indexes))]
    query = exp.select(column("key"), *passed).from_(decisions(plan).subquery("d", copy=False), copy=False)
    if pairs is not None:
        query.where(either(list(_differing(pairs))) if pairs else exp.false(), copy=False)
    engine.create(name, query)


def moves(engine: Engine, before: Place, after: Place) -> dict[tuple[int, int], int]:
    """How many profiles passed so many stages of the one and so many of the other."""
    was, now, query = _beside(before, after)
    query.select(was, now, named(exp.Count(this=exp.Star()), "many"), copy=False)
    query.group_by(was.copy(), now.copy(), copy=False)
    return {(first, second): many for first, second, many in engine.rows(query)}


def keys(engine: Engine, before: Place, after: Place, threshold: int, most: int) -> tuple[list[str], list[str]]:
    """The ``most`` smallest keys that passed ``threshold`` stages only after, and those that did only before."""
    found = []
    for only_after in (True, False):
        was, now, query = _beside(before, after)
        more, less = (now, was) if only_after else (was, now)
        query.select(column("key", "m"), copy=False).order_by(column("key", "m"), copy=False).limit(most, copy=False)
        query.where(exp.GTE(this=more.copy(), expression=small(threshold)), copy=False)
        query.where(exp.LT(this=less.copy(), expression=small(threshold)), copy=False)
        found.append([str(key) for (key,) in engine.rows(query)])
    return found[0], found[1]


def _beside(before: Place, after: Place) -> tuple[E, E, exp.Select]:
    """Both columns, and a query over both tables: whoever is in one alone passed nothing of the other."""
    if before.table == after.table:
        both = table(before.table, "m")
        return column(before.column, "m"), column(after.column, "m"), exp.select().from_(both, copy=False)
    key = exp.Coalesce(this=column("key", "b"), expressions=[column("key", "a")])
    was, now = (
        named(exp.Coalesce(this=column(place.column, alias), expressions=[small(0)]), name)
        for place, alias, name in ((before, "b", "was"), (after, "a", "now"))
    )
    same = exp.EQ(this=column("key", "b"), expression=column("key", "a"))
    whole = exp.select(named(key, "key"), was, now).from_(table(before.table, "b"), copy=False)
    whole.join(table(after.table, "a"), on=same, join_type="full", copy=False)
    query = exp.select().from_(whole.subquery("m", copy=False), copy=False)
    return column("was", "m"), column("now", "m"), query


def _passed(plan: Plan, index: int) -> E:
    """The stages whose word has the campaign's bit; a bit is gone from the first stage on that was not passed."""
    word, bit = plan.bit(index)
    place = bit.bit_length() - 1
    bits = [_shifted(column(f"s{stage}_{word}"), place, 1) for stage in range(len(REASONS))]
    total = reduce(lambda left, right: exp.Add(this=left, expression=right), bits)
    return exp.Cast(this=total, to=exp.DataType(this=exp.DType.UTINYINT))


def _shifted(word: E, right: int, mask: int) -> E:
    moved: E = exp.BitwiseRightShift(this=word, expression=exp.Literal.number(right)) if right else word
    return exp.paren(exp.BitwiseAnd(this=exp.paren(moved), expression=number(mask)))


def _differing(pairs: Iterable[Pair]) -> Iterable[E]:
    """Whether any pair has different bits at any of its stages: those with the same distance are compared at once."""
    masks: dict[tuple[int, int, int, int], int] = {}
    for pair in pairs:
        (word, place), (other, at) = divmod(pair.before, WORD_BITS), divmod(pair.after, WORD_BITS)
        low = min(place, at)
        for stage in pair.stages:
            key = (stage, word, other, place - at)
            masks[key] = masks.get(key, 0) | 1 << low
    for (stage, word, other, distance), mask in masks.items():
        left = _shifted(column(f"s{stage}_{word}"), max(distance, 0), mask)
        right = _shifted(column(f"s{stage}_{other}"), max(-distance, 0), mask)
        yield exp.NEQ(this=left, expression=right)
