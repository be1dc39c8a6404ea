"""The temporary tables that a plan's decisions read, made in the order in which each needs the ones before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date

from sqlglot import exp

from .. import draws
from ..columns import ColumnType
from ..conditions import Aggregate
from ..trees import column, columns_in, has, missing, named, number, select, small, table
from . import buckets
from .behaviour import counters
from .clauses import split
from .coding import Span, codes, numbered, searched, truths
from .contents import look_into_lists
from .deciding import BEFORE_CAPS, decisions, passed
from .engine import Engine
from .features import HASH, Feature, aggregate_table, as_key, shared_column
from .lookups import Code, Predicate
from .plan import CAPPED, DUPLICATE, GROUP, LOOKED_UP, NO_ADDRESS, SHARED, Plan
from .standings import ANSWERS, Level, Standing
from .tables import asked_for

E = exp.Expr
_NARROW = 10**9
_FEW, _LOOKED_AT = 20_000, 50_000
_SINCE, _CHANGED = "answers since", "people changed"


def prepare(
    plan: Plan,
    engine: Engine,
    *,
    only: E | None = None,
    through: int | None = CAPPED,
    addresses: bool = True,
    told: Callable[[str], None] = lambda _: None,
    looked_up: Callable[[Plan], None] = lambda _: None,
) -> None:
    """Make what ``decisions`` (deciding.py) reads, up to a stage; for none, only what ``Plan.base`` reads.

    ``only`` restricts the profiles (``p``), for one explanation. ``addresses`` says whether any will be read. ``told``
    hears what is done next; ``looked_up`` gets the plan when it is whole, before anything is asked of every profile.
    """
    plan.needs_address = addresses
    people = plan.people() if only is None else plan.people().where(only, copy=False)
    if only is not None and (through is not None or plan.joins):
        engine.create("people asked for", people)
        people = select(exp.Star()).from_(table("people asked for"), copy=False)
    engine.view("people", people)
    if plan.reads_ledger:
        engine.create("events Channel Unsubscribed", plan.events_of_ledger())
    if only is not None and plan.joins:
        _narrow(plan, engine)
    plan.narrowed = only is not None
    for event, wanted in plan.measured().items():
        told(f"measuring {event or 'sends'}")
        _measure(plan, engine, event, wanted)
    for name, query in (*plan.favourites(), *plan.lists()):
        engine.create(name, query)
    told("folding answers")
    for standing in plan.features.standings.values():
        _fold(plan, standing, engine)
    if through is None:
        return
    _look_up(plan, engine)
    looked_up(plan)
    told("asking every profile")
    engine.create("passed", passed(plan))
    _status(plan, engine)
    if through >= DUPLICATE:
        told("finding duplicate addresses")
        _duplicates(plan, engine)
    if through >= CAPPED:
        _target_caps(plan, engine)
    told("counting")


def _narrow(plan: Plan, engine: Engine) -> None:
    """Take from answers and events those of the few people asked for, by constants: files may then be read in part."""
    people = engine.rows(
        select(*(column(name) for name in ("key as text", *plan.features.addresses))).from_(table("people"), copy=False)
    )
    subjects = [exp.Literal.string(one) for one in sorted({one for row in people for one in row if one is not None})]
    answers = select(exp.Star()).from_(table(ANSWERS), copy=False)
    engine.create(asked_for(ANSWERS), answers.where(exp.In(this=column("subject"), expressions=subjects), copy=False))
    keys = sorted(row[0] for row in people)
    for event in sorted({aggregate.kept.event for aggregate in plan.features.aggregates}):
        events = plan.events(event)
        own = (
            [number(int(key)) for key in keys] if plan.features.key_kind == "integer" else map(exp.Literal.string, keys)
        )
        of_them = exp.In(this=events.profile(), expressions=list(own))
        engine.create(
            asked_for(events.relation),
            select(exp.Star()).from_(table(events.relation, "e"), copy=False).where(of_them, copy=False),
        )


def _measure(plan: Plan, engine: Engine, event: str, wanted: Mapping[Aggregate, str]) -> None:
    """A table with what is measured of an event, a row per profile; with wider counters where one has so many events
    that they could run over."""
    events, name = plan.events(event), aggregate_table(next(iter(wanted)), "")
    summed = sorted({aggregate.column for aggregate in wanted if aggregate.column})
    narrow = set()
    if summed:
        (ends,) = engine.rows(events.widest(summed))
        pairs = zip(summed, ends[::2], ends[1::2], strict=True)
        narrow = {column for column, low, high in pairs if low is not None and low > -_NARROW and high < _NARROW}
    for bits in (15, 45):
        engine.create(name, events.per_profile(wanted, bits, narrow))
        ((most,),) = engine.rows(select(exp.Max(this=column("many"))).from_(table(name), copy=False))
        if (most or 0) < 1 << bits:
            break
    plan.counters[name] = counters(wanted, bits)


def _fold(plan: Plan, standing: Standing, engine: Engine) -> None:
    """A table for each level of a standing: the answers of everybody who gave one; and of what the roster has folded,
    a table of those whose answers changed since."""
    roster = plan.catalog.roster
    if standing.kept is not None and roster and roster.current:
        return
    answers = asked_for(ANSWERS) if plan.narrowed else ANSWERS
    if standing.kept is not None:
        _answers_since(plan, standing, answers, engine)
        if not standing.changed:
            return
        answers = _SINCE
    by_address = exp.select("1").from_(table(answers), copy=False).limit(1, copy=False)
    by_address = by_address.where(exp.EQ(this=column("level"), expression=exp.Literal.string("address")), copy=False)
    by_address = by_address.where(
        exp.EQ(this=column("channel"), expression=exp.Literal.string(standing.channel)), copy=False
    )
    standing.by_address = bool(engine.rows(by_address))
    subject = as_key(column("subject", "s"), "text", plan.features.key_kind)
    engine.create(standing.side("profile"), standing.subjects("profile", subject, answers))
    if standing.by_address:
        engine.create(standing.side("address"), standing.subjects("address", column("subject", "s"), answers))
    if standing.changed:
        changed = select(named(plan.key(), "key"), *standing.folded()).from_(table(_CHANGED, "p"), copy=False)
        for name, on in plan.sides_of(standing, plan.key(), column(standing.address, "p")).items():
            changed.join(table(name, name), on=on, join_type="left", copy=False)
        engine.create(standing.changes, changed)


def _answers_since(plan: Plan, standing: Standing, answers: str, engine: Engine) -> None:
    """Find who has an answer that the roster has not: ``_CHANGED`` are those people, ``_SINCE`` all their answers."""
    roster = plan.catalog.roster
    assert roster
    on_channel = exp.EQ(this=column("channel", "s"), expression=exp.Literal.string(standing.channel))
    since = exp.GT(this=column("seq", "s"), expression=number(roster.seq))
    newer = select(column("level", "s"), column("subject", "s")).from_(table(answers, "s"), copy=False)
    engine.create(_SINCE, newer.where(on_channel.copy(), copy=False).where(since, copy=False))
    standing.changed = bool(engine.rows(exp.select("1").from_(table(_SINCE), copy=False).limit(1, copy=False)))
    if not standing.changed:
        return

    def of_level(level: Level, source: str, subject: E) -> exp.Select:
        here = exp.EQ(this=column("level", "s"), expression=exp.Literal.string(level))
        return select(subject).from_(table(source, "s"), copy=False).where(here, copy=False)

    subject = column("subject", "s")
    levels: list[tuple[Level, E, E, E]] = [
        ("profile", plan.key(), as_key(subject.copy(), "text", plan.features.key_kind), column("key as text", "p")),
        ("address", column(standing.address, "p"), subject.copy(), column(standing.address, "p")),
    ]
    named_by = [
        exp.In(this=own, query=of_level(level, _SINCE, answered).subquery(copy=False))
        for level, own, answered, _ in levels
    ]
    people = select(exp.Star()).from_(table("people", "p"), copy=False)
    engine.create(_CHANGED, people.where(exp.or_(*named_by), copy=False))
    theirs: list[E] = []
    for level, _, _, text in levels:
        own = select(text).from_(table(_CHANGED, "p"), copy=False)
        here = exp.EQ(this=column("level", "s"), expression=exp.Literal.string(level))
        theirs.append(exp.and_(here, exp.In(this=subject.copy(), query=own.subquery(copy=False))))
    every = select(exp.Star()).from_(table(answers, "s"), copy=False).where(on_channel, copy=False)
    engine.create(_SINCE, every.where(exp.or_(*theirs), copy=False))


def _look_up(plan: Plan, engine: Engine) -> None:
    """Code what profiles are asked, and look up what each code passes."""
    asked = [p for p in plan.predicates if p.stage in LOOKED_UP]
    if plan.narrowed:
        # Buckets are for many profiles: a few are asked every predicate as it is.
        plan.codes = list(truths(asked))
    else:
        asked = look_into_lists(plan, asked, engine)
        listed = _list_values(plan, asked, engine)
        parts, plan.layers = split(asked, plan.features.features, listed)
        plan.codes = codes(parts, plan.features.features, _spans(plan, asked, engine), listed)
    engine.create_few(_lookups(plan))


def _lookups(plan: Plan) -> Iterator[tuple[str, exp.Query]]:
    """The tables that code profiles and look up their codes, by name."""
    for code in plan.codes:
        if code.values:
            yield f"values {code.name}", code.values
        query, plan.lookups[code.name] = code.lookup(plan.full)
        yield f"lookup {code.name}", query


def _status(plan: Plan, engine: Engine) -> None:
    """``answers found``: the words of answers that ``passed`` has, and of how many profiles; and ``status``: what each
    of them passes; nothing without an address."""
    words = [f"w{word}" for word in plan.standing.words]
    many = named(exp.Count(this=exp.Star()), "many")
    answers = select(*map(column, words), many).from_(table("passed"), copy=False)
    engine.each("answers found", answers.group_by(*map(column, words), copy=False), first={})
    held = [named(column(word), name) for word, name in plan.features.words_of(plan.standing).items()]
    representatives = select(*map(column, words), *held).distinct(copy=False).from_(table("answers found"), copy=False)
    asked = [predicate for predicate in plan.predicates if NO_ADDRESS < predicate.stage <= GROUP]
    query, present = Code("status", exp.null(), representatives, asked, key=words).lookup(plan.full)
    reached = exp.GTE(this=column(words[0], "q"), expression=small(0))
    found: list[E] = [column(word, "q") for word in words]
    for stage in range(NO_ADDRESS, GROUP + 1):
        for word, full in enumerate(plan.full):
            name = f"s{stage}_{word}"
            passes = column(name, "q") if word in present.get(f"s{stage}", ()) else number(full)
            found.append(named(exp.Case(ifs=[exp.If(this=reached.copy(), true=passes)], default=small(0)), name))
    engine.create_few([("status", select(*found).from_(query.subquery("q", copy=False), copy=False))])


def _spans(plan: Plan, predicates: list[Predicate], engine: Engine) -> dict[str, Span]:
    """The smallest and largest value of every number and date that is asked for, read off their own tables."""
    asked = {name for predicate in predicates for name in columns_in(predicate.test)}
    by_table: dict[str, list[Feature]] = {}
    for feature in (plan.features.features[name] for name in asked):
        tables = {part.table for part in feature.expression.find_all(exp.Column)}
        plain = isinstance(feature.expression, exp.Column)
        if feature.type.kind in ("integer", "float", "date") and len(tables) == 1 and (plain or "p" not in tables):
            by_table.setdefault(tables.pop(), []).append(feature)
    found: dict[str, Span] = {}
    for alias, several in by_table.items():
        ends = [_end(which, plan.stored(feature), feature.type) for feature in several for which in (exp.Min, exp.Max)]
        (row,) = engine.rows(select(*ends).from_(table("people" if alias == "p" else alias, alias), copy=False))
        for place, feature in enumerate(several):
            low, high = row[2 * place : 2 * place + 2]
            if low is not None and high is not None:
                # A profile that has none of an event counts 0, and sums up to it.
                counted = alias != "p" and feature.type.kind != "date"
                found[feature.name] = (min(low, 0), max(high, 0)) if counted else (low, high)
    return found


def _end(end: type[exp.Min] | type[exp.Max], values: E, type_: ColumnType) -> E:
    """The smallest or the largest value; none where it is a date that Python has not, as infinity is."""
    found = end(this=values)
    if type_.kind != "date":
        return found
    first, last = (buckets.constant(day, type_) for day in (date.min, date.max))
    known = exp.Between(this=found.copy(), low=first, high=last)
    return exp.Case(ifs=[exp.If(this=known, true=found)])


def _list_values(plan: Plan, predicates: list[Predicate], engine: Engine) -> set[str]:
    """The profiles' columns that have few values, each with a table of them: those whose values the roster has
    numbered, and those that are searched, for to search every value once is cheaper than to search every profile."""
    asked = {name for predicate in predicates for name in columns_in(predicate.test)}
    features = plan.features.features
    found = {name for name in asked if features[name].numbered}
    engine.create_few((f"listed {name}", numbered(features[name].values)) for name in sorted(found))
    for name in sorted({name for predicate in predicates for name in searched(predicate.test)} - found):
        feature = plan.features.features[name]
        if {part.table for part in feature.expression.find_all(exp.Column)} != {"p"} or plan.narrowed:
            continue
        values = select(named(feature.expression.copy(), "value")).from_(table("people", "p"), copy=False)
        first = values.copy().limit(_LOOKED_AT, copy=False).subquery("first", copy=False)
        if _distinct(engine, first) <= _FEW:
            distinct = (
                select(column("value")).distinct(copy=False).from_(values.subquery("every", copy=False), copy=False)
            )
            distinct = distinct.where(exp.not_(missing(column("value"))), copy=False).limit(_FEW + 1, copy=False)
            order = exp.Order(expressions=[exp.Ordered(this=column("value"), desc=False)])
            code = named(exp.Window(this=exp.RowNumber(), order=order), "code")
            engine.each(f"found {name}", distinct, first={})
            once = select(column("value")).distinct(copy=False).from_(table(f"found {name}"), copy=False)
            engine.create(
                f"listed {name}", select(column("value"), code).from_(once.subquery("d", copy=False), copy=False)
            )
            if _distinct(engine, table(f"listed {name}")) <= _FEW:
                found.add(name)
    return found


def _distinct(engine: Engine, source: E) -> int:
    count = exp.Count(this=exp.Distinct(expressions=[column("value")]))
    return int(engine.rows(select(count).from_(source, copy=False))[0][0])


def _duplicates(plan: Plan, engine: Engine) -> None:
    """``before``: for the profiles that share an address, the campaigns that one with a smaller key passed so far
    (``d<word>``), and those that they passed themselves (``s<word>``)."""
    last = DUPLICATE - 1
    words = [f"s{last}_{word}" for word in range(plan.words)]
    some = exp.or_(*(exp.NEQ(this=column(word), expression=small(0)) for word in words))
    if plan.addressed:
        engine.create("shared", _flagged(plan, words, some))
    else:
        engine.create("shared", _repeated(plan, some))
    plan.repeated = bool(engine.rows(exp.select("1").from_(table("shared"), copy=False).limit(1, copy=False)))
    if not plan.repeated:
        return
    engine.create("sharing", _addressed(plan, words) if plan.addressed else _same_hash(plan, words))
    order = exp.Order(expressions=[exp.Ordered(this=column("key", "a"), desc=False)])
    so_far = exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end=small(1), end_side="PRECEDING")
    before = [
        named(
            exp.Window(
                this=exp.BitwiseOrAgg(this=column(name, "a")),
                partition_by=[column(plan.address, "a")],
                order=order.copy(),
                spec=so_far.copy(),
            ),
            f"d{word}",
        )
        for word, name in enumerate(words)
    ]
    own = [named(column(name, "a"), f"s{word}") for word, name in enumerate(words)]
    engine.create("before", select(column("key", "a"), *before, *own).from_(table("sharing", "a"), copy=False))


def _repeated(plan: Plan, some: E) -> exp.Select:
    """The hashes of addresses that several may have who passed any campaign so far; addresses are told apart later."""
    twice = exp.GT(this=exp.Count(this=exp.Star()), expression=small(1))
    alive = select(named(exp.func("HASH", column(plan.address)), "hash"))
    alive = alive.from_(decisions(plan, until=DUPLICATE - 1).subquery("p", copy=False), copy=False)
    return (
        select(column("hash"))
        .from_(alive.where(some, copy=False).subquery("h", copy=False), copy=False)
        .group_by(column("hash"), copy=False)
        .having(twice, copy=False)
    )


def _same_hash(plan: Plan, words: list[str]) -> exp.Select:
    """Who has an address of one of those hashes."""
    same = exp.EQ(this=exp.func("HASH", column(plan.address, "a")), expression=column("hash", "s"))
    sharing = select(column("key", "a"), column(plan.address, "a"), *(column(word, "a") for word in words))
    sharing.from_(decisions(plan, until=DUPLICATE - 1).subquery("a", copy=False), copy=False)
    return sharing.join(table("shared", "s"), on=same, copy=False)


def _flagged(plan: Plan, words: list[str], some: E) -> exp.Select:
    """Who passed any campaign so far, of those whose address the roster says is shared."""
    own = [column("key"), *([column(plan.address)] if plan.carries_address else []), *map(column, words)]
    alive = select(*own).from_(decisions(plan, until=DUPLICATE - 1).subquery("d", copy=False), copy=False)
    return alive.where(column(SHARED), copy=False).where(some, copy=False)


def _addressed(plan: Plan, words: list[str]) -> exp.Select:
    """Those flagged, with their addresses."""
    if plan.carries_address:
        return select(exp.Star()).from_(table("shared", "a"), copy=False)
    same = exp.EQ(this=column("key", "a"), expression=column(plan.features.key, "p"))
    found = select(column("key", "a"), column(plan.address, "p"), *(column(word, "a") for word in words))
    found.from_(table("people", "p"), copy=False).join(table("shared", "a"), on=same, copy=False)
    return found.where(column(shared_column(plan.address), "p"), copy=False)


def _target_caps(plan: Plan, engine: Engine) -> None:
    """Where more passed than a campaign's cap lets: keep the first of the draw (ties by key), or nobody."""
    capped = {index: cap for index, asked in enumerate(plan.asked) if (cap := asked.campaign.target_cap)}
    if not capped:
        return
    last = CAPPED - 1
    words = [column(f"s{stage}_{word}") for stage in range(DUPLICATE, CAPPED) for word in range(plan.words)]
    hashed = [column(HASH)] if any(cap.when_exceeded == "sample" for cap in capped.values()) else []
    before = decisions(plan, until=last).subquery("d", copy=False)
    engine.create(BEFORE_CAPS, select(column("key"), *hashed, *words).from_(before, copy=False))
    for index, cap in capped.items():
        word, bit = plan.bit(index)
        passed = select().from_(table(BEFORE_CAPS), copy=False).where(has(column(f"s{last}_{word}"), bit), copy=False)
        ((count,),) = engine.rows(passed.copy().select(exp.Count(this=exp.Star()), copy=False))
        if count <= cap.at_most:
            continue
        if cap.when_exceeded == "abort":
            plan.caps[index] = exp.false()
            continue
        drawn, own = draws.draw(column(HASH), cap.salt), column("key")
        order = (
            passed.select(drawn, own, copy=False)
            .order_by(drawn.copy(), own.copy())
            .limit(1, copy=False)
            .offset(cap.at_most, copy=False)
        )
        ((draw, key),) = engine.rows(order)
        first_out = number(int(key)) if plan.features.key_kind == "integer" else exp.Literal.string(str(key))
        same = exp.EQ(this=drawn.copy(), expression=number(draw))
        tied = exp.and_(same, exp.LT(this=own.copy(), expression=first_out))
        plan.caps[index] = exp.or_(exp.LT(this=drawn.copy(), expression=number(draw)), tied)
