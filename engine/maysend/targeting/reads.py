"""Reads of a plan's decisions: counts for a waterfall, an audience, everyone's reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from ..trees import both, cast, column, has, missing, named, number, select, small, table
from .deciding import (
    already_reached,
    changes,
    decisions,
    late_decisions,
    looks_up,
    same_answers,
)
from .engine import Engine
from .lookups import WORD_BITS, conjunction
from .plan import AUDIENCE, DUPLICATE, FREQUENCY, GROUP, NO_ADDRESS, Plan
from .stages import REASONS

E = exp.Expr
INCLUDED = "included"
_LAST = len(REASONS) - 1
_LANES = 4
_LANE = 64 // _LANES
_TOGETHER = 8
"""How many words are counted at once, as many as a plan has: the sums of more do not fit a processor's cache."""
_MOST = 1 << _LANE - 2
"""A sum counts a word's bits four at a time, in lanes of 16 bits (bit i in lane i / 16). So that no lane runs into the
next, nor the last one into the sign, the profiles are spread over groups by a hash of the key, this many to each at
most: half of what there is room for."""
_LOT = 24


def waterfall(plan: Plan, engine: Engine, through: int = _LAST) -> tuple[int, list[dict[str, int]]]:
    """How many profiles there are, and for each campaign how many have each reason (``included`` among them).

    ``through`` is the last stage looked at; who passes it is ``included``.
    """
    ((population,),) = engine.rows(select(exp.Count(this=exp.Star())).from_(table("people"), copy=False))
    passes = _until_group(plan, engine)
    if through >= DUPLICATE and plan.repeated:
        passes |= _but_duplicates(plan, engine, passes)
    passes |= _behind_duplicates(plan, engine, through)
    return population, [_counts(index, population, passes, through) for index in range(len(plan.asked))]


def _until_group(plan: Plan, engine: Engine) -> dict[tuple[int, int], int]:
    """How many pass each stage until the groups', from a tally of the audience by words of answers."""
    found = {(stage, index): 0 for stage in range(GROUP + 1) for index in range(len(plan.asked))}
    answers = [column(f"w{word}", "d") for word in plan.standing.words]
    audience: dict[int, E] = {
        word: column(f"o{AUDIENCE}_{word}", "d") if looks_up(plan, AUDIENCE, word) else number(full)
        for word, full in enumerate(plan.full)
    }
    passed = {}
    for word in audience:
        so_far: list[E] = [number(-1)]
        passed[word] = [number(-1)]
        for stage in range(NO_ADDRESS, GROUP + 1):
            so_far.append(column(f"s{stage}_{word}", "s"))
            passed[word].append(conjunction([part.copy() for part in so_far]))
    for word, place, *counts in _counted(
        engine, audience, table("passed", "d"), answers, passed, same_answers(plan, "s", "t")
    ):
        for stage, count in enumerate(counts):
            found[stage, word * WORD_BITS + place] = count
    return found


def _but_duplicates(plan: Plan, engine: Engine, passes: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    """How many pass the stage of duplicates: all but those whose address somebody with a smaller key has."""
    found = {}
    lost = {word: already_reached(word) for word in range(plan.words)}
    for word, place, count in _counted(engine, lost, table("before", "d"), [], {word: [number(-1)] for word in lost}):
        index = word * WORD_BITS + place
        if index < len(plan.asked):
            found[DUPLICATE, index] = passes[GROUP, index] - count
    return found


def _behind_duplicates(plan: Plan, engine: Engine, through: int) -> dict[tuple[int, int], int]:
    """How many pass each stage behind the duplicates' where anybody can be lost."""
    places = [
        (stage, word)
        for word in range(plan.words)
        for stage in range(FREQUENCY, through + 1)
        if changes(plan, stage, word)
    ]
    found = {(stage, word * WORD_BITS + bit): 0 for stage, word in places for bit in range(WORD_BITS)}
    for start in range(0, len(places), _TOGETHER):
        several = places[start : start + _TOGETHER]
        words = {place: column(f"s{stage}_{word}", "d") for place, (stage, word) in enumerate(several)}
        source = late_decisions(plan, through).subquery("d", copy=False)
        for place, bit, count in _counted(engine, words, source, [], {place: [number(-1)] for place in words}):
            stage, word = several[place]
            found[stage, word * WORD_BITS + bit] = count
    return found


def _counted(
    engine: Engine,
    words: Mapping[int, E],
    source: E,
    by: Sequence[exp.Column],
    passed: Mapping[int, list[E]],
    status: E | None = None,
) -> list[tuple[int, ...]]:
    """Of each word and bit (its place) how many have it set, of those whose words ``passed`` have it too, which are
    found by joining ``status``."""
    found = [_places(name, passed[name]) for name in words]
    if status:
        for query in found:
            query.join(table("status", "s"), on=status.copy(), copy=False)
    together = exp.union(*found, distinct=False, copy=False) if len(found) > 1 else found[0]
    engine.create_few([("spread", _spreads(by))])
    engine.each("counted", together, first={"tally": _tally(words, source, by)})
    sums = [cast(exp.Sum(this=column(f"n{place}")), "bigint") for place in range(len(next(iter(passed.values()))))]
    whole = select(column("word"), column("place"), *sums).from_(table("counted"), copy=False)
    return engine.rows(whole.group_by(column("word"), column("place"), copy=False))


def _spreads(by: Sequence[exp.Column]) -> exp.Select:
    """The groups over which the profiles of each kind are spread (``by`` words of answers)."""
    kinds = [column(kind.name) for kind in by]
    spread = select(*kinds, named(_spread(exp.Sum(this=column("many"))), "spread"))
    spread.from_(table("answers found"), copy=False)
    return spread.group_by(*(kind.copy() for kind in kinds), copy=False) if by else spread


def _tally(words: Mapping[int, E], source: E, by: Sequence[exp.Column]) -> exp.Select:
    """How often each bit of the words is set, ``by`` columns of ``passed`` (``d``).

    ``a<word>_<shift>`` has the lanes. Many profiles of one kind are spread over several rows.
    """
    shuffled = exp.BitwiseAnd(this=exp.func("HASH", column("key", "d")), expression=small((1 << _LOT) - 1))
    lot = cast(shuffled, "integer")
    part = named(exp.BitwiseAnd(this=lot, expression=column("spread", "spread")), "part")
    found: list[E] = [*(kind.copy() for kind in by), part]
    lanes = sum(1 << _LANE * lane for lane in range(_LANES))
    for name, word in words.items():
        for shift in range(_LANE):
            moved = exp.BitwiseRightShift(this=word.copy(), expression=small(shift))
            bits = exp.BitwiseAnd(this=exp.Paren(this=moved), expression=number(lanes))
            # DuckDB's SUM has 128 bits, which takes half as long again.
            found.append(named(exp.func("SUM_NO_OVERFLOW", bits), f"a{name}_{shift}"))
    tally = select(*found).from_(source, copy=False)
    if by:
        same = [exp.EQ(this=column(kind.name, "spread"), expression=kind.copy()) for kind in by]
        tally.join(table("spread", "spread"), on=both(list(same)), copy=False)
    else:
        tally.join(table("spread", "spread"), join_type="cross", copy=False)
    return tally.group_by(*map(small, range(1, len(by) + 2)), copy=False)


def _places(name: int, passed: list[E]) -> exp.Select:
    """A row per ``word`` and ``place`` (its bit): how many have it set, of those whose words ``passed`` have it too."""
    numbers = [(small(place), small(place % _LANE), small(place // _LANE * _LANE)) for place in range(WORD_BITS)]
    places = exp.values(numbers, alias="p", columns=["place", "shift", "lane"])
    chosen = exp.Case(
        this=column("shift", "p"),
        ifs=[exp.If(this=small(shift), true=column(f"a{name}_{shift}", "t")) for shift in range(_LANE)],
    )
    lane = exp.BitwiseRightShift(this=chosen, expression=column("lane", "p"))
    many = exp.Paren(this=exp.BitwiseAnd(this=exp.Paren(this=lane), expression=small((1 << _LANE) - 1)))
    sums: list[E] = []
    for word in passed:
        bit = exp.BitwiseRightShift(this=exp.Paren(this=word), expression=column("place", "p"))
        one = exp.Paren(this=exp.BitwiseAnd(this=exp.Paren(this=bit), expression=small(1)))
        summed = cast(exp.Sum(this=exp.Mul(this=many.copy(), expression=one)), "bigint")
        sums.append(named(summed, f"n{len(sums)}"))
    query = (
        select(named(small(name), "word"), column("place", "p"), *sums)
        .from_(table("tally", "t"), copy=False)
        .join(places, join_type="cross", copy=False)
    )
    return query.group_by(column("place", "p"), copy=False)


def _spread(many: E) -> E:
    """The bits of a hash over which so many are spread."""
    cases = [
        exp.If(this=exp.GT(this=many.copy(), expression=number(_MOST << power - 1)), true=small((1 << power) - 1))
        for power in range(_LOT, 0, -1)
    ]
    return exp.Case(ifs=cases, default=small(0))


def _counts(index: int, population: int, passes: dict[tuple[int, int], int], through: int) -> dict[str, int]:
    left, counts = population, {}
    for stage, reason in enumerate(REASONS):
        passed = passes.get((stage, index), left) if stage <= through else left
        counts[reason], left = left - passed, passed
    return counts | {INCLUDED: left}


def keep(plan: Plan, engine: Engine) -> None:
    """Make ``decided``, which audiences are read from: everyone included in any campaign, in key order."""
    words = [column(f"s{_LAST}_{word}") for word in range(plan.words)]
    some = exp.or_(*(exp.NEQ(this=word.copy(), expression=small(0)) for word in words))
    decided = select(column("key"), column(plan.address), *words).from_(
        decisions(plan).subquery("d", copy=False), copy=False
    )
    engine.create("decided", decided.where(some, copy=False).order_by(column("key"), copy=False))


def audience(plan: Plan, index: int) -> exp.Select:
    """The included profiles of one campaign as ``decided`` has them: the key under its own name, and ``address``."""
    word, bit = plan.bit(index)
    found = select(*_who(plan, index)).from_(table("decided", "d"), copy=False)
    return found.where(has(column(f"s{_LAST}_{word}", "d"), bit), copy=False)


def audiences(plan: Plan, names: Mapping[int, str], by: str) -> exp.Select:
    """The included profiles of several campaigns: key and ``address`` as ``audience`` has them, and ``by``, the name
    that ``names`` gives the campaign's index."""
    numbers = [
        (exp.Literal.string(name), small(index // WORD_BITS), number(plan.bit(index)[1]))
        for index, name in names.items()
    ]
    campaigns = exp.values(numbers, alias="c", columns=[by, "word", "bit"])
    held = exp.Case(
        this=column("word", "c"),
        ifs=[exp.If(this=small(word), true=column(f"s{_LAST}_{word}", "d")) for word in range(plan.words)],
    )
    bit = exp.Paren(this=exp.BitwiseAnd(this=held, expression=column("bit", "c")))
    included = exp.NEQ(this=bit, expression=number(0))
    found = select(*_who(plan, min(names)), column(by, "c")).from_(table("decided", "d"), copy=False)
    return found.join(campaigns, on=included, copy=False)


def reasons(plan: Plan, index: int) -> exp.Select:
    """Every profile's reason for one campaign, in key order: the key under its own name, ``address`` and ``reason``."""
    word, bit = plan.bit(index)
    lost = [exp.If(this=missing(column("key", "d")), true=exp.Literal.string(REASONS[AUDIENCE]))]
    lost += [
        exp.If(this=exp.not_(has(column(f"s{stage}_{word}", "d"), bit)), true=exp.Literal.string(reason))
        for stage, reason in enumerate(REASONS)
    ]
    reason = exp.Case(ifs=lost, default=exp.Literal.string(INCLUDED))
    own = plan.features.key
    decided = decisions(plan).subquery("d", copy=False)
    same = exp.EQ(this=column("key", "d"), expression=column(own, "p"))
    return (
        select(*_who(plan, index, "p", own), named(reason, "reason"))
        .from_(table("people", "p"), copy=False)
        .join(decided, on=same, join_type="left", copy=False)
        .order_by(column(own, "p"), copy=False)
    )


def _who(plan: Plan, index: int, source: str = "d", key: str = "key") -> list[E]:
    own = named(column(key, source), plan.asked[index].project.profiles.key)
    return [own, named(column(plan.address, source), "address")]
