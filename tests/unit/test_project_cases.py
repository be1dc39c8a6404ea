"""Cases of a project: decided side by side as each is by itself, and by hand; what they notice, and what is wrong."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings

import oracle
from drawing import World, worlds
from engine import loaded_plugins, loaded_project, write_project
from maysend import cases, loader
from maysend.cases.mutating import mutations

PROJECT = {
    "project.yaml": """\
profiles: {source: people.csv, key: id, columns: {id: integer, email: text, country: text, joined: date}}
events:
  Charged: {source: purchases.csv, profile: who, at: at, columns: {who: integer, at: timestamp, amount: decimal}}
sends: {source: sends.csv, profile: who, channel: channel, at: at, columns: {who: integer, at: timestamp}}
""",
    "channels/email.yaml": "{type: email, address: email}",
    "subscription_groups/news.yaml": "{title: News, channel: email, default: subscribed}",
    "subscription_groups/beta.yaml": "{title: Beta, channel: email, default: unsubscribed}",
    "segments/buyers.yaml": """\
where:
  all:
    - {did: Charged, count: {at_least: 2}, within: {last: 30 days}}
    - {property: country, in: [US, CA]}
""",
    "segments/insiders.yaml": "where: {in_list: {source: /data/insiders.csv, column: id}}",
    "campaigns/offer.yaml": """\
channel: email
audience: {include: [buyers], exclude: [insiders]}
subscription_groups: {all: [news]}
""",
    "campaigns/few.yaml": "{channel: email, target_cap: {at_most: 1, when_exceeded: sample, salt: s}}",
}
CASE = """\
as_of: 2024-06-01
cases:
  - name: two purchases in thirty days
    profiles:
      - {id: 1, email: a@example.com, country: US}
      - {id: 2, email: b@example.com, country: CA}
      - {id: 3, email: c@example.com, country: US}
    events:
      Charged:
        - {who: 1, at: 2024-05-02}
        - {who: 1, at: 2024-05-20}
        - {who: 2, at: 2024-05-20T10:00}
        - {who: 2, at: 2024-05-21}
        - {who: 3, at: 2024-05-01}
        - {who: 3, at: 2024-05-21}
    answers: [{profile: 2, group: news, status: unsubscribed}]
    members: {buyers: [1, 2]}
    expect:
      offer: {included: [1], excluded: {2: group_unsubscribed, 3: not_in_audience}}
"""


def project(root: Path, **changed: str) -> Path:
    for name, text in {**PROJECT, **changed}.items():
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_text(text, "utf-8")
    return root


def read(root: Path) -> tuple[cases.Settings, cases.Read]:
    loaded = loader.load(root, loaded_plugins())
    found = cases.read(loaded, loaded_plugins(), offline=True)
    return cases.Settings(loaded, loaded_plugins(), found.tables), found


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in read(root)[1].problems]


def got(root: Path) -> list[tuple[str, str, str, str]]:
    """The differences of every case: campaign or segment, profile, expected, got."""
    settings, found = read(root)
    assert not found.problems
    return [
        (one.expectation.name, one.profile, one.expected, one.got)
        for result in cases.run(settings, found.cases)
        for one in result.differences
    ]


@pytest.mark.parametrize("number", range(2))
def test_cases_side_by_side_are_decided_as_the_oracle_decides_each(number: int) -> None:
    patient = settings(
        max_examples=8, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    seed(number)(patient(given(world=worlds())(agree)))()


@pytest.mark.soak
@pytest.mark.parametrize("number", range(100, 108))
def test_cases_side_by_side_are_decided_as_the_oracle_decides_each_at_length(number: int) -> None:
    test_cases_side_by_side_are_decided_as_the_oracle_decides_each(number)


def agree(world: World) -> None:
    """A world's profiles dealt out to cases that share addresses, answers and draws."""
    parts = [part for part in dealt(world) if part["profiles"]]
    if not parts:
        return
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        write_project(world, root)
        (root / "tests").mkdir()
        file = {"as_of": world["as_of"], "cases": [as_case(part, number) for number, part in enumerate(parts)]}
        (root / "tests" / "all.yaml").write_text(yaml.dump(file, Dumper=Quoted, allow_unicode=True), "utf-8")
        loaded = loaded_project(root)
        found = cases.read(loaded, loaded_plugins(), offline=False)
        assert not found.problems, list(map(str, found.problems))
        results = cases.run(cases.Settings(loaded, loaded_plugins(), found.tables), found.cases)
    assert [one for result in results for one in result.differences] == []


def dealt(world: World) -> list[World]:
    """Some of the profiles each, all of them, and the odd ones without their lists."""
    people = world["profiles"]
    some = [(people[:3], True), (people, True), (people[1::2], False), (people[2:], False), (people, False)]
    return [part(world, chosen, lists=lists) for chosen, lists in some]


def part(world: World, people: list[Any], *, lists: bool) -> World:
    keys = {str(profile["id"]) for profile in people}

    def theirs(table: Any) -> Any:
        rows = [row for row in table["rows"] if str(row.get(table["profile"])) in keys]
        return {**table, "rows": rows}

    return World(
        world,
        profiles=people,
        events={name: theirs(table) for name, table in world["events"].items()},
        sends=theirs(world["sends"]),
        facts=[said for fact in world["facts"] if (said := answer(fact)).get("profile") in (None, *keys)],
        lists={name: {**table, "rows": table["rows"] if lists else []} for name, table in world["lists"].items()},
    )


def answer(fact: dict[str, Any]) -> dict[str, Any]:
    """An answer as a case can have it: what came back came from an address."""
    profile = {"profile": str(fact["profile"])} if "profile" in fact else {}
    return fact | profile | {"type": fact["type"] if fact.get("address") else None}


def as_case(world: World, number: int) -> dict[str, Any]:
    """A world as a case that expects what the oracle decides."""
    expect: dict[str, Any] = {}
    for campaign, reasons in oracle.decide(world).items():
        included = [key for key, reason in reasons.items() if reason == "included"]
        excluded = {str(key): reason for key, reason in reasons.items() if reason != "included"}
        expect[campaign] = {"included": included, "excluded": excluded}
    answers = [
        {"status": fact["answer"], "occurred_at": fact["at"]}
        | {name: fact[name] for name in ("channel", "group", "address", "profile", "type") if fact.get(name)}
        for fact in world["facts"]
    ]
    used = str(world["segments"])
    lists = {name: plain(table["rows"], table["columns"]) for name, table in world["lists"].items() if name in used}
    return {
        "name": f"part {number}",
        "profiles": plain(world["profiles"], world["columns"]),
        "events": {name: plain(table["rows"], table["columns"]) for name, table in world["events"].items()},
        "sends": plain(world["sends"]["rows"], world["sends"]["columns"]),
        "answers": answers,
        "lists": {name: rows for name, rows in lists.items() if rows},
        "expect": expect,
    }


def plain(rows: Any, columns: Any) -> list[dict[str, Any]]:
    """Rows as a person would write them in YAML."""

    def written(value: Any, kind: str) -> Any:
        if kind in ("number", "decimal") and value is not None:
            number = float(value)
            return None if math.isnan(number) else number
        if kind.startswith("list of ") and value is not None:
            return [written(item, kind.removeprefix("list of ")) for item in value]
        return str(value) if kind in ("date", "timestamp", "instant") and value is not None else value

    return [{name: written(value, columns[name]) for name, value in row.items()} for row in rows]


class Quoted(yaml.SafeDumper):
    """Writes every text in quotes, and nothing as an alias."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - yaml's signature
        return True


Quoted.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def test_a_case_that_holds_says_nothing(tmp_path: Path) -> None:
    assert got(project(tmp_path, **{"tests/offer.yaml": CASE})) == []


def test_a_case_that_fails_says_what_it_expected(tmp_path: Path) -> None:
    text = CASE.replace("included: [1]", "included: [2]").replace("2: group_unsubscribed, ", "")
    text = text.replace("buyers: [1, 2]", "buyers: [1, 3]").replace("3: not_in_audience", "3: no_address")
    assert got(project(tmp_path, **{"tests/offer.yaml": text})) == [
        ("buyers", "2", "not a member", "a member"),
        ("buyers", "3", "a member", "not a member"),
        ("offer", "1", "left out", "included"),
        ("offer", "2", "included", "group_unsubscribed"),
        ("offer", "3", "no_address", "not_in_audience"),
    ]
    settings_, found = read(tmp_path)
    (result,) = cases.run(settings_, found.cases)
    said = {
        one.profile: whole for one, whole in cases.explained(settings_, result).items() if one.expected == "included"
    }
    checks = {check.check: (check.passed, check.detail) for check in said["2"].checks}
    assert checks["group_unsubscribed"] == (False, "left 'News' on 1 June 2024 by import")


def test_a_target_cap_binds_in_each_case_by_itself(tmp_path: Path) -> None:
    people = "profiles: [{id: 1, email: a@example.com}, {id: 2, email: b@example.com}]"
    one = "profiles: [{id: 1, email: a@example.com}]"
    text = f"""\
as_of: 2024-06-01
cases:
  - {{name: one of two, {people}, expect: {{few: {{excluded: {{1: over_target_cap}}}}}}}}
  - {{name: the first alone, {one}, expect: {{few: {{included: [1]}}}}}}
  - {{name: the first alone again, {one}, expect: {{few: {{included: [1]}}}}}}
"""
    drawn = got(project(tmp_path, **{"tests/few.yaml": text}))
    other = text.replace("1: over_target_cap", "2: over_target_cap")
    assert len(drawn) + len(got(project(tmp_path, **{"tests/few.yaml": other}))) == 1


def test_a_list_is_what_the_case_says_and_no_file(tmp_path: Path) -> None:
    text = """\
as_of: 2024-06-01
cases:
  - {name: listed, profiles: [{id: 1}, {id: 2}], lists: {/data/insiders.csv: [{id: 2}]}, members: {insiders: [2]}}
  - {name: not listed, profiles: [{id: 1}, {id: 2}], members: {insiders: []}}
"""
    assert got(project(tmp_path, **{"tests/insiders.yaml": text})) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("offer: {", "ofer: {", 'tests/offer.yaml:19:7: unknown campaign "ofer"; did you mean "offer"?'),
        ("buyers: [", "byers: [", 'tests/offer.yaml:17:15: unknown segment "byers"; did you mean "buyers"?'),
        ("Charged:", "Chaged:", 'tests/offer.yaml:9:7: unknown event "Chaged"; did you mean "Charged"?'),
        (
            "group: news",
            "group: nws",
            'tests/offer.yaml:16:15: there is no subscription group "nws"; did you mean "news"?',
        ),
        ("profile: 2,", "profile: 7,", 'tests/offer.yaml:16:25: the case has no profile "7"; known: 1, 2, 3'),
        ("included: [1]", "included: [4]", 'tests/offer.yaml:19:26: the case has no profile "4"; known: 1, 2, 3'),
        ("included: [1]", "included: [1, 2]", 'tests/offer.yaml:19:44: "2" is among the included, too'),
        ("{id: 3, email", "{id: 2, email", 'tests/offer.yaml:7:14: profile "2" is there already'),
        ("{id: 3, email", "{email", 'tests/offer.yaml:7:9: a profile needs its key, "id"'),
        (
            "country: CA",
            "country: CA, joined: soon",
            'tests/offer.yaml:6:60: "joined" is of type date, and "soon" is not',
        ),
        (
            "{who: 3, at: 2024-05-01}",
            "{who: 3, at: 2024-02-31}",
            'tests/offer.yaml:14:24: "at" "2024-02-31" is not a date or time such as 2024-01-31 or 2024-01-31T18:30',
        ),
        (
            "{who: 3, at: 2024-05-01}",
            "{at: 2024-05-01}",
            'tests/offer.yaml:14:11: needs "who": the profile whose it is',
        ),
        (
            "as_of: 2024-06-01\n",
            "",
            'tests/offer.yaml:2:11: "two purchases in thirty days" needs "as_of", here or at the top of the file',
        ),
        ("not_in_audience", "not_in_audiance", 'did you mean "not_in_audience"?'),
    ],
)
def test_a_mistake_in_a_case_is_told_with_its_place(old: str, new: str, problem: str, tmp_path: Path) -> None:
    assert old in CASE
    found = problems(project(tmp_path, **{"tests/offer.yaml": CASE.replace(old, new, 1)}))
    assert any(problem in one for one in found), found


def test_a_column_that_the_source_lacks_is_a_problem(tmp_path: Path) -> None:
    files = {"people.csv": "id,email,country,joined\n", "tests/offer.yaml": CASE.replace("country: CA", "zip: A")}
    loaded = loader.load(project(tmp_path, **files), loaded_plugins())
    (problem,) = cases.read(loaded, loaded_plugins(), offline=False).problems
    assert str(problem) == 'tests/offer.yaml:6:39: people.csv has no column "zip"; it has country, email, id, joined'


def test_an_answer_names_its_channel_where_there_are_several(tmp_path: Path) -> None:
    files = {"channels/sms.yaml": "{type: sms, address: country}", "tests/offer.yaml": CASE}
    assert problems(project(tmp_path, **files)) == [
        'tests/offer.yaml:16:15: there are several channels; add "channel" with one of email, sms'
    ]
    (tmp_path / "tests/offer.yaml").write_text(CASE.replace("{profile: 2, group", "{profile: 2, channel: email, group"))
    assert problems(tmp_path) == []


def test_a_case_that_expects_nothing_is_a_problem(tmp_path: Path) -> None:
    text = CASE[: CASE.index("    members")]
    (problem,) = problems(project(tmp_path, **{"tests/offer.yaml": text}))
    assert "expects nothing" in problem


def test_types_that_nobody_declares_come_from_values_and_conditions(tmp_path: Path) -> None:
    bare = "profiles: {source: people.parquet, key: id}\nevents: {Charged: {source: p.parquet, profile: who, at: at}}\n"
    segment = """\
where:
  all:
    - {property: joined, within: {last: 1 year}}
    - {property: tags, has_any: [a]}
    - {did: Charged, sum: {of: amount, at_least: 1.5}}
    - {property: nick, starts_with: A}
"""
    case = """\
as_of: 2024-06-01
cases:
  - name: typed
    profiles: [{id: a, email: a@example.com, joined: 2024-01-01, tags: [a, b], nick: Ada}, {id: b, nick: 2024-01-01}]
    events: {Charged: [{who: a, at: 2024-05-01, amount: 1}, {who: a, at: 2024-05-01T10:00, amount: 0.5}]}
    members: {buyers: [a]}
"""
    files = {"project.yaml": bare, "segments/buyers.yaml": segment, "tests/typed.yaml": case}
    root = project(tmp_path, **files)
    (root / "campaigns" / "offer.yaml").unlink()
    _, found = read(root)
    types = {name: str(type_) for table in found.tables.types.values() for name, type_ in table.items()}
    assert types == {
        "id": "text", "email": "text", "joined": "date", "tags": "list of text", "nick": "text",
        "who": "text", "at": "timestamp", "amount": "float",
    }  # fmt: skip
    assert len(found.tables.inferred) == 8
    assert got(root) == []


def test_each_mutation_is_noticed_by_the_case_that_tests_it(tmp_path: Path) -> None:
    settings_, found = read(project(tmp_path, **{"tests/offer.yaml": CASE}))
    survivors = [str(problem) for problem in cases.mutate(settings_, found.cases).survivors]
    assert survivors == [
        "campaigns/offer.yaml:2:41: without insiders",
        "segments/buyers.yaml:4:7: without {property: country, in: [US, CA]}",
    ]


def test_mutations_are_of_every_part_of_a_condition(tmp_path: Path) -> None:
    loaded = loader.load(project(tmp_path), loaded_plugins())
    found = {str(one.place) for one in mutations(loaded)}
    assert found >= {
        "segments/buyers.yaml:3:7: without {did: Charged, count: {at_least: 2}, within: {last: 30 days}}",
        "segments/buyers.yaml:3:7: the opposite of {did: Charged, count: {at_least: 2}, within: {last: 30 days}}",
        "segments/buyers.yaml:3:40: greater_than in place of at_least",
        "segments/buyers.yaml:4:7: without {property: country, in: [US, CA]}",
        "segments/buyers.yaml:4:32: without US",
        "campaigns/offer.yaml:2:22: to everyone, not buyers alone",
        "campaigns/offer.yaml:3:1: without subscription_groups",
        "campaigns/few.yaml:1:18: without target_cap",
    }
