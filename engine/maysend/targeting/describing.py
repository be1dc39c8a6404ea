"""A plan as a reviewer reads it: what it asks of every profile, and what each campaign must pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from ..trees import table
from .engine import Engine
from .features import Feature
from .lookups import WORD_BITS
from .plan import Plan
from .stages import REASONS

_STEPS = (
    ("measuring events", ("event ", "events ", "favourite ")),
    ("folding answers", ("standing ", "answers since", "people changed")),
    ("looking up conditions", ("values ", "lookup ", "list", "found ", "contents ")),
    ("asking every profile", ("passed", "answers found", "status", "people asked for")),
    ("finding duplicate addresses", ("shared", "sharing", "before")),
    ("cutting at target caps", ("before caps",)),
    ("counting", ("spread", "tally", "counted")),
    ("writing audiences", ("decided", "file")),
)


def outline(plan: Plan, engine: Engine) -> Iterator[str]:
    """What a plan will do, in a few lines, once its lookups are made."""

    def rows(name: str) -> int:
        return int(engine.rows(exp.select(exp.Count(this=exp.Star())).from_(table(name)))[0][0])

    on, words = plan.asked[0].campaign.channel, plan.words
    yield (
        f"{len(plan.asked)} campaigns on {on}, in {words} word{'s' * (words > 1)} of {WORD_BITS} bits, "
        f"asked of {rows('people'):,} profiles"
    )
    for event, wanted in plan.measured().items():
        kept = plan.counters.get(f"event {event}", {}).values()
        columns = len({counter.column for counter in kept}) + len(wanted) - len(kept)
        yield f"  events: {len(wanted)} measures of {event or 'sends'} in {columns} columns, one pass"
    for standing in plan.features.standings.values():
        if standing.kept is not None:
            changed = (
                f"of {rows(standing.changes):,} profiles changed since" if standing.changed else "none changed since"
            )
            yield f"  answers on {standing.channel}: from the roster, {changed}; {len(list(standing.described()))} bits"
            continue
        sides = " and ".join(f"{rows(standing.side(level)):,} {plural}" for level, plural in standing.sides())
        yield f"  answers on {standing.channel}: {sides}; {len(list(standing.described()))} bits"
    texts = {feature.numbered: feature for feature in plan.features.features.values() if feature.numbered}
    for code in plan.codes:
        asked = len(code.predicates)
        on = ", ".join(sorted({_asked(texts.get(name, plan.features.features[name])) for name in code.features()}))
        predicates = f"{asked} predicate{'s' * (asked > 1)}"
        yield f"  lookup: {predicates} on {on}: {rows(f'lookup {code.name}'):,} buckets"
    if plan.drawn:
        yield f"  draws: {len(plan.drawn)} control groups"


def _asked(feature: Feature) -> str:
    """What a feature is of, in a word or two: a profile's column, or what was measured of an event."""
    parts = {(part.table, part.name) for part in feature.expression.find_all(exp.Column)}
    return " ".join(name if alias == "p" else f"{alias.partition(' ')[2]}.{name}" for alias, name in sorted(parts))


def steps(seconds: Mapping[str, float]) -> list[tuple[str, float]]:
    """The time of each step of a run, from the seconds that making each table took."""
    found = []
    for step, _ in _STEPS:
        spent = sum(taken for name, taken in seconds.items() if _step(name) == step)
        if spent:
            found.append((step, spent))
    return found


def _step(name: str) -> str:
    """The step a table belongs to: that of the longest prefix of its name."""
    longest = max(
        ((prefix, step) for step, prefixes in _STEPS for prefix in prefixes if name.startswith(prefix)),
        default=("", "other"),
        key=lambda found: len(found[0]),
    )
    return longest[1]


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
    measured = (
        (f"event {event}", plan.events(event).per_profile(wanted, 15, ())) for event, wanted in plan.measured().items()
    )
    for name, query in (*measured, *plan.favourites()):
        yield f"{name}:"
        yield from (f"  {line}" for line in _pretty(query, dialect))


def _for(asking: list[str], names: list[str]) -> str:
    return "" if len(asking) == len(names) else f"  -- {', '.join(asking)}"


def _pretty(query: exp.Query, dialect: str) -> list[str]:
    return query.sql(dialect, pretty=True).splitlines()
