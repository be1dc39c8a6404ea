"""The roster: read in place of the profiles as long as they are the same, and never trusted after.

That it changes no decision is shown where decisions are: test_cases.py and test_decisions_property.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from click.testing import CliRunner
from sqlglot import exp

from engine import loaded_plugins, loaded_project, record, write_project, write_roster
from maysend import evaluation, explain, exporting, runner, snapshot
from maysend.cli import maysend
from maysend.errors import LedgerError, SourceError
from maysend.events import Fact
from maysend.ledger import Subject, open_ledger
from maysend.model import Source

NOW = datetime(2024, 6, 1, tzinfo=UTC)
AT = "2024-01-01T00:00:00+00:00"
WORLD: Mapping[str, Any] = {
    "columns": {"id": "integer", "email": "text", "tags": "list of text"},
    "profiles": [
        {"id": 1, "email": "A@example.com", "tags": ["x", "y"]},
        {"id": 2, "email": " a@example.com", "tags": []},
        {"id": 3, "email": "b@example.com", "tags": None},
        {"id": 4, "email": "nothing", "tags": ["z", None]},
    ],
    "channels": {"email": {"type": "email", "address": "email"}},
    "groups": {name: {"channel": "email", "default": "subscribed"} for name in ("news", "offers")},
    "segments": {"tagged": {"property": "tags", "has_any": ["x", "z"]}, "untagged": {"not": {"segment": "tagged"}}},
    "campaigns": {
        "all": {"channel": "email", "subscription_groups": {"all": ["news"]}},
        "tagged": {"channel": "email", "audience": {"include": ["tagged"]}},
        "untagged": {"channel": "email", "audience": {"include": ["untagged"]}},
    },
    "facts": [
        {
            "channel": "email",
            "group": "news",
            "answer": "unsubscribed",
            "profile": "1",
            "at": AT,
        }
    ],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_project(WORLD, tmp_path)
    record(WORLD, tmp_path)
    write_roster(tmp_path)
    return tmp_path


def uses(root: Path) -> bool:
    with runner.opened(loaded_project(root), NOW, loaded_plugins()) as run:
        return run.catalog.roster is not None


def decided(root: Path) -> dict[str, dict[str, str]]:
    return runner.decide(loaded_project(root), NOW, loaded_plugins())


def append(root: Path, *, group: str | None = None, **of: Any) -> None:
    with open_ledger("sqlite:///ledger.db", root) as ledger:
        ledger.append([Fact(channel="email", group=group, subscribed=False, source="page", **of)])


def test_it_is_read_and_decides_the_same(root: Path) -> None:
    assert uses(root)
    by_roster = decided(root)
    assert by_roster["all"] == {"1": "group_unsubscribed", "2": "included", "3": "included", "4": "no_address"}
    assert by_roster["tagged"] == {"1": "included", "2": "not_in_audience", "3": "not_in_audience", "4": "no_address"}
    assert by_roster["untagged"]["2"] == by_roster["untagged"]["3"] == "included"
    (root / ".maysend" / "roster.json").unlink()
    assert not uses(root)
    assert decided(root) == by_roster


@pytest.mark.parametrize("who", [{"profile": "2"}, {"address": "a@example.com"}])
def test_who_says_no_after_it_is_left_out(root: Path, who: dict[str, str]) -> None:
    append(root, group="news", **who)
    append(root, **who)
    assert uses(root)
    found = decided(root)
    assert found["all"]["2"] == "channel_unsubscribed"
    assert found["all"]["1"] == ("group_unsubscribed" if "profile" in who else "channel_unsubscribed")
    with runner.opened(loaded_project(root), NOW, loaded_plugins()) as run:
        (explained,) = explain.explain(run, runner.chosen(run.project, ["all"]), "2")
    assert explained.reason == "channel_unsubscribed"


def test_a_suppressed_address_is_left_out_whenever_it_bounced(root: Path) -> None:
    append(root, address="b@example.com", type="bounced")
    assert decided(root)["all"]["3"] == "suppressed"
    write_roster(root)
    assert uses(root)
    assert decided(root)["all"]["3"] == "suppressed"


def test_other_profiles_are_not_those_it_knows(root: Path) -> None:
    duckdb.execute(f"COPY (FROM '{root}/profiles.parquet' WHERE id < 3) TO '{root}/fewer.parquet'")
    os.replace(root / "fewer.parquet", root / "profiles.parquet")
    assert not uses(root)
    assert decided(root)["all"].keys() == {"1", "2"}


def test_what_is_declared_since_is_worked_out_in_the_run(root: Path) -> None:
    """A group it has no bits for, a default it does not hold, and a channel whose addresses it has not."""
    groups = root / "subscription_groups"
    (groups / "later.yaml").write_text("title: Later\nchannel: email\ndefault: unsubscribed\n", encoding="utf-8")
    (groups / "offers.yaml").write_text(
        "title: Offers\nchannel: email\ndefault: unsubscribed\nacknowledge: meant\n", encoding="utf-8"
    )
    (root / "channels" / "texts.yaml").write_text("type: sms\naddress: email\n", encoding="utf-8")
    for name, group in (("later", "later"), ("offers", "offers")):
        text = f"title: {name}\nchannel: email\nsubscription_groups: {{all: [{group}]}}\n"
        (root / "campaigns" / f"{name}.yaml").write_text(text, encoding="utf-8")
    (root / "campaigns" / "text.yaml").write_text("title: Text\nchannel: texts\n", encoding="utf-8")
    assert uses(root)
    found = decided(root)
    assert set(found["later"].values()) == set(found["offers"].values()) == {"group_unsubscribed", "no_address"}
    assert found["all"]["2"] == "included"
    assert set(found["text"].values()) == {"no_address"}


def test_another_key_is_another_table(root: Path) -> None:
    project = yaml.safe_load((root / "project.yaml").read_text(encoding="utf-8"))
    project["profiles"]["key"] = "email"
    (root / "project.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
    assert not uses(root)


def test_it_goes_when_somebody_is_erased(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAYSEND_ERASURE_KEY", "a secret that is never rotated")
    with open_ledger("sqlite:///ledger.db", root) as ledger:
        ledger.erase([Subject("email", "profile", "1")])
    assert not uses(root)
    snapshot.forget(root / ".maysend")
    assert not list((root / ".maysend").glob("roster*"))


def test_a_column_may_have_any_name(tmp_path: Path) -> None:
    world = {**WORLD, "columns": {**WORLD["columns"], "hash": "text"}}
    write_project(world, tmp_path)
    record(world, tmp_path)
    write_roster(tmp_path)
    assert uses(tmp_path)


def test_a_column_of_the_profiles_is_never_taken_for_one_of_its_own(tmp_path: Path) -> None:
    """It numbers the values of ``children`` in a column of a name that the profiles may have, too."""
    columns = {**WORLD["columns"], "children": "text", "Number of children": "integer"}
    profiles = [{**one, "children": "no", "Number of children": 2} for one in WORLD["profiles"]]
    world = {**WORLD, "columns": columns, "profiles": profiles}
    write_project(world, tmp_path)
    record(world, tmp_path)
    with pytest.raises(SourceError, match='"number of children" has a name that a roster needs; rename it'):
        write_roster(tmp_path)
    assert not list((tmp_path / ".maysend").glob("roster*"))


def test_what_others_keep_beside_is_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [root / ".maysend" / name for name in ("answers.csv", "answers-of-2024.csv", "roster-v1.xlsx")]
    for file in (*kept, root / ".maysend" / "roster-5-0123abcd.duckdb.wal"):
        file.write_text("ours", "utf-8")
        os.utime(file, (0, 0))
    write_roster(root)
    write_roster(root)
    write_roster(root)
    monkeypatch.setenv("MAYSEND_ERASURE_KEY", "a secret that is never rotated")
    assert CliRunner().invoke(maysend, ["--project", str(root), "erase", "--profile", "1"]).exit_code == 0
    assert sorted(file for file in (root / ".maysend").glob("*") if file.suffix != ".db") == sorted(kept)


def test_erasing_reaches_the_snapshots_from_before_another_engine(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list((root / ".maysend").glob("roster*"))
    project = yaml.safe_load((root / "project.yaml").read_text(encoding="utf-8"))
    project["engine"] = {"type": "spark", "master": "local[1]", "snapshots": "elsewhere"}
    (root / "project.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
    monkeypatch.setenv("MAYSEND_ERASURE_KEY", "a secret that is never rotated")
    assert CliRunner().invoke(maysend, ["--project", str(root), "erase", "--address", "b@example.com"]).exit_code == 0
    assert not list((root / ".maysend").glob("roster*"))


@pytest.mark.parametrize("broken", ["", "{}", "[]", '{"format": 1}'])
def test_a_broken_one_is_not_used(root: Path, broken: str) -> None:
    (root / ".maysend" / "roster.json").write_text(broken, encoding="utf-8")
    assert not uses(root)


def test_a_file_that_was_tampered_with_is_not_used(root: Path) -> None:
    told = json.loads((root / ".maysend" / "roster.json").read_text(encoding="utf-8"))
    with (root / ".maysend" / told["file"]).open("ab") as file:
        file.write(b" ")
    assert not uses(root)


def test_a_replay_reads_none(root: Path) -> None:
    with runner.opened(loaded_project(root), NOW, loaded_plugins(), until=0) as run:
        assert run.catalog.roster is None
        (outcome,) = evaluation.evaluate(run, runner.chosen(run.project, ["all"])).outcomes
    assert outcome.counts["group_unsubscribed"] == 0


def test_a_csv_with_declared_columns_is_kept_as_declared(root: Path) -> None:
    duckdb.execute(f"COPY (SELECT id, email FROM '{root}/profiles.parquet') TO '{root}/profiles.csv'")
    project = yaml.safe_load((root / "project.yaml").read_text(encoding="utf-8"))
    project["profiles"] |= {"source": "profiles.csv", "columns": {"id": "integer"}}
    (root / "project.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
    for name in ("tagged", "untagged"):
        (root / "campaigns" / f"{name}.yaml").unlink()
        (root / "segments" / f"{name}.yaml").unlink()
    write_roster(root)
    assert uses(root)
    assert decided(root)["all"]["1"] == "group_unsubscribed"


def test_columns_are_of_the_same_kinds_in_a_roster(root: Path) -> None:
    columns = "1::HUGEINT AS wide, 'a'::ENUM('a', 'b') AS one_of, {'x': 1.5} AS place, 1.5::FLOAT AS score"
    (root / "wide.sql").write_text(f"SELECT *, {columns} FROM 'profiles.parquet'", encoding="utf-8")
    project = yaml.safe_load((root / "project.yaml").read_text(encoding="utf-8"))
    project |= {"profiles": {"source": "wide.sql", "key": "id"}, "folders": ["."]}
    (root / "project.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
    write_roster(root)
    with runner.opened(loaded_project(root), NOW, loaded_plugins()) as run:
        assert run.catalog.roster
        told = json.loads((root / ".maysend/roster.json").read_text(encoding="utf-8"))
        kept = run.backend.local.open_kept("again", root / ".maysend" / told["file"])
        assert {name: kept[name] for name in run.catalog.profiles or {}} == run.catalog.profiles


def test_a_roster_that_is_no_database_is_not_used(root: Path) -> None:
    write_roster(root)
    told = json.loads((root / ".maysend/roster.json").read_text(encoding="utf-8"))
    file = root / ".maysend" / told["file"]
    file.write_bytes(b"cut short")
    stat = file.stat()
    told["stamp"] = [stat.st_ino, stat.st_size, stat.st_mtime_ns]
    (root / ".maysend/roster.json").write_text(json.dumps(told), encoding="utf-8")
    assert not uses(root)


def test_the_command_says_what_it_wrote(root: Path) -> None:
    done = CliRunner().invoke(maysend, ["--project", str(root), "roster"])
    assert done.exit_code == 0, done.output
    assert "4 profiles in roster-1-" in done.output
    assert "up to event 1" in done.output
    told = json.loads(CliRunner().invoke(maysend, ["--project", str(root), "roster", "--json"]).stdout)
    assert told["profiles"] == 4
    plan = CliRunner().invoke(maysend, ["--project", str(root), "evaluate", "--explain-plan"]).stdout
    assert "answers on email: from the roster, none changed since" in plan


TWO_ADDRESSES: Mapping[str, Any] = WORLD | {
    "columns": {"id": "integer", "email": "text", "work": "text"},
    "profiles": [{"id": n, "email": f"own{n}@example.com", "work": f"work{n}@example.com"} for n in range(1, 60)],
    "channels": {name: {"type": "email", "address": name} for name in ("email", "work")},
    "control_groups": {"system": {"percent": 40, "salt": "s1"}},
    "segments": {},
    "campaigns": {"all": {"channel": "email", "subscription_groups": {"all": ["news"]}}},
    "facts": [
        {"channel": "email", "group": None, "answer": "unsubscribed", "address": f"{kind}@example.com", "at": AT}
        for kind in ("own1", "work2", "own3")
    ],
}


def test_a_channel_that_moved_to_another_address_is_folded_anew(tmp_path: Path) -> None:
    """What was answered by one address is no answer of another."""
    write_project(TWO_ADDRESSES, tmp_path)
    record(TWO_ADDRESSES, tmp_path)
    write_roster(tmp_path)
    before = decided(tmp_path)
    (tmp_path / "channels/email.yaml").write_text("type: email\naddress: work\n", encoding="utf-8")
    assert uses(tmp_path)
    by_roster = decided(tmp_path)
    (tmp_path / ".maysend/roster.json").unlink()
    assert decided(tmp_path) == by_roster != before


def test_addresses_of_a_plugin_that_normalized_otherwise_are_not_read(tmp_path: Path) -> None:
    """They go by the name of those that are worked out in their place."""
    world = TWO_ADDRESSES | {
        "profiles": [{"id": n, "email": f"Own{n}@example.com", "work": None} for n in range(1, 6)],
        "control_groups": {},
        "segments": {"reading": {"subscription_groups": {"include": ["news"]}}},
        "campaigns": {
            "all": {
                "channel": "email",
                "audience": {"include": ["reading"]},
                "subscription_groups": {"all": ["offers"]},
            }
        },
    }
    write_project(world, tmp_path)
    record(world, tmp_path)
    found = loaded_plugins()
    as_found = replace(found.channel_types["email"], address=())
    types = {"register_channel_types": {**found.channel_types, "email": as_found}}
    older = replace(found, registered={**found.registered, **types})
    with runner.opened(loaded_project(tmp_path), NOW, older, roster=False) as run:
        run.write_roster()
    assert uses(tmp_path)
    by_roster = decided(tmp_path)
    (tmp_path / ".maysend/roster.json").unlink()
    assert by_roster == decided(tmp_path)
    assert by_roster["all"]["2"] == "included"
    assert by_roster["all"]["1"] != "included"


@pytest.mark.parametrize("place", ["maysend.runner.open_sources", "maysend.rosters.publish"])
def test_who_is_erased_meanwhile_is_not_overlooked(root: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Between a look at the ledger and the next: nobody has the erased person's no by then."""
    monkeypatch.setenv("MAYSEND_ERASURE_KEY", "a secret that is never rotated")
    module, _, name = place.rpartition(".")
    original = getattr(import_module(module), name)

    def erase_first(*arguments: Any) -> Any:
        with open_ledger("sqlite:///ledger.db", root) as ledger:
            ledger.erase([Subject("email", "profile", "3")])
        return original(*arguments)

    run: Callable[[Path], object] = decided if place.startswith("maysend.runner") else write_roster
    with monkeypatch.context() as patched:
        patched.setattr(place, erase_first)
        with pytest.raises(LedgerError, match="somebody was erased while the"):
            run(root)
    assert not uses(root)
    assert run is decided or not list((root / ".maysend").glob("roster*"))
    assert decided(root)["untagged"]["3"] == "channel_unsubscribed"


def test_export_reads_it(root: Path) -> None:
    """It has the addresses already: there are no two columns of a name."""
    with runner.opened(loaded_project(root), NOW, loaded_plugins()) as run:
        assert run.catalog.roster
        file = root / "profiles.csv"
        exporting.write_subscription_groups(file, run.project, run.plugins.channel_types, run.catalog, run.backend)
        assert run.backend.rows(exp.select("*").from_(exp.to_table('"people"')).limit(0)) == []
        names = run.backend.local.open("written", Source(str(file), str(file)))
    assert list(names) == ["id", "news", "offers"]
