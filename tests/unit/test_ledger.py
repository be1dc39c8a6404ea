"""The ledger on both stores: what append promises, and what opening refuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import table as sql_table
from sqlalchemy import text, update
from sqlalchemy.sql import column

from maysend.documents import Document
from maysend.errors import LedgerError
from maysend.events import Fact
from maysend.ledger import KnownGroup, Ledger, Subject, erasure, glance, open_ledger, stores, tables
from maysend.model import SubscriptionGroup

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def no(group: str | None = "news", **fields: Any) -> Fact:
    return Fact(**{"channel": "email", "group": group, "subscribed": False, "profile": "1", "source": "cli"} | fields)


def yes(group: str | None = "news", **fields: Any) -> Fact:
    return replace(no(group, **fields), subscribed=True)


@pytest.fixture
def ledger(ledger_url: str, tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(ledger_url, tmp_path, create=True) as ledger:
        yield ledger


def test_an_event_carries_every_field_of_its_fact(ledger: Ledger) -> None:
    fact = no(
        address="a@x.org",
        type="spam",
        reason="tired",
        campaign="win_back",
        campaign_type="email",
        variant="B",
        revision="abc",
        text_hash="def",
        source="feedback",
        occurred_at=NOON,
    )
    before = datetime.now(UTC)
    (event,) = ledger.append([fact])
    assert event
    assert before <= event.recorded_at <= datetime.now(UTC)
    assert event.as_json() | {"recorded_at": None} == {
        "seq": 1,
        "event_id": fact.event_id,
        "occurred_at": "2024-01-01T12:00:00.000000Z",
        "recorded_at": None,
        "channel": "email",
        "group": "news",
        "address": "a@x.org",
        "profile": "1",
        "resubscribed": False,
        "type": "spam",
        "source": "feedback",
        "reason": "tired",
        "campaign_id": "win_back",
        "campaign_type": "email",
        "variant": "B",
        "revision": "abc",
        "text_hash": "def",
        "identity": "1",
        "subscription_type": "Account",
    }
    assert ledger.history(profile="1") == list(ledger.events()) == [event]


def test_the_same_event_id_is_recorded_once(ledger: Ledger) -> None:
    fact = no()
    assert ledger.append([fact, fact])[1] is None
    assert ledger.append([yes(), replace(fact, occurred_at=None)])[1] is None
    assert ledger.last_seq() == 2


def test_a_live_choice_is_stamped_after_its_subjects_last(ledger: Ledger) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    ledger.append([no(address="a@x.org", profile=None, occurred_at=ahead)])
    (event,) = ledger.append([yes(address="a@x.org")])
    assert event
    assert event.occurred_at == ahead + timedelta(microseconds=1)
    address, profile = ledger.standing("email", address="a@x.org", profile="1")
    assert address.in_force("news") is profile.in_force("news") is True


def test_what_is_recorded_is_read_by_another_process_and_in_order(
    ledger: Ledger, ledger_url: str, tmp_path: Path
) -> None:
    facts = [no(profile=str(number)) for number in range(25)]
    events = [event for event in ledger.append(facts) if event]
    with open_ledger(ledger_url, tmp_path) as other:
        assert list(other.events()) == events
        assert [event.seq for event in other.events(after=20)] == [21, 22, 23, 24, 25]
        assert sorted(row.seq for row in other.answers(after=20)) == [21, 22, 23, 24, 25]
        assert other.append([no(profile="0"), yes(profile="0")])[0] is None
    assert ledger.last_seq() == 26


def test_a_channels_answer_moves_the_rows_of_its_groups(ledger: Ledger) -> None:
    ledger.append([yes("news"), no("offers"), yes("news", profile="2")])
    ledger.append([no(None)])
    moved = {(row.subject, row.group, row.answer) for row in ledger.answers(after=3)}
    assert moved == {("1", "", -1), ("1", "news", -1)}
    ledger.append([yes(None)])
    assert {(row.group, row.answer) for row in ledger.answers(after=4)} == {("", 1), ("news", 1)}


def test_history_is_oldest_first_and_matches_either_subject(ledger: Ledger) -> None:
    ledger.append(
        [
            no(occurred_at=NOON + timedelta(days=2)),
            no("offers", profile=None, address="a@x.org", occurred_at=NOON),
            no("offers", channel="sms", occurred_at=NOON + timedelta(days=1)),
            no(profile="2"),
        ]
    )
    assert [event.seq for event in ledger.history(profile="1", address="a@x.org")] == [2, 3, 1]
    assert [event.seq for event in ledger.history(channel="email", profile="1")] == [1]


def test_many_threads_each_get_their_own_answer(ledger: Ledger) -> None:
    def leave(number: int) -> tuple[int, str | None]:
        (event,) = ledger.append([no(profile=str(number))])
        assert event
        return event.seq, event.profile

    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(leave, range(400)))
    assert sorted(seq for seq, _ in told) == list(range(1, 401))
    assert [(event.seq, event.profile) for event in ledger.events()] == sorted(told)
    assert [profile for _, profile in told] == [str(number) for number in range(400)]


def test_a_failure_takes_back_the_whole_append_and_no_other(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.append([no(profile="kept")])
    with pytest.raises(LedgerError, match="an answer's reason holds a character that no ledger can store"):
        ledger.append([no(profile="lost"), no(reason="\0")])
    with pytest.raises(LedgerError, match="an answer's address has more than 512 characters"):
        ledger.append([no(profile="lost"), no(address=f"{'x' * 501}@example.com")])
    with monkeypatch.context() as patched:
        patched.setattr("maysend.ledger.recording.save", _fail)  # after the events are written, before the commit
        with pytest.raises(LedgerError, match="cut"):
            ledger.append([no(profile="lost")])
    assert [event.profile for event in ledger.events()] == ["kept"]
    assert ledger.append([no(profile="next")])[0]
    longest = "𝒙" * 512  # as many bytes as there can be
    assert ledger.append([no(profile=longest, address=longest)])[0]


def _fail(*_: object) -> None:
    raise LedgerError("cut")


def test_a_closed_ledger_takes_nothing(ledger: Ledger) -> None:
    ledger.append([no()])
    ledger.close()
    with pytest.raises(LedgerError, match="is closed"):
        ledger.append([yes()])


def test_groups_are_remembered_until_their_file_acknowledges_a_change(ledger: Ledger) -> None:
    def group(
        name: str, default: Any = "subscribed", acknowledge: str | None = None, channel: str = "email"
    ) -> SubscriptionGroup:
        return SubscriptionGroup(name, name, "", channel, default, True, "public", acknowledge, Document("", None))

    ledger.remember_groups([group("news"), group("offers", "unsubscribed")])
    ledger.remember_groups([group("news", "unsubscribed"), group("offers")])
    assert ledger.known_groups() == {
        "news": KnownGroup("email", "subscribed"),
        "offers": KnownGroup("email", "unsubscribed"),
    }
    ledger.remember_groups([group("news", "unsubscribed", acknowledge="a new law")])
    assert ledger.known_groups()["news"] == KnownGroup("email", "unsubscribed", "a new law")
    for changed in (group("news", acknowledge="a new law"), group("news", "unsubscribed", "so be it", channel="sms")):
        ledger.remember_groups([changed])
        assert ledger.known_groups()["news"] == KnownGroup("email", "unsubscribed", "a new law")
    ledger.remember_groups([group("news", "unsubscribed", "reworded")])
    assert ledger.known_groups()["news"] == KnownGroup("email", "unsubscribed", "reworded")
    ledger.remember_groups([group("news", acknowledge="reworded")])
    assert ledger.known_groups()["news"].default == "unsubscribed"
    ledger.remember_groups([group("news", acknowledge="the law is gone")])
    assert ledger.known_groups()["news"] == KnownGroup("email", "subscribed", "the law is gone")


def test_a_glance_says_what_the_ledger_says(
    ledger: Ledger, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    news = SubscriptionGroup("news", "News", "", "email", "subscribed", True, "public", None, Document("", None))
    ledger.remember_groups([news])
    assert glance.known_groups(ledger_url, tmp_path) == {"news": KnownGroup("email", "subscribed")}
    monkeypatch.setenv(erasure.KEY_VARIABLE, "the secret of then")
    ledger.append([no()])
    ledger.erase([Subject("email", "profile", "1")])
    assert glance.known_groups(ledger_url, tmp_path) == {"news": KnownGroup("email", "subscribed")}
    monkeypatch.delenv(erasure.KEY_VARIABLE)
    with pytest.raises(LedgerError, match="people were erased from it"):
        glance.known_groups(ledger_url, tmp_path)


def test_a_glance_makes_no_ledger(ledger_url: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="is missing; restore it from a backup"):
        glance.known_groups(ledger_url, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_migrations_make_the_tables_that_the_code_uses(ledger: Ledger) -> None:
    with ledger._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "maysend_schema", "compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    config = Config()
    config.set_main_option("script_location", str(Path(stores.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_heads() == [glance.SCHEMA]


def test_a_newer_ledger_is_refused(ledger: Ledger, ledger_url: str, tmp_path: Path) -> None:
    with stores.writing(ledger._engine) as connection:
        connection.execute(update(sql_table("maysend_schema", column("version_num"))).values(version_num="9999"))
    with pytest.raises(LedgerError, match="is at schema 9999, newer than this maysend"):
        open_ledger(ledger_url, tmp_path, create=True)
    with pytest.raises(LedgerError, match="is at schema 9999, newer than this maysend"):
        glance.known_groups(ledger_url, tmp_path)


def test_a_missing_ledger_is_a_problem_and_never_an_empty_one(ledger_url: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="is missing; restore it from a backup"):
        open_ledger(ledger_url, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_ledger_that_was_emptied_is_none_either(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    with pytest.raises(LedgerError, match="is empty; restore it from a backup"):
        open_ledger("sqlite:///ledger.db", tmp_path)


def test_a_ledger_from_before_reasons_were_remembered_goes_on(ledger: Ledger, ledger_url: str, tmp_path: Path) -> None:
    news = SubscriptionGroup("news", "News", "", "email", "subscribed", True, "public", "So.", Document("", None))
    ledger.remember_groups([news])
    with stores.writing(ledger._engine) as connection:
        connection.execute(text("ALTER TABLE known_groups DROP COLUMN acknowledged"))
        connection.execute(update(sql_table("maysend_schema", column("version_num"))).values(version_num="0002"))
    with open_ledger(ledger_url, tmp_path) as upgraded:
        assert upgraded.known_groups() == {"news": KnownGroup("email", "subscribed")}
    assert glance.known_groups(ledger_url, tmp_path) == {"news": KnownGroup("email", "subscribed")}


def test_a_relative_path_starts_at_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, elsewhere = tmp_path / "pro ject#?%", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    open_ledger("sqlite:///.maysend/ledger.db", project, create=True).close()
    assert (project / ".maysend" / "ledger.db").is_file()
    assert not list(elsewhere.iterdir())
    open_ledger("sqlite:///.maysend/ledger.db", project).close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ledger.db", "is not a URL"),
        ("mysql://localhost/x", '"mysql" is no store'),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:///other.db", "is another program's database"),
        ("sqlite:///text.db", "is no SQLite database"),
        ("sqlite:///file/ledger.db", "cannot be made"),
        ("postgresql://nobody@127.0.0.1:1/x", "the database server does not answer"),
    ],
)
def test_what_is_no_ledger_is_refused_in_one_line(url: str, message: str, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other.db")
    with other:
        other.execute("CREATE TABLE notes (text)")
    other.close()
    (tmp_path / "text.db").write_text("These are the notes of a person. " * 100)
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=message) as raised:
        open_ledger(url, tmp_path, create=True)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 40, 1), "TRUNCATE"),
        ((3, 44, 5), "TRUNCATE"),
        ((3, 44, 6), "WAL"),
        ((3, 45, 0), "TRUNCATE"),
        ((3, 50, 6), "TRUNCATE"),
        ((3, 50, 7), "WAL"),
        ((3, 51, 2), "TRUNCATE"),
        ((3, 51, 3), "WAL"),
        ((3, 53, 0), "WAL"),
    ],
)
def test_the_journal_is_chosen_by_the_librarys_version(version: tuple[int, int, int], mode: str) -> None:
    assert stores.sqlite_journal(version)[0] == mode


def test_a_file_is_brought_to_the_journal_of_whoever_opens_it(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mode in ("WAL", "TRUNCATE", "WAL"):
        monkeypatch.setattr(stores, "sqlite_journal", lambda chosen=mode: (chosen, ""))
        with open_ledger(sqlite_url, tmp_path, create=True) as ledger, ledger._engine.connect() as connection:
            ledger.append([no(profile=str(ledger.last_seq()))])
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == mode.lower()
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    assert ledger.last_seq() == 3


def test_a_row_of_events_has_the_columns_of_the_table_in_their_order() -> None:
    row = tables.EventRow._make(tables.events.c.keys())  # the names stand for the values
    assert row._fields == tuple(row)
    assert row.erasable == tables.ERASABLE
    assert row.salts == tuple(f"{name}_salt" for name in tables.ERASABLE)
    assert row.digests == tuple(f"{name}_digest" for name in tables.ERASABLE)
    assert {*row} - {*row.erasable, *row.salts, *row.digests, "hash"} == {*row.covered}


@pytest.mark.parametrize("size", [1, 2, 3, 127, 128, 129, 600])
def test_an_append_of_any_size_is_whole(ledger: Ledger, size: int) -> None:
    """Rows are written, and answers looked up, many in one statement."""
    facts = [no(address=f"{number}@example.com", profile=None) for number in range(size)]
    assert all(ledger.append(facts))
    assert ledger.append(facts) == [None] * size
    assert [event.address for event in ledger.events()] == [fact.address for fact in facts]
    assert ledger.verify().faults == []
