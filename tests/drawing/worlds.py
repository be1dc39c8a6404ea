"""A whole world: tables, answers, segments that name earlier ones, campaigns under every policy."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import yaml
from hypothesis import strategies as st

from .conditions import Names, conditions
from .values import DYADIC, ERAS, TIMES, At, Strategy, either, value

COLUMNS = {
    "email": "text",
    "phone": "text",
    "handle": "text",
    'first "name"': "text",
    "visits": "integer",
    "credit": "decimal",
    "score": "number",
    "vip": "boolean",
    "birthday": "date",
    "joined": "timestamp",
    "seen": "instant",
    "tags": "list of text",
    "sizes": "list of integer",
    "ratings": "list of number",
    "lat": "number",
    "lon": "number",
}
ADDRESSES: dict[str, list[Any]] = {
    "email": [
        "a@x.org",
        "b@x.org",
        "c@x.org",
        "d@x.org",
        "e@x.org",
        " A@X.ORG ",
        "\u0130@x.org",
        "f@x.org",
        "@",
        "",
        None,
    ],
    "phone": ["+12025550101", "001 202 555-0101", "+12025550102", "+12025550103", "12025550104", "+0123", None],
    "handle": ["tok", " tok", "Tok", "key", "two words", None],
}
PLACES: dict[str, list[Any]] = {
    "lat": [48.8566, 48.8049, 0.0, -90.0, "inf", "nan", 91.0],
    "lon": [2.3522, 2.1204, 180.0, -180.0, "-inf"],
}
ARCHIVED = "old"
SEGMENTS = ("s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7")
SUMMABLE_INTEGERS = [0, 1, -1, 3]
CHANNELS: dict[str, dict[str, str]] = {
    "email": {"type": "email", "address": "email"},
    "sms": {"type": "sms", "address": "phone"},
    "chat": {"type": "opt_in", "address": "handle"},
}
NORMALIZED: dict[str, list[str]] = {
    "email": ["a@x.org", "b@x.org", "c@x.org", "\u0130@x.org"],
    "sms": ["+12025550101", "+12025550102"],
    "chat": ["tok", "Tok"],
}
GROUPS = {"news": "email", "offers": "email", "beta": "email", "alerts": "sms", "deals": "chat", "old": "email"}
KEYS: dict[str, list[Any]] = {
    "integer": [1, 2, 3, 4, 5, 9, 10, -1, 0, 12, 100],
    "text": ["1", "2", "3", "10", "9", "a", "B", "\u00e9", "\uffff", "\U00010000", "'", "01"],
}
STATED = [
    "2024-01-01T00:00:00+00:00",
    "2024-01-02T00:00:00+00:00",
    "2024-01-02T00:00:00.000001+00:00",
    "2024-01-03T00:00:00+00:00",
]
LISTS = (("keys.csv", "key", None), ("addresses.parquet", "address", "email"), ("addresses.parquet", "number", "sms"))
SALTS = ["summer", "winter"]
PERCENTS = [0, 5, 12.5, 50, 33.3, 100]
PURPOSES: list[dict[str, str]] = [
    {"purpose": "marketing"},
    {"purpose": "marketing"},
    {"purpose": "transactional"},
    {"purpose": "transactional", "ignore_unsubscribed": "It is a receipt."},
]
OPENED = {"who": "text", "on": "timestamp", "kind": "text"}


class World(dict[str, Any]):
    """A world that a failing test shows as YAML."""

    def __repr__(self) -> str:
        return "\n" + yaml.safe_dump(dict(self), sort_keys=False, allow_unicode=True, width=120)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A world of at most 12 profiles, 30 events and 20 answers."""
    era = draw(st.sampled_from(ERAS))
    key_kind = draw(st.sampled_from(["integer", "text"]))
    charged = {**_charged(key_kind), "at": draw(st.sampled_from(TIMES))}
    sent = {"to": key_kind, "channel": "text", "at": draw(st.sampled_from(TIMES))}
    segments: dict[str, Any] = {}
    for name in SEGMENTS[: draw(st.sampled_from([1, 8, 7, 6]))]:
        segments[name] = draw(conditions(_names(key_kind, len(segments), timed=charged["at"] != "date")))
    campaigns = draw(st.lists(_campaign(len(segments)), min_size=1, max_size=5))
    world = World(
        as_of=era.as_of.isoformat(),
        timezone=era.zone,
        columns={"id": key_kind, **COLUMNS},
        profiles=draw(_profiles(key_kind)),
        events={
            "Charged": {"profile": "who", "at": "at", "columns": charged, "rows": draw(_charges(key_kind))},
            "It's open": {"profile": "who", "at": "on", "columns": OPENED, "rows": draw(_openings(key_kind))},
        },
        sends={"profile": "to", "channel": "channel", "at": "at", "columns": sent, "rows": draw(_sends(key_kind))},
        lists=draw(_lists(key_kind)),
        channels=CHANNELS,
        groups=draw(_groups()),
        segments=segments,
        campaigns=_alone(segments) | {f"c{number}": campaign for number, campaign in enumerate(campaigns)},
        frequency_caps=draw(_caps()),
        control_groups=draw(_control_groups()),
        facts=draw(st.lists(_fact(key_kind), max_size=20)),
    )
    for table in (world["events"]["Charged"], world["sends"]):
        for row in table["rows"]:
            if at := row.get("at"):
                row["at"] = At(table["columns"]["at"], at.place)
    return World(era.settle(world))


def _alone(segments: Iterable[str]) -> dict[str, Any]:
    """A campaign for each segment, which shows who is in it."""
    return {f"of_{name}": {"channel": "email", "audience": {"include": [name]}} for name in segments}


@cache
def _names(key_kind: str, segments: int, *, timed: bool) -> Names:
    """What the next segment may name; conditions on events leave their time to ``within``."""
    charged = tuple(column for column in _charged(key_kind).items() if column[0] != "at")
    events = (("Charged", charged, timed), ("It's open", tuple(OPENED.items()), True))
    columns = (("id", key_kind), *COLUMNS.items())
    active = tuple(name for name in GROUPS if name != ARCHIVED)
    return Names(columns, events, active, tuple(CHANNELS), LISTS, SEGMENTS[:segments])


def _charged(key_kind: str) -> dict[str, str]:
    behind = {"amount": "decimal", "points": "integer", "score": "number", "genre": "text", "gift": "boolean"}
    return {"who": key_kind, "at": "timestamp", **behind, "due": "date", "kinds": "list of text"}


@cache
def _profiles(key_kind: str) -> Strategy:
    addresses = {name: st.sampled_from(pool) for name, pool in ADDRESSES.items()}
    others = {name: value(kind) for name, kind in COLUMNS.items() if name not in ADDRESSES}
    others |= {name: st.sampled_from(pool) for name, pool in PLACES.items()}
    row = st.fixed_dictionaries({"id": st.sampled_from(KEYS[key_kind]), **addresses}, optional=others)
    few, many = (st.lists(row, min_size=least, max_size=12, unique_by=lambda each: each["id"]) for least in (0, 6))
    return either(few, many, many, many)


@cache
def _charges(key_kind: str) -> Strategy:
    values = {name: value(kind) for name, kind in _charged(key_kind).items() if name != "who"}
    values |= {"points": st.sampled_from(SUMMABLE_INTEGERS), "score": st.sampled_from(DYADIC)}
    row = st.fixed_dictionaries({"who": _whose(key_kind, key_kind)}, optional=values)
    return either(st.lists(row, max_size=20), st.lists(row, min_size=10, max_size=20))


@cache
def _openings(key_kind: str) -> Strategy:
    values = {name: value(kind) for name, kind in OPENED.items() if name != "who"}
    return st.lists(st.fixed_dictionaries({"who": _whose("text", key_kind)}, optional=values), max_size=10)


@cache
def _sends(key_kind: str) -> Strategy:
    channel = st.sampled_from(["email", "email", "sms", "chat", "EMAIL", None])
    row = {"to": st.sampled_from([*KEYS[key_kind][:4], None]), "channel": channel, "at": value("timestamp") | st.none()}
    return either(*(st.lists(st.fixed_dictionaries(row), min_size=least, max_size=12) for least in (0, 8)))


def _whose(kind: str, key_kind: str) -> Strategy:
    keys = KEYS[key_kind][:6]
    return st.sampled_from([*(str(key) if kind == "text" else key for key in keys), None])


@cache
def _lists(key_kind: str) -> Strategy:
    keys = st.fixed_dictionaries({"key": st.sampled_from([str(key) for key in KEYS[key_kind]])})
    pools = {"address": ADDRESSES["email"], "number": ADDRESSES["phone"]}
    addresses = st.fixed_dictionaries({}, optional={name: st.sampled_from(pool) for name, pool in pools.items()})
    return st.builds(
        lambda listed, found: {
            "keys.csv": {"columns": {"key": "text"}, "rows": listed},
            "addresses.parquet": {"columns": {"address": "text", "number": "text"}, "rows": found},
        },
        st.lists(keys, max_size=4),
        st.lists(addresses, max_size=4),
    )


@cache
def _groups() -> Strategy:
    default = st.sampled_from(["subscribed", "unsubscribed"])
    return st.fixed_dictionaries(dict.fromkeys(GROUPS, default)).map(
        lambda defaults: {
            name: {
                "channel": channel,
                "default": defaults[name],
                "status": "archived" if name == ARCHIVED else "active",
            }
            for name, channel in GROUPS.items()
        }
    )


@cache
def _fact(key_kind: str) -> Strategy:
    return st.one_of([_fact_on(channel, key_kind) for channel in CHANNELS])


def _fact_on(channel: str, key_kind: str) -> Strategy:
    groups = st.sampled_from([None, *(name for name, on in GROUPS.items() if on == channel)])
    address = st.sampled_from(NORMALIZED[channel])
    profile = st.sampled_from(KEYS[key_kind][:5])
    subject = st.fixed_dictionaries({"address": address}) | st.fixed_dictionaries({"profile": profile})
    subject |= st.fixed_dictionaries({"address": address, "profile": profile})
    answer = st.sampled_from(
        [("unsubscribed", None), ("subscribed", None), ("unsubscribed", "bounced"), ("unsubscribed", "spam")]
    )
    return st.builds(
        lambda who, group, said, at, source: {
            "channel": channel,
            "group": group,
            **who,
            "answer": said[0],
            "type": said[1],
            "at": at,
            "source": source,
        },
        subject,
        groups,
        answer,
        st.sampled_from(STATED),
        st.sampled_from(["import", "page"]),
    )


@cache
def _campaign(segments: int) -> Strategy:
    return st.one_of([_campaign_on(channel, SEGMENTS[:segments]) for channel in CHANNELS])


def _campaign_on(channel: str, segments: tuple[str, ...]) -> Strategy:
    groups = [name for name, on in GROUPS.items() if on == channel and name != ARCHIVED]
    named = st.lists(st.sampled_from(segments), min_size=1, max_size=2, unique=True)
    cap = {"at_most": st.integers(1, 4), "when_exceeded": st.sampled_from(["sample", "abort"])}
    fields = {
        "audience": st.fixed_dictionaries({}, optional={"include": named, "exclude": named}),
        "subscription_groups": _clause(groups),
        "frequency_caps": st.lists(_cap(), min_size=1, max_size=1),
        "control_group": st.just("loyalty") | _control_group("winter"),
        "target_cap": st.fixed_dictionaries({**cap, "salt": st.sampled_from(SALTS)}),
    }
    purpose = st.sampled_from(PURPOSES)
    return st.builds(
        lambda declared, why: {"channel": channel, **declared, **why},
        st.fixed_dictionaries({}, optional=fields),
        purpose,
    )


def _clause(groups: list[str]) -> Strategy:
    named = st.lists(st.sampled_from(groups), min_size=1, max_size=3, unique=True)
    kinds = st.sampled_from(["all", "any", "none"])
    counted = st.tuples(named, st.integers(1, 3)).map(
        lambda drawn: {"at_least": {"count": min(drawn[1], len(drawn[0])), "of": drawn[0]}}
    )
    return st.builds(lambda kind, of: {kind: of}, kinds, named) | counted


@cache
def _caps() -> Strategy:
    return st.lists(
        st.builds(lambda channel, cap: {"channel": channel, **cap}, st.sampled_from(list(CHANNELS)), _cap()), max_size=2
    )


@cache
def _cap() -> Strategy:
    return st.fixed_dictionaries({"at_most": st.sampled_from([1, 1, 2, 3]), "days": st.sampled_from([7, 1, 30])})


@cache
def _control_groups() -> Strategy:
    return st.fixed_dictionaries({"loyalty": _control_group("s1")}, optional={"system": _control_group("s2")})


@cache
def _control_group(salt: str) -> Strategy:
    return st.fixed_dictionaries({"percent": st.sampled_from(PERCENTS), "salt": st.just(salt)})
