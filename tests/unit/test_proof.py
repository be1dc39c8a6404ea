"""What the ledger can prove, and what it forgets: the hash chain, and erasure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from maysend.errors import LedgerError
from maysend.events import Fact
from maysend.ledger import AnswerRow, DeadLetter, Ledger, Subject, open_ledger, rehearse, stores
from maysend.ledger.tables import events, status

KEY = "a secret that is never rotated"
PEOPLE = 12


def fact(group: str | None, *, subscribed: bool = False, **fields: Any) -> Fact:
    return Fact(channel="email", group=group, subscribed=subscribed, **{"source": "page"} | fields)


@pytest.fixture
def ledger(ledger_url: str, tmp_path: Path) -> Iterator[Ledger]:
    """A dozen people who left the news and gave a reason."""
    with open_ledger(ledger_url, tmp_path, create=True) as ledger:
        ledger.append([fact("news", address=f"p{n}@x.org", profile=f"p{n}", reason="tired") for n in range(PEOPLE)])
        yield ledger


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MAYSEND_ERASURE_KEY", KEY)
    return KEY


def test_an_untouched_ledger_is_whole(ledger: Ledger) -> None:
    proof = ledger.verify()
    assert (proof.events, proof.faults) == (PEOPLE, [])
    ledger.append([fact(None, profile="p1")])
    assert ledger.verify().head != proof.head


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"subscribed": True}, "was changed"),
        ({"occurred_at": 0}, "was changed"),
        ({"recorded_at": 0}, "was changed"),
        ({"source": "import"}, "was changed"),
        ({"group_name": "offers"}, "was changed"),
        ({"event_id": "another"}, "was changed"),
        ({"campaign": "another"}, "was changed"),
        ({"text_hash": "another"}, "was changed"),
        ({"address": "another@x.org"}, "its address was changed"),
        ({"profile": "another"}, "its profile was changed"),
        ({"reason": "another"}, "its reason was changed"),
        ({"reason": None}, "its reason was changed"),
        ({"reason_digest": b"another"}, "was changed"),
        ({"hash": b"another"}, "was changed"),
        ({"seq": 99}, "is missing"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_changed_event_is_named(ledger: Ledger, changed: dict[str, Any], told: str) -> None:
    with stores.writing(ledger._engine) as connection:
        connection.execute(update(events).where(events.c.seq == 5).values(changed))
    faults = ledger.verify().faults
    assert (5, told) in [(fault.seq, fault.message.split(",")[0]) for fault in faults]
    assert {fault.seq for fault in faults} <= {5, 6, 12, 13, 99}


def test_missing_events_are_named(ledger: Ledger) -> None:
    with stores.writing(ledger._engine) as connection:
        connection.execute(delete(events).where(events.c.seq.in_([4, 7, 8, PEOPLE])))
    assert [fault for fault in ledger.verify().faults if "missing" in fault.message] == [
        (4, "is missing"),
        (7, "and all up to 8 are missing"),
        (PEOPLE, "is missing: the status knows of it"),
    ]


def test_events_that_changed_places_are_named(ledger: Ledger) -> None:
    with stores.writing(ledger._engine) as connection:
        for before, after in ((3, 100), (9, 3), (100, 9)):
            connection.execute(update(events).where(events.c.seq == before).values(seq=after))
    assert {3, 9} <= {fault.seq for fault in ledger.verify().faults}


@pytest.mark.parametrize("column", ["in_force", "answer", "suppressed"])
def test_a_status_that_the_events_do_not_give_is_named(ledger: Ledger, column: str) -> None:
    with stores.writing(ledger._engine) as connection:
        changed = {column: True if column == "suppressed" else 1}
        connection.execute(update(status).where(status.c.subject == "p3").values(changed))
        connection.execute(delete(status).where(status.c.subject == "p4@x.org"))
    assert sorted(ledger.verify().faults) == [
        (4, "the status of a subject on email is not what its events add up to"),
        (5, "the status of its address is missing"),
    ]


def test_an_erased_person_is_gone_and_the_chain_still_verifies(
    ledger: Ledger, key: str, ledger_url: str, tmp_path: Path
) -> None:
    ledger.append([fact("offers", subscribed=True, address="p1@x.org", source="api")])
    assert ledger.erase([Subject("email", "profile", "p1")]) == 2
    assert ledger.verify().faults == []
    assert ledger.history(profile="p1", address="p1@x.org") == []
    assert [(e.address, e.profile, e.reason) for e in ledger.events()][1:3] == [
        (None, None, None),
        ("p2@x.org", "p2", "tired"),
    ]
    assert not [row for row in ledger.answers() if row.subject.startswith("p1@") or row.subject == "p1"]
    if ledger_url.startswith("sqlite"):
        ledger.close()
        for file in tmp_path.iterdir():
            assert b"p1@x.org" not in file.read_bytes()
            assert file.suffix != ".db" or b"p2@x.org" in file.read_bytes()


def test_no_dead_letter_and_no_error_names_an_erased_person(
    ledger: Ledger, key: str, ledger_url: str, tmp_path: Path
) -> None:
    """Neither those of their events, nor those of others in which a receiver mentions them, in any file."""
    sinks, now = ledger.cursors("here"), datetime.now(UTC)
    sinks.hold("crm")
    reasons = ["550 no mailbox", "too long", "merged into P0@x.org", "100 % of p3_x@x.org"]
    sinks.advance("crm", 4, [DeadLetter(seq, f"e{seq}", told, now) for seq, told in enumerate(reasons, 1)])
    sinks.fail("crm", "timeout after p0@x.org")
    ledger.erase([Subject("email", "profile", "p0"), Subject("email", "address", "% of p3%")])
    cursor = sinks.read("crm")
    gone = "erased with the person it was about"
    assert [letter.reason for letter in cursor.dead_letters] == [gone, "too long", gone, "100 % of p3_x@x.org"]
    assert cursor.error == gone
    assert ledger.verify().faults == []
    if ledger_url.startswith("sqlite"):
        ledger.close()
        assert not [file for file in tmp_path.iterdir() if b"p0@x.org" in file.read_bytes()]


def test_the_no_of_an_erased_person_holds_until_they_return(ledger: Ledger, key: str) -> None:
    people = [Subject("email", "address", "p1@x.org"), Subject("email", "profile", "p1")]
    everybody = [*people, Subject("email", "profile", "p2"), Subject("email", "address", "new@x.org")]
    assert not ledger.has_erased()
    ledger.erase(people)
    assert ledger.has_erased()
    assert sorted(ledger.erased(everybody)) == [AnswerRow(*who, "", -1, False, 0) for who in sorted(people)]
    for standing in ledger.standing("email", address="p1@x.org", profile="p1"):
        assert standing.in_force("") is False
        assert standing.in_force("offers") is False
    (event,) = ledger.append([fact(None, subscribed=True, address="p1@x.org", profile="p1")])
    assert event
    assert not list(ledger.erased(everybody))
    assert all(standing.in_force("") for standing in ledger.standing("email", address="p1@x.org", profile="p1"))
    assert ledger.verify().faults == []
    ledger.erase(people)
    assert len(list(ledger.erased(everybody))) == 2
    assert ledger.verify().faults == []


def test_a_group_alone_is_returned_to_after_erasure(ledger: Ledger, key: str) -> None:
    ledger.erase([Subject("email", "profile", "p1")])
    ledger.append([fact("offers", subscribed=True, profile="p1")])
    assert {(row.group, row.answer) for row in ledger.answers() if row.subject == "p1"} == {("", -1), ("offers", 1)}
    assert ledger.verify().faults == []


def test_an_old_file_does_not_bring_back_who_was_erased(ledger: Ledger, key: str) -> None:
    ledger.erase([Subject("email", "profile", "p1")])
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    old = [
        fact("news", address="p1@x.org", profile="p1", source="import", occurred_at=long_ago),
        fact("news", subscribed=True, address="p1@x.org", source="import", occurred_at=long_ago),
        fact("news", address="p1@x.org", profile="heir", source="import", occurred_at=long_ago),
    ]
    with rehearse(ledger) as rehearsal:
        assert [event is not None for event in rehearsal.append(old)] == [False, False, True]
    heard = ledger.append(old)
    assert heard[:2] == [None, None]
    assert heard[2]
    assert (heard[2].address, heard[2].profile) == (None, "heir")
    late = fact(None, subscribed=True, address="p1@x.org", source="import", occurred_at=datetime.now(UTC))
    assert ledger.take_in([late]) == (0, [0])
    assert ledger.take_in([late], allow_resubscribe=True) == (1, [])


def test_erasing_needs_a_key_and_the_same_one_from_then_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, ledger_url: str, tmp_path: Path
) -> None:
    person = [Subject("email", "profile", "p1")]
    for short in ("", "short"):
        monkeypatch.setenv("MAYSEND_ERASURE_KEY", short)
        with pytest.raises(LedgerError, match="at least 16 characters"):
            ledger.erase(person)
    assert ledger.history(profile="p1")
    monkeypatch.setenv("MAYSEND_ERASURE_KEY", KEY)
    ledger.erase(person)
    for other, told in (("", "set MAYSEND_ERASURE_KEY"), (KEY + "!", "is not the key with which people were erased")):
        monkeypatch.setenv("MAYSEND_ERASURE_KEY", other)
        with pytest.raises(LedgerError, match=told):
            open_ledger(ledger_url, tmp_path)
        with pytest.raises(LedgerError, match=told if other else "at least 16"):
            ledger.erase([Subject("email", "profile", "p2")])
