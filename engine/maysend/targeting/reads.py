"""Reads of a plan's decisions: counts for a waterfall, an audience, everyone's reason."""

from __future__ import annotations

from sqlglot import exp

from ..trees import cast, column, has, named, number, table
from .coding import WORD_BITS
from .plan import AUDIENCE, DUPLICATE, GROUP, NO_ADDRESS, Engine, Plan
from .stages import REASONS

E = exp.Expr
INCLUDED = "included"
_LAST = len(REASONS) - 1
_LANE = 32


def waterfall(plan: Plan, engine: Engine, through: int = _LAST) -> tuple[int, list[dict[str, int]]]:
    """How many profiles there are, and for each campaign how many have each reason (``included`` among them).

    ``through`` is the last stage looked at; who passes it is ``included``.
    """
    source: E = table("passed", "d") if through > GROUP else plan.passed().subquery("d", copy=False)
    audience: dict[int, E] = {
        word: column(f"o{AUDIENCE}_{word}", "d") if plan.looks_up(AUDIENCE, word) else number(plan.full(word))
        for word in range(plan.words)
    }
    tally = exp.select(column("standing"), named(exp.Count(this=exp.Star()), "many"))
    for word, passed in audience.items():
        tally.select(*_lanes(passed, f"a{word}"), copy=False)
    engine.create("tally", tally.from_(source, copy=False).group_by(column("standing"), copy=False))
    population, passes = _until_group(plan, engine)
    passes |= _behind_group(plan, engine, through)
    return population, [_counts(index, population, passes, through) for index in range(len(plan.asked))]


def _lanes(word: E, name: str) -> list[E]:
    """Sums that count a word's bits two at a time, in the halves of 64 bits: bit i low and bit i + 32 high."""
    both = number(1 << _LANE | 1)
    found: list[E] = []
    for bit in range(_LANE):
        shifted = exp.BitwiseRightShift(this=word.copy(), expression=exp.Literal.number(bit)) if bit else word.copy()
        lanes = exp.BitwiseAnd(this=exp.paren(shifted), expression=both.copy())
        found.append(named(cast(exp.Sum(this=lanes), "bigint"), f"{name}_{bit}"))
    return found


def _until_group(plan: Plan, engine: Engine) -> tuple[int, dict[tuple[int, int], int]]:
    """The population, and how many pass each stage until the groups', from the tally by code of answers."""
    found: list[E] = [cast(exp.Sum(this=column("many", "t")), "bigint")]
    places = []
    for index in range(len(plan.asked)):
        word, bit = plan.bit(index)
        place = index % WORD_BITS
        half = exp.BitwiseRightShift(
            this=column(f"a{word}_{place % _LANE}", "t"), expression=exp.Literal.number(_LANE * (place // _LANE))
        )
        people = exp.BitwiseAnd(this=exp.paren(half), expression=number((1 << _LANE) - 1))
        for stage in range(GROUP + 1):
            counted: E = people.copy()
            if stage >= NO_ADDRESS:
                tests = [has(column(f"s{passed}_{word}", "s"), bit) for passed in range(NO_ADDRESS, stage + 1)]
                counted = exp.Case(ifs=[exp.If(this=exp.and_(*tests), true=counted)], default=exp.Literal.number(0))
            found.append(cast(exp.Sum(this=counted), "bigint"))
            places.append((stage, index))
    same = exp.EQ(this=column("code", "s"), expression=column("standing", "t"))
    query = exp.select(*found).from_(table("tally", "t")).join(table("status", "s"), on=same)
    ((population, *counts),) = engine.rows(query)
    return population or 0, {place: count or 0 for place, count in zip(places, counts, strict=True)}


def _behind_group(plan: Plan, engine: Engine, through: int) -> dict[tuple[int, int], int]:
    """How many pass each stage behind the groups' where anybody can be lost."""
    places = [
        (stage, word)
        for stage in range(DUPLICATE, through + 1)
        for word in range(plan.words)
        if plan.changes(stage, word)
    ]
    if not places:
        return {}
    sums = [lane for stage, word in places for lane in _lanes(column(f"s{stage}_{word}"), f"s{stage}_{word}")]
    (row,) = engine.rows(exp.select(*sums).from_(plan.decisions(until=through).subquery("d", copy=False)))
    found = {}
    for start, (stage, word) in enumerate(places):
        lanes = row[start * _LANE : (start + 1) * _LANE]
        for place in range(min(WORD_BITS, len(plan.asked) - word * WORD_BITS)):
            count = (lanes[place % _LANE] or 0) >> _LANE * (place // _LANE) & (1 << _LANE) - 1
            found[stage, word * WORD_BITS + place] = count
    return found


def _counts(index: int, population: int, passes: dict[tuple[int, int], int], through: int) -> dict[str, int]:
    left, counts = population, {}
    for stage, reason in enumerate(REASONS):
        passed = passes.get((stage, index), left) if stage <= through else left
        counts[reason], left = left - passed, passed
    return counts | {INCLUDED: left}


def audience(plan: Plan, index: int) -> exp.Select:
    """The included profiles of one campaign, in key order: the key under its own name, and ``address``."""
    word, bit = plan.bit(index)
    return (
        exp.select(*_who(plan, index))
        .from_(plan.decisions().subquery("d", copy=False), copy=False)
        .where(has(column(f"s{_LAST}_{word}"), bit))
        .order_by(column("key"))
    )


def reasons(plan: Plan, index: int) -> exp.Select:
    """Every profile's reason for one campaign, in key order: the key under its own name, ``address`` and ``reason``."""
    word, bit = plan.bit(index)
    lost = [
        exp.If(this=exp.not_(has(column(f"s{stage}_{word}"), bit)), true=exp.Literal.string(reason))
        for stage, reason in enumerate(REASONS)
    ]
    reason = exp.Case(ifs=lost, default=exp.Literal.string(INCLUDED))
    return (
        exp.select(*_who(plan, index), named(reason, "reason"))
        .from_(plan.decisions().subquery("d", copy=False), copy=False)
        .order_by(column("key"))
    )


def _who(plan: Plan, index: int) -> list[E]:
    key = named(column("key"), plan.asked[index].project.profiles.key)
    return [key, named(column(plan.address), "address")]
