"""The same people from every kind of source: CSV, JSON, Parquet, globs, Hive partitions, structs, a ``.sql`` file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from maysend import loader, plugins, runner
from maysend.errors import InvalidProjectError, SourceError
from maysend.events import Fact
from maysend.ledger import open_ledger

PEOPLE = """
    SELECT * FROM (VALUES
        (1, 'a@x.org', 'FR', 30, 'Paris'), (2, 'b@x.org', 'FR', NULL, 'Lyon'), (3, 'c@x.org', 'DE', 50, 'Bonn')
    ) AS t(id, email, country, age, city)
"""
TYPES = "columns: {id: integer, age: integer}"


def copy(query: str, file: Path, options: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{file}' ({options})").fetchall()


def csv(root: Path) -> str:
    copy(PEOPLE, root / "people.csv", "FORMAT csv, HEADER")
    return f"{{source: people.csv, key: id, {TYPES}}}"


def json(root: Path) -> str:
    copy(PEOPLE, root / "people.json", "FORMAT json")
    return "{source: people.json, key: id}"


def parquet(root: Path) -> str:
    copy(PEOPLE, root / "people.parquet", "FORMAT parquet")
    return "{source: people.parquet, key: id}"


def glob(root: Path) -> str:
    for number in (1, 2, 3):
        copy(f"SELECT * FROM ({PEOPLE}) WHERE id = {number}", root / f"parts/{number}.parquet", "FORMAT parquet")
    return '{source: "parts/*.parquet", key: id}'


def hive(root: Path) -> str:
    copy(PEOPLE, root / "lake", "FORMAT parquet, PARTITION_BY (country)")
    return '{source: "lake/**/*.parquet", key: id}'


def query(root: Path) -> str:
    copy(PEOPLE, root / "data/people.parquet", "FORMAT parquet")
    (root / "people.sql").write_text("WITH p AS (SELECT * FROM 'data/people.parquet') SELECT * FROM p WHERE id > 0\n")
    return "{source: people.sql, key: id}\nfolders: [data]"


def decided(root: Path, profiles: str, where: str) -> dict[str, str]:
    """Every profile's reason for one campaign whose audience is ``where``."""
    (root / "project.yaml").write_text(f"profiles: {profiles}\nledger: sqlite:///ledger.db\n")
    for name, text in {
        "channels/email.yaml": "{type: email, address: email}",
        "segments/s.yaml": f"where: {where}",
        "campaigns/c.yaml": "{channel: email, audience: {include: [s]}}",
    }.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text + "\n")
    loaded = plugins.load()
    open_ledger("sqlite:///ledger.db", root, create=True).close()
    return runner.decide(loader.load(root, loaded), datetime(2026, 1, 1, tzinfo=UTC), loaded)["c"]


@pytest.mark.parametrize("source", [csv, json, parquet, glob, hive, query], ids=lambda source: source.__name__)
def test_the_same_people_from_every_source(source: Callable[[Path], str], tmp_path: Path) -> None:
    found = decided(
        tmp_path, source(tmp_path), "{all: [{property: country, equals: FR}, {property: age, at_least: 18}]}"
    )
    assert found == {"1": "included", "2": "not_in_audience", "3": "not_in_audience"}


def test_a_field_of_a_struct_by_its_dotted_name(tmp_path: Path) -> None:
    nested = f"SELECT id, email, {{'country': country, 'home': {{'city': city}}}} AS place FROM ({PEOPLE})"
    copy(nested, tmp_path / "people.parquet", "FORMAT parquet")
    where = "{any: [{property: place.country, equals: DE}, {property: place.home.city, equals: Lyon}]}"
    found = decided(tmp_path, "{source: people.parquet, key: id}", where)
    assert found == {"1": "not_in_audience", "2": "included", "3": "included"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT * FROM 'elsewhere/people.parquet'", 'reads "elsewhere/people.parquet", outside the declared folders'),
        ("SELECT * FROM 'data/../people.parquet'", "outside the declared folders"),
        ("SELECT now() AS id", "not the same each time"),
        ("SELECT 1; SELECT 2", "one SELECT and nothing else"),
        ("COPY (SELECT 1) TO 'data/x.csv'", "one SELECT and nothing else"),
        ("SELECT * FROM read_text('data/people.parquet')", "only files of the declared folders"),
        ("SELECT * FROM duckdb_settings()", "only files of the declared folders"),
    ],
)
def test_a_query_reads_declared_folders_alone(text: str, said: str, tmp_path: Path) -> None:
    profiles = query(tmp_path)
    (tmp_path / "people.sql").write_text(text)
    with pytest.raises(InvalidProjectError) as error:
        decided(tmp_path, profiles, "{property: country, equals: FR}")
    (problem,) = error.value.problems
    assert "people.sql: " in problem.message
    assert said in problem.message


def test_a_key_that_no_answer_can_name_is_a_problem(tmp_path: Path) -> None:
    """Answers name people by text, which is read as a number of 64 bits: who left would be nobody."""
    large = f"SELECT (id::UBIGINT + {2**63 - 3}) AS id, * EXCLUDE id FROM ({PEOPLE})"
    copy(large, tmp_path / "people.parquet", "FORMAT parquet")
    with pytest.raises(InvalidProjectError) as error:
        decided(tmp_path, "{source: people.parquet, key: id}", "{property: country, equals: FR}")
    (problem,) = error.value.problems
    assert str(problem) == (
        'project.yaml:1:41: people.parquet: key "id" has 9223372036854775808, and whole numbers go up to '
        "9223372036854775807; make it text"
    )


def test_uuids_are_text_beside_any_other(tmp_path: Path) -> None:
    """Somebody answers under a name that is no UUID, and a list holds one."""
    one = "'00000000-0000-0000-0000-000000000001'::UUID"
    rows = f"SELECT {one} AS id, 'a@x.org' AS email, [{one}] AS friends"
    copy(rows, tmp_path / "people.parquet", "FORMAT parquet")
    friends = "{property: friends, has_any: [vip, 00000000-0000-0000-0000-000000000001]}"
    assert list(decided(tmp_path, "{source: people.parquet, key: id}", friends).values()) == ["included"]
    with open_ledger("sqlite:///ledger.db", tmp_path) as ledger:
        ledger.append([Fact(channel="email", group=None, subscribed=False, profile="abc", source="cli")])
    project = loader.load(tmp_path, plugins.load())
    (reasons,) = runner.decide(project, datetime(2026, 1, 1, tzinfo=UTC), plugins.load()).values()
    assert list(reasons.values()) == ["included"]


def test_a_list_of_numbers_that_are_not_whole_is_refused(tmp_path: Path) -> None:
    """As pandas writes whole numbers with a gap: nobody would be in it, and so everybody left in."""
    copy("SELECT unnest([1.0, 2.0, NULL])::DOUBLE AS id", tmp_path / "list.parquet", "FORMAT parquet")
    with pytest.raises(SourceError, match='column "id" is of type float, and must be an integer or text'):
        decided(tmp_path, parquet(tmp_path), "{not: {in_list: {source: list.parquet, column: id}}}")


def test_every_list_is_watched_whatever_campaign_asks_for_it(tmp_path: Path) -> None:
    """Those of an earlier block of campaigns too: each is named among the inputs."""
    for name in ("one", "two"):
        copy("SELECT 1 AS id", tmp_path / f"{name}.csv", "FORMAT csv, HEADER")
    decided(tmp_path, parquet(tmp_path), "{in_list: {source: one.csv, column: id}}")
    for name, text in {
        "channels/sms.yaml": "{type: sms, address: city}",
        "segments/two.yaml": "where: {in_list: {source: two.csv, column: id}}",
        "campaigns/sms.yaml": "{channel: sms, audience: {include: [two]}}",
    }.items():
        (tmp_path / name).write_text(text + "\n")
    project, loaded = loader.load(tmp_path, plugins.load()), plugins.load()
    with runner.opened(project, datetime(2026, 1, 1, tzinfo=UTC), loaded) as run:
        for _ in run.plans(runner.chosen(project, ())):
            pass
        assert {"one.csv", "two.csv"} <= run.backend.inputs().keys()


def test_keys_may_be_uuids(tmp_path: Path) -> None:
    people = f"SELECT ('00000000-0000-0000-0000-00000000000' || id)::UUID AS id, * EXCLUDE id FROM ({PEOPLE})"
    copy(people, tmp_path / "people.parquet", "FORMAT parquet")
    (tmp_path / "campaigns").mkdir()
    capped = "{channel: email, target_cap: {at_most: 1, when_exceeded: sample, salt: s}}"
    (tmp_path / "campaigns/capped.yaml").write_text(capped)
    assert len(decided(tmp_path, "{source: people.parquet, key: id}", "{property: country, equals: FR}")) == 3
    project = loader.load(tmp_path, plugins.load())
    found = runner.decide(project, datetime(2026, 1, 1, tzinfo=UTC), plugins.load())["capped"]
    assert sorted(found.values()) == ["included", "over_target_cap", "over_target_cap"]
