"""Sizes and names that nobody plans for: hundreds of campaigns, long lists, deep conditions, odd columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

import engine
import oracle
from maysend import runner
from maysend.model import Project
from maysend.targeting import reads

Run = Callable[..., Any]

AGES = [number % 60 for number in range(1000)]
PROFILES = [
    {"id": number, "email": f" Person.{number % 950}@Example.com " if number % 7 else None, "age": age}
    for number, age in enumerate(AGES)
]
NEWS = {"title": "News", "description": "D", "channel": "email", "default": "subscribed"}
WORLD: Mapping[str, Any] = {
    "as_of": "2024-06-01T00:00:00Z",
    "columns": {"id": "integer", "email": "text", "age": "integer"},
    "profiles": PROFILES,
    "channels": {"email": {"type": "email", "address": "email"}},
    "groups": {"news": NEWS},
    "facts": [
        {"channel": "email", "group": "news", "profile": 12, "answer": "unsubscribed", "at": "2024-01-01T00:00:00Z"},
        {"channel": "email", "profile": 20, "answer": "unsubscribed", "at": "2024-01-01T00:00:00Z"},
    ],
}
AS_OF = ("--as-of", "2024-06-01")


def rows(file: Path) -> list[Any]:
    return duckdb.read_parquet(str(file)).fetchall()


def test_three_hundred_campaigns_at_once_are_what_a_few_at_a_time_are(tmp_path: Path) -> None:
    """Three plans, against plans of eleven that lie across or within their borders."""
    segments = {f"over_{age}": {"property": "age", "at_least": age} for age in range(0, 60, 5)}
    audiences = [{"include": [name]} for name in segments] + [{"exclude": [name]} for name in list(segments)[1:]]
    clauses = [{"all": ["news"]}, {"any": ["news", "offers"]}, {"none": ["offers"]}, None]
    campaigns = {}
    for number in range(300):
        policies: dict[str, Any] = {"control_group": {"percent": number % 30, "salt": f"s{number % 4}"}}
        if number % 9 == 0:
            policies["target_cap"] = {"at_most": 100 + number, "when_exceeded": "sample", "salt": "x"}
        if clause := clauses[number % 4]:
            policies["subscription_groups"] = clause
        campaigns[f"c{number:03}"] = {
            "channel": "email",
            "audience": audiences[number % len(audiences)],
            **policies,
        }
    offers = {**NEWS, "title": "Offers", "default": "unsubscribed"}
    world = {
        **WORLD,
        "groups": {"news": NEWS, "offers": offers},
        "segments": segments,
        "campaigns": campaigns,
    }
    project = engine.loaded_project(engine.write(world, tmp_path / "many"))
    names = list(campaigns)
    some = [names[120:131], names[247:258]]
    together = decided(project, names, {name for chosen in some for name in chosen})
    assert len(together) == 300
    assert len({tuple(counts.values()) for counts, _ in together.values()}) > 100
    for chosen in some:
        assert decided(project, chosen, set(chosen)) == {name: together[name] for name in chosen}


def decided(project: Project, names: list[str], read: set[str]) -> dict[str, tuple[dict[str, int], list[Any]]]:
    """How many people each campaign has per reason, and the audiences of those to ``read``, from plans of all."""
    found = {}
    with runner.opened(project, datetime.fromisoformat(WORLD["as_of"]), engine.loaded_plugins()) as run:
        for plan in run.plans(runner.chosen(project, names)):
            _, counted = reads.waterfall(plan, run.backend)
            reads.keep(plan, run.backend)
            for index, counts in enumerate(counted):
                name = plan.asked[index].campaign.name
                found[name] = (counts, run.backend.rows(reads.audience(plan, index)) if name in read else [])
    return found


@pytest.mark.soak
def test_an_in_list_of_a_hundred_thousand_values(tmp_path: Path) -> None:
    """Every second number and text of a range that begins within the profiles' and ends far beyond."""
    world = {
        **WORLD,
        "columns": {"id": "integer", "email": "text", "age": "integer", "code": "text"},
        "profiles": [
            {**profile, "age": number, "code": f"'C{number}\"" if number % 5 else None}
            for number, profile in enumerate(PROFILES)
        ],
        "facts": [],
        "segments": {
            "numbers": {"property": "age", "in": list(range(500, 200_500, 2))},
            "texts": {"property": "code", "in": [f"'C{number}\"" for number in range(500, 200_500, 2)]},
        },
        "campaigns": {
            "numbers": {"channel": "email", "audience": {"include": ["numbers"]}},
            "texts": {"channel": "email", "audience": {"include": ["texts"]}},
            "not_texts": {"channel": "email", "audience": {"exclude": ["texts"]}},
        },
    }
    project = engine.loaded_project(engine.write(world, tmp_path / "long"))
    counts = engine.evaluated(project, WORLD["as_of"], list(world["campaigns"]), None)
    left_out = {name: found["not_in_audience"] for name, found in counts.items()}
    assert left_out == {
        "numbers": 1000 - 250,
        "texts": 1000 - sum(number % 5 != 0 for number in range(500, 1000, 2)),
        "not_texts": sum(number % 5 != 0 for number in range(500, 1000, 2)),
    }


def test_a_segment_nested_thirty_deep(tmp_path: Path) -> None:
    """Conditions in conditions, and segments in segments: an odd number of negations of one test."""
    inside: dict[str, Any] = {"property": "age", "at_least": 18}
    for level in range(30):
        inside = {"not": inside} if level % 2 else {"any": [{"all": [inside]}, {"property": "age", "at_least": 100}]}
    segments: dict[str, Any] = {"s0": {"property": "age", "at_least": 18}}
    for level in range(1, 31):
        segments[f"s{level}"] = {"not": {"segment": f"s{level - 1}"}}
    world = {
        **WORLD,
        "facts": [],
        "segments": {**segments, "deep": inside},
        "campaigns": {
            "by_condition": {"channel": "email", "audience": {"include": ["deep"]}},
            "by_segment": {"channel": "email", "audience": {"include": ["s30"]}},
            "the_others": {"channel": "email", "audience": {"include": ["s29"]}},
        },
    }
    project = engine.loaded_project(engine.write(world, tmp_path / "deep"))
    counts = engine.evaluated(project, WORLD["as_of"], list(world["campaigns"]), None)
    minors = sum(age < 18 for age in AGES)
    assert {name: found["not_in_audience"] for name, found in counts.items()} == {
        "by_condition": 1000 - minors,
        "by_segment": minors,
        "the_others": 1000 - minors,
    }


def test_columns_may_be_called_anything(tmp_path: Path, here_json: Run) -> None:
    names = {"key": 'the "id"', "address": "e mail; --", "age": "'age' \"in\" years", "city": "sélect * from ß"}
    world = {
        **WORLD,
        "key": names["key"],
        "columns": {names["key"]: "text", names["address"]: "text", names["age"]: "integer", names["city"]: "text"},
        "profiles": [
            {names["key"]: f"it's {n}", names["address"]: f"{n}@x.org", names["age"]: n, names["city"]: "Łódź'"}
            for n in range(10)
        ],
        "channels": {"email": {"type": "email", "address": names["address"]}},
        "events": {
            'Bought "it"': {
                "profile": "who's",
                "at": "at all",
                "columns": {"who's": "text", "at all": "date", 'how "much"': "number"},
                "rows": [{"who's": f"it's {n}", "at all": "2024-05-01", 'how "much"': n} for n in range(8)],
            }
        },
        "facts": [],
        "segments": {
            "some": {
                "all": [
                    {"property": names["age"], "at_least": 2},
                    {"property": names["city"], "equals": "Łódź'"},
                    {"did": 'Bought "it"', "sum": {"of": 'how "much"', "at_least": 4}},
                ]
            }
        },
        "campaigns": {"c": {"channel": "email", "audience": {"include": ["some"]}}},
    }
    root = engine.write(world, tmp_path / "odd")
    result = here_json("evaluate", *AS_OF, "--out", "out", "--sample", "1", cwd=root)
    assert result["campaigns"][0]["included"] == 4
    assert rows(root / "out" / "c.parquet") == [(f"it's {n}", f"{n}@x.org") for n in range(4, 8)]
    (found,) = here_json("explain", "--all", "it's 1", *AS_OF, cwd=root)
    assert found["reason"] == "not_in_audience"


def test_columns_may_be_called_what_plans_call_theirs(tmp_path: Path) -> None:
    names = ["h", "key_text", "key", "subject", "email", "standing", "code", "f0", "profile", "place"]
    world = {
        **WORLD,
        "columns": {"id": "integer", "mail": "text", **dict.fromkeys(names, "integer")},
        "profiles": [{"id": n, "mail": f"p{n // 2}@x.org", **dict.fromkeys(names, n * n % 7)} for n in range(60)],
        "channels": {"email": {"type": "email", "address": "mail"}},
        "segments": {name.split()[0]: {"property": name, "at_least": place % 4} for place, name in enumerate(names)},
        "campaigns": {
            name.split()[0]: {
                "channel": "email",
                "audience": {"include": [name.split()[0]]},
                "control_group": {"percent": 30, "salt": "w"},
                "target_cap": {"at_most": 20, "when_exceeded": "sample", "salt": "x"},
            }
            for name in names
        },
    }
    (tmp_path / "named").mkdir()
    decided = oracle.decide(world)
    found = engine.decisions(world, tmp_path / "named")
    assert found == {name: {str(key): reason for key, reason in of.items()} for name, of in decided.items()}
    assert {reason for of in found.values() for reason in of.values()} >= {"duplicate_address", "control_group"}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one campaign for everybody."""
    return engine.write({**WORLD, "campaigns": {"all": {"channel": "email"}}}, tmp_path_factory.mktemp("limits") / "p")


@pytest.mark.parametrize("size", ["lots", "", "5", "GB", "8G", "80%", "-1GB", "0GB", "0.0MiB", "1e3MB", "9999999999TB"])
@pytest.mark.parametrize("command", ["evaluate", "roster", "diff ."])
def test_what_is_no_size_of_memory_is_wrong_usage(people: Path, here: Run, command: str, size: str) -> None:
    said = here(*command.split(), "--memory", size, cwd=people, code=2).stderr.splitlines()
    told = f'"{size}" is no size such as 8GB: a number above 0, and KB, MB, GB, TB, KiB, MiB, GiB or TiB'
    assert said[-1] == f"Error: Invalid value for '--memory': {told}"


@pytest.mark.parametrize("size", ["2GB", "500 mb", "1.5gib", "1TiB", "2000000KB"])
def test_a_size_of_memory_is_a_number_and_a_unit(people: Path, here: Run, size: str) -> None:
    here("evaluate", "--memory", size, cwd=people)


@pytest.mark.parametrize("command", ["evaluate --out out", "roster", "diff ."])
def test_too_little_memory_is_one_line(people: Path, here: Run, command: str) -> None:
    said = here(*command.split(), "--memory", "512KiB", cwd=people, code=1).stderr
    assert said == "512.0 KiB of memory is too little for this run; --memory gives it more\n"
    assert not (people / "out").exists()
