"""``maysend evaluate``, as people and scripts call it: what it prints, what it writes, and how much it can take."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

import engine
import oracle
from maysend import runner
from maysend.backends.duckdb import DuckDB
from maysend.ledger import open_ledger
from maysend.targeting.stages import REASONS

Run = Callable[..., Any]

PROFILES = [
    {"id": number, "email": f" Person.{number % 950}@Example.com " if number % 7 else None, "age": number % 60}
    for number in range(1000)
]
WORLD: Mapping[str, Any] = {
    "as_of": "2024-06-01T00:00:00Z",
    "columns": {"id": "integer", "email": "text", "age": "integer"},
    "profiles": PROFILES,
    "channels": {"email": {"type": "email", "address": "email"}},
    "groups": {
        "news": {"title": "News", "description": "D", "channel": "email", "default": "subscribed"},
    },
    "segments": {"adults": {"property": "age", "at_least": 18}},
    "control_groups": {"system": {"percent": 5, "salt": "s1"}},
    "facts": [
        {"channel": "email", "group": "news", "profile": 12, "answer": "unsubscribed", "at": "2024-01-01T00:00:00Z"},
        {"channel": "email", "profile": 20, "answer": "unsubscribed", "at": "2024-01-01T00:00:00Z"},
        {
            "channel": "email",
            "address": "person.40@example.com",
            "answer": "unsubscribed",
            "type": "bounced",
            "at": "2024-01-01T00:00:00Z",
        },
    ],
    "campaigns": {
        "adults": {"channel": "email", "audience": {"include": ["adults"]}, "subscription_groups": {"all": ["news"]}},
        "everyone": {"channel": "email", "target_cap": {"at_most": 100, "when_exceeded": "sample", "salt": "x"}},
        "receipts": {"channel": "email", "purpose": "transactional", "ignore_unsubscribed": "the law asks for it"},
        "too_many": {"channel": "email", "target_cap": {"at_most": 10, "when_exceeded": "abort"}},
    },
}
AS_OF = ("--as-of", "2024-06-01")


def write(world: Mapping[str, Any], root: Path) -> Path:
    root.mkdir()
    engine.write_project(world, root)
    engine.record(world, root)
    return root


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(WORLD, tmp_path_factory.mktemp("evaluate") / "project")


@pytest.fixture
def project(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "project")
    return tmp_path / "project"


def files(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def rows(file: Path) -> list[Any]:
    return duckdb.read_parquet(str(file)).fetchall()


def test_json_has_the_promised_shape(project: Path, here_json: Run) -> None:
    result = here_json("evaluate", "adults", "everyone", *AS_OF, "--out", "out", cwd=project)

    assert list(result) == ["as_of", "population", "campaigns"]
    assert result["as_of"] == "2024-06-01T00:00:00.000000Z"
    assert result["population"] == 1000
    assert [campaign["name"] for campaign in result["campaigns"]] == ["adults", "everyone"]
    for campaign in result["campaigns"]:
        assert list(campaign) == ["name", "included", "excluded"]
        assert list(campaign["excluded"]) == list(REASONS)
        counts = [campaign["included"], *campaign["excluded"].values()]
        assert all(type(count) is int for count in counts)
        assert sum(counts) == 1000
    adults, everyone = (campaign["excluded"] for campaign in result["campaigns"])
    assert (adults["over_target_cap"], adults["suppressed"], adults["channel_unsubscribed"]) == (0, 2, 1)
    assert adults["group_unsubscribed"] == 0  # profile 12 is no adult
    assert everyone["not_in_audience"] == 0
    manifest = json.loads((project / "out" / "manifest.json").read_bytes())
    assert manifest["campaigns"][0] | adults_of(result) == manifest["campaigns"][0]
    assert {"maysend", "ledger", "as_of", "population"} <= manifest.keys()


def adults_of(result: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = result["campaigns"][0]
    return found


def test_the_audience_holds_keys_and_normalized_addresses_in_key_order(project: Path, here_json: Run) -> None:
    result = here_json("evaluate", "adults", *AS_OF, "--out", "out", cwd=project)
    found = duckdb.read_parquet(str(project / "out" / "adults.parquet"))
    assert found.columns == ["id", "address"]
    audience = found.fetchall()
    assert len(audience) == result["campaigns"][0]["included"]
    assert audience == sorted(audience)
    assert all(address == f"person.{key % 950}@example.com" for key, address in audience)


def test_csv_says_the_same_as_parquet(project: Path, here: Run) -> None:
    here("evaluate", "adults", "everyone", *AS_OF, "--out", "out", cwd=project)
    here("evaluate", "adults", "everyone", *AS_OF, "--out", "text", "--format", "csv", cwd=project)
    assert sorted(files(project / "text")) == ["adults.csv", "everyone.csv", "manifest.json"]
    for name in ("adults", "everyone"):
        with (project / "text" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            header, *found = csv.reader(file)
        assert header == ["id", "address"]
        assert found == [[str(key), address] for key, address in rows(project / "out" / f"{name}.parquet")]


def test_numbers_only_writes_nothing(project: Path, here_json: Run) -> None:
    whole = here_json("evaluate", "adults", *AS_OF, "--out", "out", cwd=project)
    before = files(project / "out")
    assert here_json("evaluate", "adults", *AS_OF, "--no-audiences", cwd=project) == whole
    here_json("evaluate", "everyone", *AS_OF, "--no-audiences", "--out", "out", cwd=project)
    assert files(project / "out") == before


def test_decisions_are_everybody_s_reason(project: Path, here: Run, here_json: Run) -> None:
    result = here_json("evaluate", "adults", "too_many", *AS_OF, "--out", "o", "--decisions", cwd=project, code=1)
    assert sorted(files(project / "o")) == [
        "adults.decisions.parquet",
        "adults.parquet",
        "manifest.json",
        "too_many.decisions.parquet",
    ]
    for campaign in result["campaigns"]:
        decided = rows(project / "o" / f"{campaign['name']}.decisions.parquet")
        assert [row[0] for row in decided] == list(range(1000))
        reasons = [row[2] for row in decided]
        assert reasons.count("included") == campaign["included"]
        assert {reason: reasons.count(reason) for reason in REASONS} == campaign["excluded"]
    here("evaluate", "--decisions", cwd=project, code=2)


def test_a_sample_is_a_few_people_per_reason(project: Path, here: Run, here_json: Run) -> None:
    (found,) = here_json("evaluate", "adults", *AS_OF, "--sample", "2", cwd=project)["campaigns"]
    assert found["samples"]["not_in_audience"] == ["0", "1"]
    assert found["samples"]["suppressed"] == ["40", "990"]
    assert found["samples"]["channel_unsubscribed"] == ["20"]
    assert "over_target_cap" not in found["samples"]
    printed = here("evaluate", "adults", *AS_OF, "--sample", "2", cwd=project).stdout
    assert "  not_in_audience: 0, 1\n" in printed


def test_ignoring_a_no_shows_its_reason(project: Path, here: Run, here_json: Run) -> None:
    (found,) = here_json("evaluate", "receipts", *AS_OF, cwd=project)["campaigns"]
    assert found["ignore_unsubscribed"] == "the law asks for it"
    assert found["excluded"]["channel_unsubscribed"] == 0
    assert found["excluded"]["suppressed"] == 2
    assert "receipts ignores unsubscribed: the law asks for it" in here("evaluate", *AS_OF, cwd=project, code=1).stdout


def test_the_same_run_writes_the_same_bytes_with_any_number_of_threads(
    project: Path, here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("evaluate", "adults", "everyone", "receipts", *AS_OF, "--decisions", "--out")
    here(*arguments, "first", cwd=project)
    here(*arguments, "second", cwd=project)
    monkeypatch.setattr(runner, "DuckDB", lambda memory: DuckDB(memory, threads=1))
    here(*arguments, "third", cwd=project)
    assert len(files(project / "first")) == 7
    assert files(project / "first") == files(project / "second") == files(project / "third")


def test_a_large_audience_is_the_same_bytes_with_any_number_of_threads(tmp_path: Path) -> None:
    """Larger than what one thread sorts or writes at once."""
    root = write({**WORLD, "profiles": [], "facts": []}, tmp_path / "large")
    query = (
        "SELECT (i * 7919) % 400009 AS id, 'p' || i || '@example.com' AS email, i % 60 AS age FROM range(400000) t(i)"
    )
    duckdb.execute(f"COPY ({query}) TO '{root / 'profiles.parquet'}' (FORMAT parquet)")
    written = []
    for threads in (1, 4):
        project = engine.loaded_project(root)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(runner, "DuckDB", lambda memory, threads=threads: DuckDB(memory, threads=threads))
            written.append(engine.evaluated(project, WORLD["as_of"], ["adults"], root / f"out{threads}"))
    one, four = (files(root / f"out{threads}") for threads in (1, 4))
    assert one == four
    keys = [row[0] for row in rows(root / "out1" / "adults.parquet")]
    assert len(keys) > 200_000
    assert keys == sorted(keys)


def test_an_abort_leaves_no_audience_and_exit_code_1(project: Path, here: Run, here_json: Run) -> None:
    here("evaluate", "everyone", *AS_OF, "--out", "out", cwd=project)
    (project / "out" / "too_many.parquet").write_bytes(b"yesterday's")
    done = here("evaluate", *AS_OF, "--out", "out", cwd=project, code=1)
    assert "too_many" in done.stdout
    assert re.fullmatch(r"too_many: [0-9]+ people .* its target cap of 10; it has no audience\n", done.stderr)
    assert sorted(files(project / "out")) == [
        "adults.parquet",
        "everyone.parquet",
        "manifest.json",
        "receipts.parquet",
    ]
    (found,) = here_json("evaluate", "too_many", *AS_OF, cwd=project, code=1)["campaigns"]
    assert found["included"] == 0
    assert found["excluded"]["over_target_cap"] > 500


def test_an_unknown_campaign_is_wrong_usage(project: Path, here: Run) -> None:
    done = here("evaluate", "adult", "--out", "out", cwd=project, code=2)
    assert done.stderr == 'there is no campaign "adult"; did you mean "adults"?\n'
    assert not (project / "out").exists()


def test_a_project_without_campaigns_still_counts_its_people(project: Path, here_json: Run) -> None:
    shutil.rmtree(project / "campaigns")
    assert here_json("evaluate", *AS_OF, "--out", "out", cwd=project) == {
        "as_of": "2024-06-01T00:00:00.000000Z",
        "population": 1000,
        "campaigns": [],
    }
    assert sorted(files(project / "out")) == ["manifest.json"]


def test_nobody_at_all_is_a_population_of_none(tmp_path: Path, here_json: Run) -> None:
    root = write({**WORLD, "profiles": [], "facts": []}, tmp_path / "empty")
    result = here_json("evaluate", *AS_OF, "--out", "out", cwd=root)
    assert result["population"] == 0
    assert all({c["included"], *c["excluded"].values()} == {0} for c in result["campaigns"])
    assert rows(root / "out" / "adults.parquet") == []


def test_keys_are_ordered_by_value_where_they_are_integers_and_by_bytes_where_they_are_text(
    tmp_path: Path, here: Run
) -> None:
    keys = [10, 9, -1, 100, 2**40]
    texts = ["b", "a", "B", "é", "e\u0301", "10", "9", "\U0001f409", "\uffff", ""]
    for kind, given in (("integer", keys), ("text", texts)):
        world = {
            **WORLD,
            "columns": {"id": kind, "email": "text"},
            "profiles": [{"id": key, "email": f"{place}@example.com"} for place, key in enumerate(given)],
            "segments": {},
            "facts": [],
            "control_groups": {},
            "campaigns": {"all_of_them": {"channel": "email"}},
        }
        root = write(world, tmp_path / kind)
        here("evaluate", "--out", "out", cwd=root)
        found = [row[0] for row in rows(root / "out" / "all_of_them.parquet")]
        assert found == sorted(given, key=lambda key: key if isinstance(key, int) else key.encode())


def test_three_hundred_campaigns_at_once_are_what_a_few_at_a_time_are(tmp_path: Path) -> None:
    """Three blocks of one plan each, against plans of eleven."""
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
    offers = {"title": "Offers", "description": "D", "channel": "email", "default": "unsubscribed"}
    world = {
        **WORLD,
        "groups": {**WORLD["groups"], "offers": offers},
        "segments": segments,
        "campaigns": campaigns,
    }
    project = engine.loaded_project(write(world, tmp_path / "many"))
    names = list(campaigns)
    together = engine.evaluated(project, WORLD["as_of"], names, tmp_path / "together")
    assert len(together) == 300
    assert len({tuple(counts.values()) for counts in together.values()}) > 100

    few: dict[str, dict[str, int]] = {}
    audiences_of_few: dict[str, bytes] = {}
    for start in range(0, 300, 75):
        chosen = names[start + 2 : start + 13]
        few |= engine.evaluated(project, WORLD["as_of"], chosen, tmp_path / "few")
        audiences_of_few |= {name: data for name, data in files(tmp_path / "few").items() if name != "manifest.json"}
    assert few == {name: together[name] for name in few}
    assert len(audiences_of_few) == 44
    whole = files(tmp_path / "together")
    assert audiences_of_few == {name: whole[name] for name in audiences_of_few}


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
        "control_groups": {},
        "segments": {
            "numbers": {"property": "age", "in": list(range(500, 200_500, 2))},
            "texts": {"property": "code", "in": [f"'C{number}\"" for number in range(500, 200_500, 2)]},
            "not_texts": {"property": "code", "not_in": [f"'C{number}\"" for number in range(500, 200_500, 2)]},
        },
        "campaigns": {
            name: {"channel": "email", "audience": {"include": [name]}} for name in ("numbers", "texts", "not_texts")
        },
    }
    project = engine.loaded_project(write(world, tmp_path / "long"))
    counts = engine.evaluated(project, WORLD["as_of"], list(world["campaigns"]), None)
    left_out = {name: found["not_in_audience"] for name, found in counts.items()}
    assert left_out == {
        "numbers": 1000 - 250,
        "texts": 1000 - sum(number % 5 != 0 for number in range(500, 1000, 2)),
        "not_texts": 1000 - sum(number % 5 != 0 and (number < 500 or number % 2 != 0) for number in range(1000)),
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
    project = engine.loaded_project(write(world, tmp_path / "deep"))
    counts = engine.evaluated(project, WORLD["as_of"], list(world["campaigns"]), None)
    minors = sum(profile["age"] < 18 for profile in PROFILES)  # type: ignore[operator]
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
        "control_groups": {},
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
    root = write(world, tmp_path / "odd")
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


def test_the_newest_answers_count_whatever_as_of_says(project: Path, here_json: Run) -> None:
    with open_ledger("sqlite:///ledger.db", project) as ledger:
        before = ledger.mark().seq
    here_json("unsubscribe", "email", "--profile", "51", cwd=project)
    (found,) = here_json("evaluate", "adults", "--as-of", "2023-01-01", "--out", "out", cwd=project)["campaigns"]
    assert found["excluded"]["channel_unsubscribed"] == 2
    assert json.loads((project / "out" / "manifest.json").read_bytes())["ledger"]["seq"] == before + 1
