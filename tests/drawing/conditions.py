"""Conditions drawn at random: every leaf, every operator that its column takes, nested to depth 4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from .values import DYADIC, LENGTHS, PATTERNS, TIMES, Strategy, either, interval, operand, pool

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
HOURS = ["00:00", "09:00", "12:00", "17:30", "23:59"]
NUMBERS = ("integer", "number", "decimal")
LEDGER_EVENT = "Channel Unsubscribed"
LEDGER_COLUMNS = {
    "channel": "text",
    "group": "text",
    "type": "text",
    "resubscribed": "boolean",
    "occurred_at": "instant",
}
_LEDGER_WORDS = ["email", "sms", "news", "bounced"]


Columns = tuple[tuple[str, str], ...]
Events = tuple[tuple[str, Columns, bool], ...]
"""Name, columns, and whether such an event has a time of day."""


@dataclass(frozen=True)
class Names:
    """What conditions may name."""

    columns: Columns
    events: Events
    groups: tuple[str, ...]
    channels: tuple[str, ...]
    lists: tuple[tuple[str, str, str | None], ...]
    segments: tuple[str, ...]


@cache
def conditions(names: Names, depth: int = 4) -> Strategy:
    """A ``where``."""
    leaf = leaves(names)
    return leaf if depth == 0 else either(leaf, leaf, _combined(conditions(names, depth - 1)))


def _combined(inner: Strategy) -> Strategy:
    some = st.lists(inner, min_size=2, max_size=4)
    return either(
        inner.map(lambda item: {"not": item}),
        some.map(lambda items: {"all": items}),
        some.map(lambda items: {"any": items}),
    )


@cache
def leaves(names: Names) -> Strategy:
    """Any leaf."""
    did = behaviour(names.events)
    kinds = [
        *[properties(names.columns)] * 4,
        did,
        did,
        interests(names.events),
        _in_groups(names.groups),
        st.builds(
            lambda state, channel: {state: channel},
            _one(["subscribed", "unsubscribed", "reachable"]),
            _one(names.channels),
        ),
        st.builds(_bucket, st.lists(st.integers(0, 999), min_size=2, max_size=2).map(sorted), st.none() | _one(["s1"])),
        _one(names.lists).map(_in_list),
    ]
    if names.segments:
        kinds.append(_one(names.segments).map(lambda name: {"segment": name}))
    return either(*kinds)


@cache
def properties(columns: Columns) -> Strategy:
    """A ``property`` leaf on one of the columns; ``near`` where there are two coordinates."""
    leaves_on = [_property(name, operators(kind)) for name, kind in columns]
    if {"lat", "lon"} <= dict(columns).keys():
        place = st.fixed_dictionaries(
            {"of": _one([[48.8566, 2.3522], [0, 180], [-90, 0]]), "km": _one([0, 20, 350, 20000])}
        )
        leaves_on.append(place.map(lambda near: {"property": ["lat", "lon"], "near": near}))
    return either(*leaves_on)


@cache
def operators(kind: str, *, of_column: bool = True) -> Strategy:
    """An operator and operand that fit a kind, as a mapping; without ``of_column`` those an interest takes."""
    value = operand(kind)
    values = st.lists(value, min_size=1, max_size=3)
    found: dict[str, Strategy] = {"exists": st.booleans()} if of_column else {}
    if kind.startswith("list of "):
        found |= {"has_any": values, "has_all": values}
    else:
        found |= {"equals": value, "not_equals": value, "in": values, "not_in": values}
    if kind == "text":
        texts = _one([text for text in pool("text") if text])
        found |= dict.fromkeys(("contains", "not_contains", "starts_with", "ends_with"), texts)
        found |= dict.fromkeys(("matches", "not_matches"), _one(PATTERNS))
    if kind in (*NUMBERS, *TIMES):
        found |= dict.fromkeys(("greater_than", "at_least", "less_than", "at_most"), value)
        found["between"] = interval(kind)
    if kind in TIMES and of_column:
        window = st.builds(lambda way, length: {way: length}, _one(["last", "next"]), _one(LENGTHS))
        found |= {"before": value, "after": value, "within": window}
    return _one_key(found)


def behaviour(events: Events) -> Strategy:
    """``did`` and ``did_not``, of declared events and of the ledger's."""
    of_ledger = _optional_filters(_ledger_where(), timed=True)
    declared = [_did(name, _optional_filters(_where(columns), timed=timed), columns) for name, columns, timed in events]
    return either(*declared, *declared, _did(LEDGER_EVENT, of_ledger, ()))


def interests(events: Events) -> Strategy:
    """``most_often`` and ``share``."""
    return either(
        *(
            _interest(name, column, kind, columns, timed=timed)
            for name, columns, timed in events
            for column, kind in columns
            if kind in ("text", "integer", "boolean", "date")
        )
    )


def _interest(event: str, column: str, kind: str, columns: Columns, *, timed: bool) -> Strategy:
    about = st.fixed_dictionaries(
        {"event": st.just(event), "property": st.just(column)},
        optional={"within": _past(timed=timed), "where": _where(columns)},
    )
    operator = operators(kind, of_column=False)
    shares = st.tuples(about, _one([50, 33.3, 100, 0.1, 66.7]), operator)
    return either(
        st.tuples(about, operator).map(lambda drawn: {"most_often": {**drawn[0], **drawn[1]}}),
        shares.map(lambda drawn: {"share": {**drawn[0], "percent": drawn[1], **drawn[2]}}),
    )


def _did(name: str, filters: dict[str, Strategy], columns: Columns) -> Strategy:
    numbers = [column for column, kind in columns if kind in NUMBERS]
    measures = {"count": _one_key(_comparisons(st.integers(0, 4)))}
    if numbers:
        dyadic = _one([float(value) for value in DYADIC if value not in ("nan", "inf", "-inf")] + [0.1, 0.3, 10])
        measure = st.builds(lambda of, test: {"of": of, **test}, _one(numbers), _one_key(_comparisons(dyadic)))
        measures |= {"sum": measure, "average": measure}
    flags = {"first_time": st.just(True), "including_never": st.just(True)}
    optional = {**filters, **measures, **flags}
    verbs = _one(["did", "did_not"])
    return st.builds(lambda verb, rest: {verb: name, **_meant(rest)}, verbs, _few(optional))


def _meant(rest: dict[str, Any]) -> dict[str, Any]:
    """``including_never`` is refused without a measure: it says how a measure takes those who never did it."""
    measured = rest.keys() & {"count", "sum", "average"}
    return rest if measured else {key: value for key, value in rest.items() if key != "including_never"}


def _optional_filters(where: Strategy, *, timed: bool) -> dict[str, Strategy]:
    moment = either(*(operand(kind) for kind in (TIMES if timed else ["date"])))
    last_time = {
        "before": moment,
        "after": moment,
        "between": interval("instant" if timed else "date"),
        "within": _one(LENGTHS).map(lambda length: {"last": length}),
    }
    hours = st.lists(_one(HOURS), min_size=2, max_size=2).map(lambda pair: {"between": pair})
    return ({"time_of_day": hours} if timed else {}) | {
        "within": _past(timed=timed),
        "where": where,
        "last_time": _one_key(last_time),
        "day_of_week": st.lists(_one(DAYS), min_size=1, max_size=4, unique=True),
    }


def _where(columns: Columns) -> Strategy:
    leaf = properties(columns)
    return either(leaf, leaf, _combined(either(leaf, _combined(leaf))))


def _ledger_where() -> Strategy:
    on_text = st.builds(
        lambda column, test: {"property": column, **test},
        _one(["channel", "group", "type"]),
        _one_key({"equals": _one(_LEDGER_WORDS), "not_equals": _one(_LEDGER_WORDS), "exists": st.booleans()}),
    )
    return on_text | st.booleans().map(lambda yes: {"property": "resubscribed", "equals": yes})


def _past(*, timed: bool) -> Strategy:
    between = either(*(interval(kind) for kind in (TIMES if timed else ["date"]))).map(lambda pair: {"between": pair})
    return either(_one(LENGTHS).map(lambda length: {"last": length}), between)


def _comparisons(number: Strategy) -> dict[str, Strategy]:
    names = ("at_least", "less_than", "equals", "not_equals", "greater_than", "at_most")
    return {**dict.fromkeys(names, number), "between": st.lists(number, min_size=2, max_size=2).map(sorted)}


def _in_groups(groups: tuple[str, ...]) -> Strategy:
    some = st.just("all") | st.lists(_one(groups), min_size=1, max_size=3, unique=True)
    return st.builds(
        lambda way, named, match: {"subscription_groups": {way: named} | ({"match": match} if match else {})},
        _one(["include", "exclude"]),
        some,
        _one([None, "any", "all"]),
    )


def _bucket(between: list[int], salt: str | None) -> dict[str, Any]:
    return {"bucket": {"between": between} | ({"salt": salt} if salt else {})}


def _in_list(named: tuple[str, str, str | None]) -> dict[str, Any]:
    source, column, channel = named
    return {"in_list": {"source": source, "column": column} | ({"channel": channel} if channel else {})}


def _property(name: str, operator: Strategy) -> Strategy:
    return operator.map(lambda test: {"property": name, **test})


def _one(choices: Any) -> Strategy:
    return st.sampled_from(list(choices))


def _one_key(choices: Mapping[str, Strategy]) -> Strategy:
    """A mapping of one of the keys to its value."""
    return either(*(_keyed(name, value) for name, value in choices.items()))


def _keyed(name: str, value: Strategy) -> Strategy:
    return value.map(lambda drawn: {name: drawn})


def _few(choices: Mapping[str, Strategy]) -> Strategy:
    """A mapping with none to three of the keys."""
    some = st.lists(_one_key(choices), max_size=3)
    return some.map(lambda drawn: {name: value for each in drawn for name, value in each.items()})
