"""The CDNOW store in ``config/``, through the real command line, against queries written by hand (``cdnow/*.sql``)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from maysend.targeting.stages import REASONS

REPOSITORY = Path(__file__).parents[2]
CONFIG = REPOSITORY / "config"
QUERIES = Path(__file__).parent / "cdnow"
CAMPAIGNS = sorted(file.stem for file in QUERIES.glob("*.sql") if file.stem != "consent")
PEOPLE = 23_570

Decisions = dict[str, dict[int, str]]


@dataclass(frozen=True)
class Evaluation:
    """Per campaign: how many people for each reason (``included`` too), and the audience file's rows in order."""

    counts: dict[str, dict[str, int]]
    audiences: dict[str, list[tuple[int, str]]]


@dataclass(frozen=True)
class Store:
    """A copy of the project with its ledger, driven by the command line."""

    root: Path
    maysend: Any
    maysend_json: Any

    def evaluate(self) -> Evaluation:
        result = self.maysend_json("evaluate", "--as-of", "1998-07-01", "--out", "out", cwd=self.root)
        assert result["population"] == PEOPLE
        return Evaluation(
            {
                found["name"]: {"included": found["included"]} | {r: n for r, n in found["excluded"].items() if n}
                for found in result["campaigns"]
            },
            {name: rows(self.root / "out" / f"{name}.parquet") for name in CAMPAIGNS},
        )

    def reasons(self, campaign: str, *people: int) -> list[str]:
        return [
            self.maysend_json("explain", campaign, person, "--as-of", "1998-07-01", cwd=self.root)["reason"]
            for person in people
        ]

    def answer(self, command: str, *who: object) -> list[dict[str, Any]]:
        """Unsubscribe or resubscribe from new releases; the events it recorded."""
        found = self.maysend_json(command, "email", *who, "--group", "new_releases", cwd=self.root)
        return list(found["events"])


def rows(file: Path) -> list[Any]:
    return duckdb.read_parquet(str(file)).fetchall()


@pytest.fixture(scope="module")
def consented(tmp_path_factory: pytest.TempPathFactory, maysend_json: Any) -> Path:
    """The project with everybody's answers imported."""
    root = tmp_path_factory.mktemp("store") / "config"
    shutil.copytree(CONFIG, root, ignore=shutil.ignore_patterns(".maysend", "out"))
    imported = maysend_json("import", "--create", "data/answers.csv", cwd=root)
    assert imported["refused"] == []
    assert imported["read"] == imported["changed"] + imported["unchanged"]
    return root


@pytest.fixture
def store(consented: Path, tmp_path: Path, maysend: Any, maysend_json: Any) -> Store:
    shutil.copytree(consented, tmp_path / "config")
    return Store(tmp_path / "config", maysend, maysend_json)


@pytest.fixture(scope="module")
def oracle() -> Iterator[duckdb.DuckDBPyConnection]:
    """The table ``people`` of ``cdnow/consent.sql``."""
    with duckdb.connect() as connection:
        connection.execute("SET file_search_path = ?", [str(CONFIG)])
        connection.execute((QUERIES / "consent.sql").read_text("utf-8"))
        yield connection


@pytest.fixture(scope="module")
def expected(oracle: duckdb.DuckDBPyConnection) -> Decisions:
    """Campaign to person to reason, one query a campaign."""
    return {name: dict(oracle.execute((QUERIES / f"{name}.sql").read_text("utf-8")).fetchall()) for name in CAMPAIGNS}


def included(decisions: dict[int, str]) -> set[int]:
    return {person for person, reason in decisions.items() if reason == "included"}


def test_every_campaign_has_a_query_and_the_store_is_as_rich_as_promised() -> None:
    declared = {kind: sorted(file.stem for file in CONFIG.glob(f"{kind}/*.yaml")) for kind in ("campaigns", "segments")}
    assert declared["campaigns"] == CAMPAIGNS
    assert len(CAMPAIGNS) == 10
    assert len(declared["segments"]) >= 8


def test_every_reason_leaves_somebody_out(expected: Decisions) -> None:
    found = {reason for decisions in expected.values() for reason in decisions.values()}
    assert found == {*REASONS, "included"}


def test_the_evaluation_equals_the_hand_written_queries(store: Store, expected: Decisions) -> None:
    found = store.evaluate()
    for name, decisions in expected.items():
        counts = {reason: list(decisions.values()).count(reason) for reason in set(decisions.values())}
        assert found.counts[name] == counts, name
        assert sum(counts.values()) == PEOPLE
        assert [row[0] for row in found.audiences[name]] == sorted(included(decisions)), name


def test_an_audience_holds_normalized_addresses(store: Store, oracle: duckdb.DuckDBPyConnection) -> None:
    audiences = store.evaluate().audiences
    for campaign, column in (("new_website", "email_address"), ("text_flash_sale", "phone_address")):
        addresses = dict(oracle.execute(f"SELECT customer_id, {column} FROM people").fetchall())
        assert all(addresses[person] == address for person, address in audiences[campaign])


def test_leaving_a_group_changes_one_decision_where_the_group_is_under_all(
    store: Store, oracle: duckdb.DuckDBPyConnection, expected: Decisions
) -> None:
    """Somebody whose other groups keep them in the campaigns that name new releases under any and at_least."""
    naming = {"new_releases_friday", "win_back", "summer_sale", "jazz_weekend"}
    alone = oracle.execute(
        """
        SELECT customer_id FROM people AS one WHERE offers AND recommendations AND concerts AND NOT EXISTS (
            FROM people AS other
            WHERE other.email_address = one.email_address AND other.customer_id <> one.customer_id)
        """
    ).fetchall()
    person = min(set.intersection({row[0] for row in alone}, *(included(expected[name]) for name in naming)))
    before = store.evaluate()

    assert len(store.answer("unsubscribe", "--profile", person)) == 1
    assert store.answer("unsubscribe", "--profile", person) == []

    after = store.evaluate()
    for name in CAMPAIGNS:
        if name in ("new_releases_friday", "win_back"):
            assert set(before.audiences[name]) ^ set(after.audiences[name]) == {
                row for row in before.audiences[name] if row[0] == person
            }
            moved = dict(before.counts[name])
            moved["included"] -= 1
            moved["group_unsubscribed"] += 1
            assert after.counts[name] == moved
            assert store.reasons(name, person) == ["group_unsubscribed"]
        else:
            assert after.audiences[name] == before.audiences[name]
            assert after.counts[name] == before.counts[name]

    assert len(store.answer("resubscribe", "--profile", person)) == 1
    assert store.answer("resubscribe", "--profile", person) == []

    assert store.evaluate() == before
    history = store.maysend_json("history", "--channel", "email", "--profile", person, cwd=store.root)["events"]
    assert [(event["group"], event["source"], event["resubscribed"]) for event in history][-2:] == [
        ("new_releases", "cli", False),
        ("new_releases", "cli", True),
    ]


@pytest.fixture(scope="module")
def household(oracle: duckdb.DuckDBPyConnection, expected: Decisions) -> tuple[int, int]:
    """Two people with one address; the first gets new releases, the second does not only because the first does."""
    (pair,) = oracle.execute(
        """
        SELECT list(customer_id ORDER BY customer_id) FROM people
        WHERE new_releases AND takes_email AND NOT staff AND emails_this_week < 3 AND drawn(customer_id, 's1') >= 0.05
        GROUP BY email_address HAVING count(*) = 2 ORDER BY min(customer_id) LIMIT 1
        """
    ).fetchall()[0]
    assert [expected["new_releases_friday"][person] for person in pair] == ["included", "duplicate_address"]
    return pair[0], pair[1]


def test_leaving_by_profile_stops_one_of_two_who_share_an_address(store: Store, household: tuple[int, int]) -> None:
    store.answer("unsubscribe", "--profile", household[0])
    assert store.reasons("new_releases_friday", *household) == ["group_unsubscribed", "included"]


def test_leaving_by_address_stops_both_who_share_it(store: Store, household: tuple[int, int], oracle: Any) -> None:
    (address,) = oracle.execute("SELECT email_address FROM people WHERE customer_id = ?", [household[0]]).fetchone()
    store.answer("unsubscribe", "--address", f" {address.upper()} ")
    assert store.reasons("new_releases_friday", *household) == ["group_unsubscribed", "group_unsubscribed"]


def test_the_readme_shows_what_the_demo_prints(store: Store) -> None:
    shown = (REPOSITORY / "README.md").read_text("utf-8")
    for command in (("evaluate", "--out", "out"), ("explain", "win_back", "99")):
        printed = store.maysend(*command, "--as-of", "1998-07-01", cwd=store.root).stdout
        assert "\n".join(line.rstrip() for line in printed.splitlines()).strip() in shown


def test_the_readme_shows_what_a_mistake_looks_like(store: Store) -> None:
    for file, right, wrong in (
        ("campaigns/win_back.yaml", "offers]", "offres]"),
        ("segments/lapsed_regulars.yaml", "at_least", "at_lest"),
    ):
        text = (store.root / file).read_text("utf-8")
        (store.root / file).write_text(text.replace(right, wrong), "utf-8")
    printed = store.maysend("validate", cwd=store.root, code=1).stdout
    assert f"$ maysend validate\n{printed}" in (REPOSITORY / "README.md").read_text("utf-8")


def test_importing_the_same_answers_again_changes_nothing(store: Store) -> None:
    again = store.maysend_json("import", "data/answers.csv", cwd=store.root)
    assert (again["changed"], again["refused"]) == (0, [])


def test_the_script_beside_the_data_makes_the_same_data(tmp_path: Path) -> None:
    subprocess.run([sys.executable, CONFIG / "data" / "make.py", tmp_path], check=True)

    assert (tmp_path / "answers.csv").read_bytes() == (CONFIG / "data" / "answers.csv").read_bytes()
    for name in ("profiles.parquet", "sends.parquet"):
        made, kept = duckdb.read_parquet(str(tmp_path / name)), duckdb.read_parquet(str(CONFIG / "data" / name))
        assert (made.columns, made.types) == (kept.columns, kept.types)
        assert made.fetchall() == kept.fetchall()
