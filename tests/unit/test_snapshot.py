"""The snapshot and its tail: always what the ledger says, and never trusted where it is broken or another's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlglot import exp

import large_ledger
from maysend import loader, plugins, snapshot
from maysend.backends.duckdb import DuckDB
from maysend.events import Fact
from maysend.ledger import Ledger, Subject, open_ledger


def facts(count: int, seed: int = 0, people: int = 50) -> list[Fact]:
    random = Random(seed)
    return [
        Fact(
            channel=random.choice(["email", "sms"]),
            group=random.choice(["news", "offers", None]),
            subscribed=random.random() < 0.4,
            profile=str(random.randrange(people)),
            address=random.choice([f'"é,\n{random.randrange(people)}@x.org', None]),
            type=random.choice(["bounced", None]) if random.random() < 0.1 else None,
            source="page",
        )
        for _ in range(count)
    ]


def landed(ledger: Ledger, directory: Path) -> tuple[int, list[tuple[Any, ...]]]:
    with DuckDB() as backend:
        seq = snapshot.land(ledger, backend, directory, "answers").seq
        return seq, sorted(backend.rows(exp.select(*snapshot.COLUMNS).from_("answers")))


@pytest.fixture
def ledger(ledger_url: str, tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(ledger_url, tmp_path, create=True) as ledger:
        yield ledger


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / ".maysend"


def names(directory: Path) -> list[str]:
    return sorted(file.name.split("-")[1] for file in directory.glob("*.parquet"))


def test_an_empty_ledger_has_an_empty_snapshot(ledger: Ledger, directory: Path) -> None:
    assert landed(ledger, directory) == (0, [])
    assert landed(ledger, directory) == (0, [])
    ledger.append(facts(30))
    assert landed(ledger, directory) == (ledger.last_seq(), sorted(ledger.answers()))


def test_snapshot_and_tail_are_what_the_ledger_says(
    ledger: Ledger, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "TAIL", 40)
    written = []
    for seed in range(12):
        ledger.append(facts(25, seed))
        assert landed(ledger, directory) == (ledger.last_seq(), sorted(ledger.answers()))
        written.append(names(directory)[-1])
    assert 1 < len(set(written)) < 12
    assert len(names(directory)) <= 2


@pytest.mark.parametrize(
    "harm",
    [
        lambda directory: next(directory.glob("*.parquet")).write_bytes(b""),
        lambda directory: next(directory.glob("*.parquet")).unlink(),
        lambda directory: _flip(next(directory.glob("*.parquet"))),
        lambda directory: (directory / "answers.json").write_text("{"),
        lambda directory: (directory / "answers.json").write_text("[]"),
        lambda directory: _replace(directory / "answers.json", '"format": 1', '"format": 0'),
    ],
    ids=["emptied", "missing", "a bit flipped", "no JSON", "another shape", "another format"],
)
def test_a_broken_snapshot_is_made_anew(ledger: Ledger, directory: Path, harm: Callable[[Path], None]) -> None:
    ledger.append(facts(60))
    expected = landed(ledger, directory)
    harm(directory)
    assert landed(ledger, directory) == expected
    assert landed(ledger, directory) == expected


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _replace(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_another_ledgers_snapshot_is_not_used(ledger: Ledger, directory: Path, tmp_path: Path) -> None:
    ledger.append(facts(60))
    landed(ledger, directory)
    with open_ledger(f"sqlite:///{tmp_path}/restored.db", tmp_path, create=True) as other:
        other.append(facts(90, seed=1))
        assert landed(other, directory) == (other.last_seq(), sorted(other.answers()))


def test_who_was_erased_is_in_no_snapshot(ledger: Ledger, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAYSEND_ERASURE_KEY", "a secret that is never rotated")
    ledger.append(facts(60))
    landed(ledger, directory)
    ledger.erase([Subject("email", "profile", "1")])
    _, rows = landed(ledger, directory)
    assert rows == sorted(ledger.answers())
    assert ("email", "profile", "1") not in {row[:3] for row in rows}
    snapshot.forget(directory)
    assert list(directory.iterdir()) == []


def test_who_is_erased_while_it_is_written_is_in_none(
    ledger: Ledger, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAYSEND_ERASURE_KEY", "a secret that is never rotated")
    ledger.append(facts(200))
    publish = snapshot.publish

    def erase_first(*arguments: Any) -> None:
        monkeypatch.setattr(snapshot, "publish", publish)
        ledger.erase([Subject(channel, "profile", "7") for channel in ("email", "sms")])
        publish(*arguments)

    monkeypatch.setattr(snapshot, "publish", erase_first)
    _, rows = landed(ledger, directory)
    assert all("7" not in row for row in rows)
    with DuckDB() as backend:
        for file in directory.glob("*.parquet"):
            assert all("7" not in row for row in backend.read(file)[1])


def test_whoever_was_erased_and_is_asked_about_has_their_no(
    ledger: Ledger, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAYSEND_ERASURE_KEY", "a secret that is never rotated")
    for name, text in {
        "project.yaml": "title: A\nprofiles: {source: p.csv, key: id}\n",
        "channels/email.yaml": "type: email\naddress: mail\n",
        "p.csv": "id,mail\n1,Ann@x.org\n2,bob@x.org\n3,\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = plugins.load()
    project = loader.load(tmp_path, found)
    ledger.erase([Subject("email", "address", "ann@x.org"), Subject("email", "profile", "3")])
    for _ in range(2):
        with DuckDB() as backend:
            people = snapshot.people(project, found.channel_types, backend.open("profiles", project.profiles.source))
            snapshot.land(ledger, backend, directory, "answers", people)
            rows = sorted(backend.rows(exp.select("*").from_("answers")))
        assert rows == [
            ("email", "address", "ann@x.org", "", -1, False, 0),
            ("email", "profile", "3", "", -1, False, 0),
        ]


@pytest.mark.soak
def test_a_refresh_costs_its_tail_and_a_first_snapshot_no_more_memory(tmp_path: Path) -> None:
    """A million events here; `python tests/large_ledger.py 10000000` for more."""
    count = 1_000_000
    found = large_ledger.measure(count, tmp_path)
    assert (found["first"]["answers"], found["first"]["seq"]) == (count, count)
    assert (found["refresh"]["answers"], found["refresh"]["seq"]) == (
        count + large_ledger.TAIL,
        count + large_ledger.TAIL,
    )
    assert max(run["bytes"] for run in found.values()) < 1 << 30
    assert found["refresh"]["seconds"] * 3 < found["first"]["seconds"]


def test_a_snapshot_beside_writers_loses_nothing(
    ledger: Ledger, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are read one by one while others answer; tail and snapshot still add up to one moment."""
    monkeypatch.setattr("maysend.ledger.ledger._PAGE", 7)
    monkeypatch.setattr(snapshot, "TAIL", 30)
    ledger.append(facts(200))
    stop = threading.Event()

    def write() -> None:
        for seed in range(1_000):
            if stop.is_set():
                return
            ledger.append(facts(3, seed))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(6):
            seq, rows = landed(ledger, directory)
            assert max(row[-1] for row in rows) <= seq <= ledger.last_seq()
            assert len({row[:4] for row in rows}) == len(rows)
            assert [row[:-1] for row in rows] == _replayed(ledger, seq, tmp_path / str(seq))
    finally:
        stop.set()
        writer.join()
    assert landed(ledger, directory)[1] == sorted(ledger.answers())


def _replayed(ledger: Ledger, until: int, directory: Path) -> list[tuple[Any, ...]]:
    """The same from the events alone, recorded again in a ledger of their own."""
    events = [event for event in ledger.events() if event.seq <= until]
    again = [
        Fact(
            channel=event.channel,
            group=event.group,
            subscribed=event.resubscribed,
            address=event.address,
            profile=event.profile,
            occurred_at=event.occurred_at,
            type=event.type,
            source=event.source,
        )
        for event in events
    ]
    with open_ledger("sqlite:///replayed.db", directory, create=True) as replayed:
        assert None not in replayed.append(again)
        return sorted(row[:-1] for row in replayed.answers())
