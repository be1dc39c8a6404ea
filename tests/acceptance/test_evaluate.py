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
from maysend.backends import backend
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


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return engine.write(WORLD, tmp_path_factory.mktemp("evaluate") / "project")


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
    monkeypatch.setattr(backend, "DuckDB", lambda memory: DuckDB(memory, threads=1))
    here(*arguments, "third", cwd=project)
    assert len(files(project / "first")) == 7
    assert files(project / "first") == files(project / "second") == files(project / "third")


def test_a_large_audience_is_the_same_bytes_with_any_number_of_threads(tmp_path: Path) -> None:
    """Larger than what one thread sorts or writes at once."""
    root = engine.write({**WORLD, "profiles": [], "facts": []}, tmp_path / "large")
    query = (
        "SELECT (i * 7919) % 400009 AS id, 'p' || i || '@example.com' AS email, i % 60 AS age FROM range(400000) t(i)"
    )
    duckdb.execute(f"COPY ({query}) TO '{root / 'profiles.parquet'}' (FORMAT parquet)")
    written = []
    for threads in (1, 4):
        project = engine.loaded_project(root)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(backend, "DuckDB", lambda memory, threads=threads: DuckDB(memory, threads=threads))
            written.append(engine.evaluated(project, WORLD["as_of"], ["adults"], root / f"out{threads}"))
    one, four = (files(root / f"out{threads}") for threads in (1, 4))
    assert one == four
    keys = [row[0] for row in rows(root / "out1" / "adults.parquet")]
    assert len(keys) > 200_000
    assert keys == sorted(keys)


def test_an_abort_leaves_no_audience_and_exit_code_1(project: Path, here: Run, here_json: Run) -> None:
    here("evaluate", *AS_OF, "--out", "out", cwd=project, code=1)
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
    root = engine.write({**WORLD, "profiles": [], "facts": []}, tmp_path / "empty")
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
        root = engine.write(world, tmp_path / kind)
        here("evaluate", "--out", "out", cwd=root)
        found = [row[0] for row in rows(root / "out" / "all_of_them.parquet")]
        assert found == sorted(given, key=lambda key: key if isinstance(key, int) else key.encode())


def test_the_newest_answers_count_whatever_as_of_says(project: Path, here_json: Run) -> None:
    with open_ledger("sqlite:///ledger.db", project) as ledger:
        before = ledger.mark().seq
    here_json("unsubscribe", "email", "--profile", "51", cwd=project)
    (found,) = here_json("evaluate", "adults", "--as-of", "2023-01-01", "--out", "out", cwd=project)["campaigns"]
    assert found["excluded"]["channel_unsubscribed"] == 2
    assert json.loads((project / "out" / "manifest.json").read_bytes())["ledger"]["seq"] == before + 1


def test_a_title_is_shown_as_it_is(tmp_path: Path, maysend: Run) -> None:
    """Brackets are markup to what prints tables."""
    maysend("init", "shop", cwd=tmp_path)
    settings = tmp_path / "shop" / "project.yaml"
    title = next(line for line in settings.read_text("utf-8").splitlines() if line.startswith("title: "))
    settings.write_text(settings.read_text("utf-8").replace(title, 'title: "Shop [/EU] [bold]"'), "utf-8")
    assert maysend("evaluate", "--no-audiences", cwd=tmp_path / "shop").stdout.startswith("Shop [/EU] [bold], as of ")


@pytest.mark.parametrize("manifest", ['{"maysend": "0.1.0"}', '{"maysend": "0.1.0", "campaigns": [{}]}', "[]"])
def test_what_only_looks_like_a_result_is_left_alone(tmp_path: Path, maysend: Run, manifest: str) -> None:
    maysend("init", "shop", cwd=tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text(manifest, "utf-8")
    done = maysend("evaluate", "--out", tmp_path / "out", cwd=tmp_path / "shop", code=1)
    assert done.stderr.endswith("out: holds files that maysend did not write; choose another --out\n")
    told = maysend("evaluate", "--out", "/", cwd=tmp_path / "shop", code=1).stderr
    assert told == "/: holds all files there are; choose another --out\n"
