"""The queries that decide: whom any campaign's audience has, and which campaigns each of them passes, stage by stage.

What they read has been made by preparing.py.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from sqlglot import exp

from ..addresses import normalized
from ..trees import both, column, has, missing, named, number, select, small, table
from .features import HASH
from .lookups import FULL, WORD_BITS, conjunction, union
from .plan import AUDIENCE, CAPPED, CONTROL, DUPLICATE, FREQUENCY, GROUP, LOOKED_UP, NO_ADDRESS, SHARED, Plan

E = exp.Expr
BEFORE_CAPS = "before caps"
"""The table that preparing.py makes to find who is first in a draw: the words from duplicates to control groups."""


def passed(plan: Plan) -> exp.Select:
    """One row per profile in the audience of any campaign, and where the roster has the addresses, per profile:
    ``key``, the address, ``w0``, ``w1``, … (the words of its answers; -1 without an address), its hash, ``shared``
    where the roster says it, and ``o<stage>_<word>`` for the stages that are looked up: the campaigns it passes there.
    """
    asked = {name for code in plan.codes for name in code.features()}
    answers = plan.features.words_of(plan.standing)
    early = plan.standing.kept is not None or bool(asked & set(answers.values()))
    words = {
        f"o{stage}_{word}": conjunction(tests)
        for stage in LOOKED_UP
        for word in range(plan.words)
        if (tests := _looked_up(plan, stage, word))
    }
    hashes = _hashes(plan)
    kept = ["key", *((SHARED, *_address(plan)) if plan.addressed else ("as found",))]
    kept += [*([HASH] if hashes else ()), *(answers.values() if early else ())]
    audience = _in_any_audience(plan, asked | set(kept), kept, words).subquery("r", copy=False)
    _, type_ = plan.features.addresses[plan.address]
    wanted = {} if plan.addressed else {plan.address: (column("as found", "r"), type_.address)}
    reached = normalized(audience, wanted)
    found = select(column("key", "d"), *(column(name, "d") for name in _address(plan)))
    for word in plan.standing.words:
        held = column(answers[f"w{word}"], "d") if early else plan.standing.word(word, plan.standing.by_address)
        unknown = column(SHARED if plan.addressed else plan.address, "d")
        no_address = exp.If(this=missing(unknown), true=small(-1))
        found.select(named(exp.Case(ifs=[no_address], default=held), f"w{word}"), copy=False)
    further = [*([HASH] if hashes else ()), *([SHARED] if plan.addressed else ()), *words]
    found.select(*(column(name, "d") for name in further), copy=False)
    found.from_(reached.subquery("d", copy=False), copy=False)
    if not early:
        sides = plan.answers_of(plan.standing, plan.as_key(column("key", "d")), column(plan.address, "d"))
        for name, on in sides.items():
            found.join(table(name, name), on=on, join_type="left", copy=False)
    return found


def _address(plan: Plan) -> list[str]:
    """The column of the address, where decisions have it."""
    return [plan.address] if plan.carries_address else []


def _in_any_audience(plan: Plan, asked: Container[str], kept: Sequence[str], words: Mapping[str, E]) -> exp.Select:
    """The profiles that pass ``words`` of the audience, with those and the columns ``kept`` of the base."""
    coded = select(
        *map(column, kept),
        *(named(code.expression.copy(), code.name) for code in plan.codes),
    ).from_(plan.base(asked).subquery("b", copy=False), copy=False)
    for code in plan.codes:
        if code.values:
            same = exp.EQ(this=column("value", f"v{code.name}"), expression=column(code.feature, "b"))
            coded.join(table(f"values {code.name}", f"v{code.name}"), on=same, join_type="left", copy=False)
    looked_up = select(
        exp.Column(this=exp.Star(), table=exp.to_identifier("k")),
        *(named(passes, name) for name, passes in words.items()),
    ).from_(coded.subquery("k", copy=False), copy=False)
    for code in plan.codes:
        same = exp.EQ(this=column("code", code.name), expression=column(code.name, "k"))
        looked_up.join(table(f"lookup {code.name}", code.name), on=same, copy=False)
    found = select(exp.Star()).from_(looked_up.subquery("o", copy=False), copy=False)
    audience = [f"o{AUDIENCE}_{word}" for word in range(plan.words)]
    # To leave rows out costs more than to keep them, unless addresses have yet to be normalized.
    if not plan.addressed and all(name in words for name in audience):
        found.where(exp.or_(*(exp.NEQ(this=column(name), expression=small(0)) for name in audience)), copy=False)
    return found


def _hashes(plan: Plan) -> bool:
    """Whether anything is drawn: for a control group, or where a target cap lets only some pass."""
    caps = [asked.campaign.target_cap for asked in plan.asked]
    return bool(plan.drawn) or any(cap and cap.when_exceeded == "sample" for cap in caps)


def _looked_up(plan: Plan, stage: int, word: int) -> list[E]:
    """The words of the lookups that must all have a campaign's bit."""
    found: list[E] = _columns(plan, f"s{stage}", word)
    for layer, mask in enumerate(plan.layers if stage == AUDIENCE else ()):
        if parts := _columns(plan, f"l{layer}", word):
            unasked = plan.full[word] & ~(mask >> word * WORD_BITS)
            found.append(union([*parts, number(unasked)]) if unasked else union(parts))
    return found


def _columns(plan: Plan, words: str, word: int) -> list[E]:
    return [column(f"{words}_{word}", c.name) for c in plan.codes if word in plan.lookups[c.name].get(words, ())]


def looks_up(plan: Plan, stage: int, word: int) -> bool:
    """Whether ``passed`` has a word for a stage: any campaign of the word asks something there."""
    return bool(_looked_up(plan, stage, word))


def already_reached(word: int) -> E:
    """The campaigns whose message somebody of ``before`` would get by the same address as one with a smaller key."""
    taken = exp.Coalesce(this=column(f"d{word}", "d"), expressions=[small(0)])
    return exp.Paren(this=exp.BitwiseAnd(this=column(f"s{word}", "d"), expression=taken))


def decisions(plan: Plan, until: int = CAPPED) -> exp.Select:
    """Of the profiles of ``passed``: ``key``, the address where it is carried, the hash where anything is drawn, and
    ``s<stage>_<word>`` up to a stage.

    Reads the tables ``passed``, ``status``, and ``before`` where addresses repeat.
    """
    hashed = [column(HASH, "d")] if _hashes(plan) and until >= CONTROL else []
    shared = [column(SHARED, "d")] if plan.addressed and until < DUPLICATE else []
    found: list[E] = [column("key", "d"), *(column(name, "d") for name in _address(plan)), *hashed, *shared]
    for word in range(plan.words):
        so_far: list[E] = [number(plan.full[word])]
        for stage in range(min(until, FREQUENCY) + 1):
            if test := _passes(plan, stage, word):
                so_far.append(test)
            passed = conjunction([part.copy() for part in so_far])
            found.append(named(passed, f"s{stage}_{word}"))
    query = select(*found).from_(table("passed", "d"), copy=False)
    query.join(table("status", "status"), on=same_answers(plan, "status", "d"), copy=False)
    if plan.repeated and until >= DUPLICATE:
        twin = exp.EQ(this=column("key", "before"), expression=column("key", "d"))
        query.join(table("before", "before"), on=twin, join_type="left", copy=False)
    for stage in range(CONTROL, until + 1):
        query = select(exp.Star(), *(_later(plan, stage, word) for word in range(plan.words))).from_(
            query.subquery("d", copy=False), copy=False
        )
    return query


def late_decisions(plan: Plan, until: int) -> exp.Select:
    """``key``, and the words of the stages behind the groups' up to one."""
    if not plan.caps or until < CAPPED:
        return decisions(plan, until)
    before = table(BEFORE_CAPS, "d")
    return select(exp.Star(), *(_later(plan, CAPPED, word) for word in range(plan.words))).from_(before, copy=False)


def same_answers(plan: Plan, one: str, other: str) -> E:
    """That two tables have the same words of answers."""
    same = [exp.EQ(this=column(f"w{word}", one), expression=column(f"w{word}", other)) for word in plan.standing.words]
    return both(list(same))


def _passes(plan: Plan, stage: int, word: int) -> E | None:
    """The campaigns that a profile passes at one stage up to the frequency caps; None: all of them."""
    if NO_ADDRESS <= stage <= GROUP:
        return column(f"s{stage}_{word}", "status")
    if stage == DUPLICATE:
        if not plan.repeated:
            return None
        taken = exp.Coalesce(this=column(f"d{word}", "before"), expressions=[small(0)])
        return exp.BitwiseNot(this=exp.paren(taken))
    return column(f"o{stage}_{word}", "d") if looks_up(plan, stage, word) else None


def _later(plan: Plan, stage: int, word: int) -> E:
    """The word of a stage that loses few: what was passed before, without the campaigns lost there."""
    before = column(f"s{stage - 1}_{word}")
    lost = [
        exp.Case(
            ifs=[exp.If(this=exp.and_(has(before.copy(), mask), exp.not_(test)), true=number(mask))],
            default=small(0),
        )
        for test, mask in _losing(plan, stage, word)
    ]
    kept = exp.BitwiseAnd(this=before, expression=exp.BitwiseNot(this=exp.paren(union(lost)))) if lost else before
    return named(kept, f"s{stage}_{word}")


def _losing(plan: Plan, stage: int, word: int) -> list[tuple[E, int]]:
    """The tests of control groups, or target caps, and which campaigns of a word they decide for."""
    if stage == CONTROL:
        tests = [(_over_hash(plan, predicate.test), predicate.mask) for predicate in plan.drawn]
        return [(test, mask >> word * WORD_BITS & FULL) for test, mask in tests if mask >> word * WORD_BITS & FULL]
    return [(cap.copy(), bit) for index, cap in plan.caps.items() for at, bit in [plan.bit(index)] if at == word]


def _over_hash(plan: Plan, test: E) -> E:
    """A test of draws over the hash they are made of."""
    found = test.copy()
    for asked in list(found.find_all(exp.Column)):
        draw = plan.features.features[asked.name].expression.copy()
        for part in draw.find_all(exp.Column):
            part.set("table", None)
        asked.replace(draw)
    return found


def changes(plan: Plan, stage: int, word: int) -> bool:
    """Whether any campaign of a word can lose somebody at a stage."""
    return bool(_losing(plan, stage, word)) if stage >= CONTROL else _passes(plan, stage, word) is not None
