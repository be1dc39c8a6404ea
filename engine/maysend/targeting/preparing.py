"""The temporary tables that a plan's decisions read, made in the order in which each needs the ones before."""

from __future__ import annotations

from sqlglot import exp

from ..trees import cast, column, has, named, number, small, table
from .coding import Code, codes
from .features import as_key
from .plan import CAPPED, DUPLICATE, GROUP, NO_ADDRESS, Engine, Plan
from .standings import ANSWERS, Standing

E = exp.Expr


def prepare(plan: Plan, engine: Engine, *, only: E | None = None, through: int = CAPPED) -> None:
    """Make what ``plan.decisions`` reads, up to a stage.

    ``only`` restricts the profiles (``p``), for one explanation. With ``through`` at ``group_unsubscribed`` or before,
    nothing is kept per profile: only the waterfall can be read.
    """
    if only is None:
        engine.view("people", plan.people())
    else:
        engine.create("people asked for", plan.people().where(only))
        engine.view("people", exp.select(exp.Star()).from_(table("people asked for")))
    if plan.reads_ledger:
        engine.create("events Channel Unsubscribed", plan.events_of_ledger())
    for name, query in (*plan.behaviour(), *plan.lists()):
        engine.create(name, query)
    for standing in plan.features.standings.values():
        _fold(plan, standing, engine)
    _look_up(plan, engine)
    if through > GROUP:
        engine.create("passed", plan.passed())
        _duplicates(plan, engine)
        _target_caps(plan, engine)


def _fold(plan: Plan, standing: Standing, engine: Engine) -> None:
    """Answers as codes: ``<alias>`` has the profiles with answers, ``words <alias>`` the words of each code."""
    by_address = exp.select("1").from_(table(ANSWERS)).limit(1)
    by_address = by_address.where(exp.EQ(this=column("level"), expression=exp.Literal.string("address")))
    by_address = by_address.where(exp.EQ(this=column("channel"), expression=exp.Literal.string(standing.channel)))
    subject = as_key(column("subject", "s"), "text", plan.features.key_kind)
    engine.create("folded", standing.fold(plan.key(), subject, bool(engine.rows(by_address))))
    words = [f"w{word}" for word in standing.words]
    distinct = exp.select(*map(column, words)).distinct().from_(table("folded"))
    order = exp.Order(expressions=[exp.Ordered(this=column(word), desc=False) for word in words])
    code = cast(exp.Window(this=exp.RowNumber(), order=order), "bigint")
    numbered = exp.select(named(code, "code"), *map(column, words)).from_(distinct.subquery("d"))
    engine.create(f"words {standing.alias}", exp.union(standing.defaults_row(), numbered, distinct=False))
    same = exp.and_(*(exp.EQ(this=column(word, "f"), expression=column(word, "n")) for word in words))
    answered = exp.GT(this=column("code", "n"), expression=number(0))
    coded = exp.select(column("key", "f"), column("code", "n"), *(column(word, "f") for word in words))
    joined = coded.from_(table("folded", "f")).join(table(f"words {standing.alias}", "n"), on=exp.and_(same, answered))
    engine.create(standing.alias, joined)


def _look_up(plan: Plan, engine: Engine) -> None:
    """Code what profiles are asked, look up what each code passes, and ``status``: what each code of answers passes."""
    status = [p for p in plan.predicates if NO_ADDRESS < p.stage <= GROUP]
    asked = [p for p in plan.predicates if not NO_ADDRESS <= p.stage <= GROUP]
    plan.codes = codes(asked, plan.features.features, plan.features.standings.values())
    for code in plan.codes:
        if code.values:
            engine.create(f"values {code.name}", code.values)
        query, plan.lookups[code.name] = code.lookup(plan.words)
        engine.create(f"lookup {code.name}", query)
    own = Code(
        "status", column("standing"), plan.standing.representatives(plan.features.words_of(plan.standing)), status
    )
    query, present = own.lookup(plan.words)
    passes: list[E] = [column("code")]
    nothing: list[E] = [named(number(-1), "code")]
    for stage in range(NO_ADDRESS, GROUP + 1):
        for word in range(plan.words):
            name, full = f"s{stage}_{word}", number(plan.full(word))
            found = column(name) if word in present.get(stage, ()) else full
            passes.append(named(found, name))
            nothing.append(named(number(0), name))
    engine.create(
        "status", exp.union(exp.select(*passes).from_(query.subquery("q")), exp.select(*nothing), distinct=False)
    )


def _duplicates(plan: Plan, engine: Engine) -> None:
    """``before``: for the profiles that share an address, the campaigns that one with a smaller key passed so far."""
    last = DUPLICATE - 1
    passed = plan.decisions(until=last)
    words = [column(f"s{last}_{word}") for word in range(plan.words)]
    some = exp.or_(*(exp.NEQ(this=word.copy(), expression=number(0)) for word in words))
    engine.create(
        "alive", exp.select(column("key"), column(plan.address), *words).from_(passed.subquery("p")).where(some)
    )
    twice = exp.GT(this=exp.Count(this=exp.Star()), expression=small(1))
    shared = exp.select(column(plan.address)).from_(table("alive")).group_by(column(plan.address)).having(twice)
    engine.create("shared", shared)
    plan.repeated = bool(engine.rows(exp.select("1").from_(table("shared")).limit(1)))
    if not plan.repeated:
        return
    order = exp.Order(expressions=[exp.Ordered(this=column("key", "a"), desc=False)])
    so_far = exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end=small(1), end_side="PRECEDING")
    before = [
        named(
            exp.Window(
                this=exp.BitwiseOrAgg(this=column(f"s{last}_{word}", "a")),
                partition_by=[column(plan.address, "a")],
                order=order.copy(),
                spec=so_far.copy(),
            ),
            f"d{word}",
        )
        for word in range(plan.words)
    ]
    same = exp.EQ(this=column(plan.address, "a"), expression=column(plan.address, "s"))
    query = exp.select(column("key", "a"), *before).from_(table("alive", "a")).join(table("shared", "s"), on=same)
    engine.create("before", query)


def _target_caps(plan: Plan, engine: Engine) -> None:
    """Where more passed than a campaign's cap lets: keep the first of the draw (ties by key), or nobody."""
    last = CAPPED - 1
    for index, asked in enumerate(plan.asked):
        if not (cap := asked.campaign.target_cap):
            continue
        word, bit = plan.bit(index)
        passed = exp.select().from_(plan.decisions(until=last).subquery("d"))
        passed = passed.where(has(column(f"s{last}_{word}"), bit))
        ((count,),) = engine.rows(passed.select(exp.Count(this=exp.Star())))
        if count <= cap.at_most:
            continue
        if cap.when_exceeded == "abort":
            plan.caps[index] = exp.false()
            continue
        drawn = column(plan.draws[index])
        order = passed.select(drawn, column("key")).order_by(drawn.copy(), column("key")).limit(1).offset(cap.at_most)
        ((draw, key),) = engine.rows(order)
        drawn, own = column(plan.draws[index], "d"), column("key", "d")
        first_out = exp.Literal.string(key) if isinstance(key, str) else number(key)
        tied = exp.and_(exp.EQ(this=drawn, expression=number(draw)), exp.LT(this=own, expression=first_out))
        plan.caps[index] = exp.or_(exp.LT(this=drawn.copy(), expression=number(draw)), tied)
