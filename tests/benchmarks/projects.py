"""Drawn campaigns, the same each time, and the projects that declare them: what every side is asked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from .generate import GROUPS, OPT_IN, Answers

Condition = dict[str, Any]
"""A condition as YAML declares it."""

Kind = Literal["one", "hundred", "thousand", "declarations", "events", "policies"]
NUMBERS: dict[Kind, int] = {
    "one": 1,
    "hundred": 100,
    "thousand": 1_000,
    "declarations": 489,
    "events": 100,
    "policies": 100,
}
"""How many campaigns each kind of project has; ``declarations`` is 1,000 files. ``events`` asks for events in half of them; ``policies`` asks what
``hundred`` does, and has addresses that people share, answers of addresses, caps and draws."""

SEED = 7
CAP_AT_MOST, CAP_DAYS = 3, 7
SYSTEM_PERCENT, SYSTEM_SALT = 5, "system"

COLUMNS = ("country", "age", "spent", "joined", "plan", "city", "interests")
"""The columns that conditions ask about."""
_PLANS = ("free", "basic", "plus", "pro", "staff")


@dataclass(frozen=True, slots=True)
class Campaign:
    """All of ``conditions`` hold, and at least ``at_least`` of ``groups`` are subscribed (``clause``: all, any, at_least).

    ``control`` is the percentage of a control group whose salt is the campaign's name, ``target_cap`` the most people.
    """

    name: str
    conditions: tuple[Condition, ...]
    clause: str
    at_least: int
    groups: tuple[str, ...]
    control: int = 0
    target_cap: int = 0


@cache
def draw_campaigns(kind: Kind, profiles: int) -> list[Campaign]:
    """The campaigns of a kind; a target cap is drawn to bind at that many profiles."""
    if kind == "one":
        return next([campaign] for campaign in draw_campaigns("hundred", profiles) if len(campaign.conditions) == 4)
    draw, policies = random.Random(SEED), random.Random(SEED)
    campaigns = []
    for number in range(NUMBERS[kind]):
        conditions = _conditions(draw, draw.randint(2, 6))
        if kind == "events" and number % 2:
            conditions[-1] = _did(draw)
        groups = tuple(sorted(draw.sample(GROUPS, draw.randint(1, 4))))
        clause = draw.choice(["all", "any", "at_least"])
        at_least = {"all": len(groups), "any": 1, "at_least": max(1, len(groups) - 1)}[clause]
        control, cap = 0, 0
        if kind == "policies":
            control = policies.choice([2, 5, 10])
            cap = max(1, profiles // policies.choice([50, 200, 1000])) if number % 5 == 0 else 0
        campaigns.append(Campaign(f"c{number:04}", tuple(conditions), clause, at_least, groups, control, cap))
    return campaigns


def answers_of(kind: Kind) -> Answers:
    """Which answers (and addresses) a kind of project has."""
    return "both" if kind == "policies" else "profiles"


def make_project(directory: Path, kind: Kind, profiles: int) -> Path:
    """Declare a kind's campaigns over the tables in ``directory``; returns the project's directory."""
    root = directory / "projects" / kind
    if (root / "project.yaml").exists():
        return root
    answers = answers_of(kind)
    email = "email" if answers == "profiles" else "shared_email"
    _write(root / "channels/email.yaml", {"type": "email", "address": email})
    for group in GROUPS:
        default = "unsubscribed" if group in OPT_IN else "subscribed"
        _write(root / f"subscription_groups/{group}.yaml", {"title": group, "channel": "email", "default": default})
    campaigns = draw_campaigns(kind, profiles)
    for campaign in campaigns:
        where = {"where": {"all": list(campaign.conditions)}}
        _write(root / f"segments/{campaign.name}.yaml", {"title": campaign.name, **where})
        _write(root / f"campaigns/{campaign.name}.yaml", _declared(campaign))
    (root / ".maysend").symlink_to(Path("../../answers") / answers)
    project: dict[str, Any] = {"title": kind, "profiles": {"source": "../../profiles.parquet", "key": "id"}}
    if kind == "events":
        project["events"] = {"Charged": {"source": "../../purchases.parquet", "profile": "id", "at": "at"}}
    if kind == "policies":
        project["sends"] = {"source": "../../sends.parquet", "profile": "id", "channel": "channel", "at": "at"}
        project["frequency_caps"] = [{"channel": "email", "at_most": CAP_AT_MOST, "days": CAP_DAYS}]
        project["control_groups"] = {"system": {"percent": SYSTEM_PERCENT, "salt": SYSTEM_SALT}}
    _write(root / "project.yaml", project)
    return root


def _declared(campaign: Campaign) -> dict[str, Any]:
    groups: Any = list(campaign.groups)
    if campaign.clause == "at_least":
        groups = {"count": campaign.at_least, "of": groups}
    declared: dict[str, Any] = {
        "title": campaign.name,
        "channel": "email",
        "audience": {"include": [campaign.name]},
        "subscription_groups": {campaign.clause: groups},
    }
    if campaign.control:
        declared["control_group"] = {"percent": campaign.control, "salt": campaign.name}
    if campaign.target_cap:
        cap = {"at_most": campaign.target_cap, "when_exceeded": "sample", "salt": campaign.name}
        declared["target_cap"] = cap
    return declared


def _conditions(draw: random.Random, many: int) -> list[Condition]:
    """No two about the same column, so that they do not contradict each other."""
    found: dict[str, Condition] = {}
    while len(found) < many:
        condition = _condition(draw)
        found.setdefault(condition.get("property", "any"), condition)
    return list(found.values())


def _condition(draw: random.Random) -> Condition:
    """Three in four look at one column, in ways that cut it; the others search text or lists, or are an ``any``."""
    kind = draw.randrange(12)
    if kind == 9:
        return {"property": "city", "starts_with": f"city {draw.randint(1, 9)}"}
    if kind == 10:
        return {"property": "interests", "has_any": _named("interest", draw.sample(range(40), draw.randint(5, 20)))}
    if kind == 11:
        return {"any": [_simple(draw), _simple(draw)]}
    return _simple(draw)


def _simple(draw: random.Random) -> Condition:
    age, spent, year = draw.randint(18, 60), draw.randint(0, 60) * 10, draw.randint(2014, 2022)
    countries = draw.sample(range(60), draw.randint(1, 40))
    return draw.choice(
        [
            {"property": "country", "in": [f"C{number:02}" for number in sorted(countries)]},
            {"property": "country", "not_in": [f"C{number:02}" for number in sorted(countries)[:10]]},
            {"property": "age", "at_least": age},
            {"property": "age", "between": [age, age + draw.randint(10, 40)]},
            {"property": "spent", "greater_than": spent},
            {"property": "spent", "at_most": spent + 300},
            {"property": "joined", "after": f"{year}-0{draw.randint(1, 9)}-01"},
            {"property": "joined", "before": f"{year + 2}-0{draw.randint(1, 9)}-01"},
            {"property": "plan", "in": sorted(draw.sample(_PLANS, draw.randint(2, 4)))},
            {"property": "city", "not_in": _named("city", draw.sample(range(1000), 20))},
        ]
    )


def _did(draw: random.Random) -> Condition:
    """No sum of cents meets a bound of half a cent, so that no side depends on the order in which floats are added."""
    within = {"last": f"{draw.choice([30, 90, 180, 365])} days"}
    genre = {"property": "genre", "in": _named("genre", draw.sample(range(30), 3))}
    return draw.choice(
        [
            {"did": "Charged", "count": {"at_least": draw.randint(1, 3)}, "within": within},
            {"did_not": "Charged", "within": within},
            {"did": "Charged", "where": genre, "within": within},
            {"did": "Charged", "sum": {"of": "amount", "at_least": draw.randint(1, 5) * 100 - 0.005}, "within": within},
        ]
    )


def _named(what: str, numbers: Sequence[int]) -> list[str]:
    return [f"{what} {number}" for number in sorted(numbers)]


def _write(file: Path, data: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")
