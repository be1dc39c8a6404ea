"""Importing: what is recorded, what is refused and why, and other services' exports in their documented form."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from maysend import loader, plugins
from maysend.errors import SourceError
from maysend.events import Fact
from maysend.importing import Outcome, answers, import_answers
from maysend.importing.files import answers as read
from maysend.importing.formats import FORMATS, foreign
from maysend.importing.sorting import sort
from maysend.ledger import Ledger, open_ledger
from maysend.model import Project

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SAMPLES = Path(__file__).parents[1] / "samples"
COLUMNS = ("channel", "group", "address", "profile", "status", "occurred_at", "type", "reason")
PROJECT = {
    "project.yaml": "title: A\ntimezone: America/New_York\nprofiles: {source: p.csv, key: id}\n",
    "channels/email.yaml": "type: email\naddress: mail\n",
    "channels/sms.yaml": "type: sms\naddress: phone\n",
    "subscription_groups/weekly_news.yaml": "title: N\ndescription: D\nchannel: email\ndefault: subscribed\n",
    "subscription_groups/offers.yaml": "title: O\ndescription: D\nchannel: email\ndefault: unsubscribed\n",
    "subscription_groups/alerts.yaml": "title: A\ndescription: D\nchannel: sms\ndefault: subscribed\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return loader.load(tmp_path, plugins.load())


@pytest.fixture
def ledger(project: Project) -> Iterator[Ledger]:
    with open_ledger(project.ledger, project.root, create=True) as ledger:
        yield ledger


def write(file: Path, rows: list[Mapping[str, str]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({"channel": "email", "status": "unsubscribed"} | dict(row) for row in rows)
    return file


def imported(project: Project, ledger: Ledger, *rows: Mapping[str, str], **options: Any) -> Outcome:
    file = write(project.root / "answers.csv", list(rows))
    return import_answers(project, plugins.load().channel_types, ledger, read(file), **options)


def test_rows_apply_in_the_order_of_time(project: Project, ledger: Ledger) -> None:
    outcome = imported(
        project,
        ledger,
        {"profile": "1", "group": "offers", "occurred_at": "2024-03-01"},
        {"profile": "1", "group": "offers", "occurred_at": "2024-02-01T00:00:00Z", "status": "subscribed"},
        {"profile": "1", "group": "weekly_news", "reason": "now"},
        {"address": " ANN@x.org ", "type": "spam", "occurred_at": "2024-01-01T10:00:00+02:00"},
    )
    assert (outcome.read, outcome.changed, outcome.unchanged, outcome.refused) == (4, 4, 0, [])
    told = [(event.group, event.resubscribed, event.address, event.type) for event in ledger.events()]
    assert told == [
        (None, False, "ann@x.org", "spam"),
        ("offers", True, None, None),
        ("offers", False, None, None),
        ("weekly_news", False, None, None),
    ]
    dates = [event.occurred_at for event in ledger.events()]
    assert dates[0] == datetime(2024, 1, 1, 8, tzinfo=UTC)
    assert dates[2] == datetime(2024, 3, 1, 5, tzinfo=UTC)  # midnight in the project's time zone
    assert all(event.source == "import" and event.revision == project.revision for event in ledger.events())


def test_a_second_import_changes_nothing(project: Project, ledger: Ledger) -> None:
    rows = [{"profile": "1"}, {"profile": "1", "group": "offers", "status": "subscribed", "occurred_at": "2024-01-01"}]
    assert imported(project, ledger, *rows).changed == 2
    again = imported(project, ledger, *rows)
    assert (again.changed, again.unchanged) == (0, 2)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"channel": "emial", "profile": "1"}, 'there is no channel "emial"; did you mean "email"?'),
        ({"group": "offer", "profile": "1"}, 'there is no subscription group "offer"; did you mean "offers"?'),
        ({"group": "alerts", "profile": "1"}, 'subscription group "alerts" is on channel sms, not email'),
        ({"address": "ann"}, '"ann" is no address on channel email'),
        ({}, "names neither an address nor a profile"),
        ({"profile": "1", "status": "left"}, 'status "left" is neither subscribed nor unsubscribed'),
        ({"profile": "1", "status": "subscribed"}, '"subscribed" needs occurred_at: when they said so'),
        ({"profile": "1", "occurred_at": "9999-01-01"}, "occurred_at 9999-01-01 is in the future"),
        ({"profile": "1", "occurred_at": "soon"}, 'occurred_at "soon" is no date or time such as 2024-01-31T18:30:00Z'),
        ({"address": "a@x.org", "type": "gone"}, 'type "gone" is none of bounced, dropped, spam'),
        ({"profile": "1", "type": "spam"}, 'type "spam" goes with an address that is unsubscribed'),
        ({"profile": "1", "reason": "\0"}, "holds a character that no ledger can store"),
    ],
)
def test_a_bad_row_is_refused_and_the_others_are_recorded(
    project: Project, ledger: Ledger, row: Mapping[str, str], message: str
) -> None:
    outcome = imported(project, ledger, {"profile": "0"}, row, {"profile": "2"})
    assert [(number, message in told) for number, told in outcome.refused] == [(2, True)], outcome.refused
    assert (outcome.read, outcome.changed) == (3, 2)


@pytest.mark.parametrize("source", ["page", "one_click", "reply", "feedback", "api", "cli", "import"])
@pytest.mark.parametrize("left", [None, "offers"])
def test_a_yes_does_not_overturn_the_persons_own_no(
    project: Project, ledger: Ledger, source: Any, left: str | None
) -> None:
    then = datetime(2024, 1, 1, tzinfo=UTC)
    ledger.append([Fact(channel="email", group=left, subscribed=False, profile="1", source=source, occurred_at=then)])
    yes = {"profile": "1", "group": "offers", "status": "subscribed", "occurred_at": "2024-01-02"}
    stale = yes | {"occurred_at": "2023-01-01", "group": left or ""}
    own = source in ("page", "one_click", "api", "reply", "feedback")
    for dry_run in (True, False):
        outcome = imported(project, ledger, stale, yes, dry_run=dry_run)
        assert (outcome.changed, outcome.unchanged) == ((0, 1) if own else (1, 1))
        assert [refused.row for refused in outcome.refused] == ([2] if own else [])
    if own:
        assert imported(project, ledger, yes, allow_resubscribe=True).changed == 1
        assert ledger.standing("email", profile="1")[1].in_force("offers") is True


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    project: Project, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "PART", 3)
    random = Random(1)
    imported(project, ledger, {"profile": "1", "group": "offers"}, {"profile": "2"})
    rows = [
        {
            "profile": str(random.randrange(4)),
            "group": random.choice(["offers", "weekly_news", ""]),
            "status": random.choice(["subscribed", "unsubscribed"]),
            "occurred_at": f"2024-01-{random.randrange(1, 28):02}",
        }
        for _ in range(40)
    ]
    before = ledger.last_seq()
    would = imported(project, ledger, *rows, dry_run=True)
    assert ledger.last_seq() == before
    assert imported(project, ledger, *rows) == would
    assert would.changed == ledger.last_seq() - before > 5


def test_what_is_exported_can_be_imported(project: Project, ledger: Ledger, tmp_path: Path) -> None:
    random = Random(2)
    facts = [
        Fact(
            channel="email",
            group=random.choice(["offers", "weekly_news", None]),
            subscribed=random.random() < 0.4,
            address=random.choice([f"p{random.randrange(6)}@x.org", None]),
            profile=str(random.randrange(6)),
            type=random.choice(["bounced", "spam", None]),
            occurred_at=datetime(2024, 1, 1 + random.randrange(28), tzinfo=UTC),
            source="api",
        )
        for _ in range(150)
    ]
    facts.sort(key=lambda fact: fact.occurred_at or datetime.now(UTC))
    ledger.append(facts)
    moment = datetime(2024, 1, 14, tzinfo=UTC)
    rows = [row._asdict() for row in ledger.answers_at(moment)]
    assert rows
    with open_ledger("sqlite:///past.db", tmp_path, create=True) as past:
        past.append([fact for fact in facts if fact.occurred_at and fact.occurred_at <= moment])
        with open_ledger("sqlite:///copy.db", tmp_path, create=True) as copy:
            assert import_answers(project, plugins.load().channel_types, copy, rows).refused == []
            assert sorted(row[:-1] for row in copy.answers()) == sorted(row[:-1] for row in past.answers())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_parquet_and_csv_are_read_alike(project: Project, ledger: Ledger, kind: str) -> None:
    file = write(project.root / "answers.csv", [{"profile": "1", "reason": 'a "line"\nbreak'}, {"address": "é@x.org"}])
    if kind == "parquet":
        rows = duckdb.read_csv(str(file), all_varchar=True)
        file = file.with_suffix(".parquet")
        rows.write_parquet(str(file))
    outcome = import_answers(project, plugins.load().channel_types, ledger, read(file))
    assert (outcome.changed, outcome.refused) == (2, [])
    assert [(e.profile, e.address, e.reason) for e in ledger.events()] == [
        ("1", None, 'a "line"\nbreak'),
        (None, "é@x.org", None),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_delimiter_of_a_source_is_read(project: Project, ledger: Ledger, delimiter: str) -> None:
    file = project.root / "answers.csv"
    rows = (("channel", "status", "profile", "reason"), ("email", "unsubscribed", "1", '"tired; of, mails"'))
    file.write_text("".join(f"{delimiter.join(row)}\n" for row in rows))
    outcome = import_answers(project, plugins.load().channel_types, ledger, read(file))
    assert (outcome.changed, outcome.refused) == (1, [])
    assert [(event.profile, event.reason) for event in ledger.events()] == [("1", "tired; of, mails")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; its first line must name the columns"),
        (b"channel,profile\nemail,1\n", 'has no column "status"; it has channel, profile'),
        (b"channel,status,adress\n", 'has a column "adress" that answers do not have; did you mean "address"?'),
        (b"channel,status,status\n", 'has two columns named "status"'),
        (b"channel,status,reason\nemail,unsubscribed,\xff\n", "is not UTF-8 text"),
        (b'channel,status,reason\nemail,unsubscribed,"open\n', "is not CSV"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_file_of_answers_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "answers.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SourceError, match=message.replace("?", "[?]")):
        list(read(file))


def test_a_row_of_another_width_is_refused(project: Project, ledger: Ledger) -> None:
    file = project.root / "answers.csv"
    file.write_text("channel,status,profile\nemail,unsubscribed\nemail,unsubscribed,1,2\n\nemail,unsubscribed,3\n")
    outcome = import_answers(project, plugins.load().channel_types, ledger, read(file))
    assert outcome.refused == [
        (1, "has 2 cells where the header has 3"),
        (2, "has 4 cells where the header has 3"),
    ]
    assert outcome.changed == 1


def test_more_rows_than_memory_holds_are_sorted() -> None:
    random = Random(3)
    items = [(random.randrange(50), number, f"{number}") for number in range(1_000)]
    assert list(sort(items, run=7)) == sorted(items)


AT = "2024-01-01T12:00:00+00:00"
LATER = "2024-01-01T12:00:01+00:00"
FIELDS = ("group", "address", "profile", "status", "occurred_at")


@pytest.mark.parametrize(
    ("file", "groups", "expected"),
    [
        (
            "sendgrid_group.csv",
            {"": "offers"},
            [
                ("offers", "Ann@x.org", None, "unsubscribed", AT),
                ("offers", "bob@x.org", None, "unsubscribed", LATER),
            ],
        ),
        (
            "sendgrid_suppressions.json",
            {},
            [
                ("weekly_news", "ann@x.org", None, "unsubscribed", AT),
                ("offers", "bob@x.org", None, "unsubscribed", LATER),
            ],
        ),
        (
            "ses_contacts.json",
            {"WeeklyNews": "weekly_news"},
            [
                ("weekly_news", "ann@x.org", None, "unsubscribed", "2024-01-01T12:00:00.123000+00:00"),
                ("offers", "ann@x.org", None, "subscribed", "2024-01-01T12:00:00.123000+00:00"),
                ("", "bob@x.org", None, "unsubscribed", "2024-01-01T12:00:00.500000+00:00"),
            ],
        ),
        (
            "mailchimp_subscribed.csv",
            {"Weekly news": "weekly_news"},
            [
                ("", "ann@x.org", None, "subscribed", "2024-01-01 12:00:00Z"),
                ("weekly_news", "ann@x.org", None, "subscribed", "2024-01-01 12:00:00Z"),
            ],
        ),
        ("mailchimp_unsubscribed.csv", {}, [("", "bob@x.org", None, "unsubscribed", "2024-01-01 12:00:00Z")]),
        ("mailchimp_cleaned.csv", {}, [("", "cid@x.org", None, "unsubscribed", "2024-01-01 12:00:00Z")]),
        ("listmonk_subscribers.csv", {}, [("", "bob@x.org", None, "unsubscribed", "2024-01-01T12:00:00.5+00:00")]),
        (
            "listmonk_subscribers.json",
            {},
            [
                ("weekly_news", "ann@x.org", None, "unsubscribed", "2024-01-01T12:00:00Z"),
                ("offers", "ann@x.org", None, "subscribed", "2024-01-02T12:00:00Z"),
            ],
        ),
        (
            "clevertap_upload.json",
            {},
            [
                ("weekly_news", "ann@x.org", None, "unsubscribed", None),
                ("offers", "ann@x.org", None, "unsubscribed", None),
                ("offers", "Bob@x.org", "4711", "subscribed", AT),
            ],
        ),
        (
            "clevertap_profiles.jsonl",
            {},
            [
                ("weekly_news", "ann@x.org", "4711", "unsubscribed", AT),
                ("offers", "ann@x.org", "4711", "subscribed", AT),
            ],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_other_services_exports(
    project: Project, ledger: Ledger, file: str, groups: Mapping[str, str], expected: list[tuple[str | None, ...]]
) -> None:
    known = frozenset(group.name for group in project.groups_of("email"))
    rows = list(foreign(SAMPLES / file, file.split("_")[0], "email", groups, known))
    assert [
        tuple(row[name] for name in ("group", "address", "profile", "status", "occurred_at")) for row in rows
    ] == expected
    outcome = import_answers(project, plugins.load().channel_types, ledger, rows)
    assert (outcome.changed, outcome.refused) == (len(expected), [])


def test_a_group_of_theirs_that_is_none_of_ours_is_refused(project: Project, ledger: Ledger) -> None:
    rows = foreign(SAMPLES / "ses_contacts.json", "ses", "email", {}, frozenset(["offers"]))
    outcome = import_answers(project, plugins.load().channel_types, ledger, rows)
    assert [refused.message for refused in outcome.refused] == [
        'there is no subscription group "WeeklyNews"; did you mean "weekly_news"?'
    ]


@pytest.mark.parametrize("service", sorted(FORMATS))
@pytest.mark.parametrize("name", ["people.csv", "people.json"])
def test_people_who_are_no_export_are_told(tmp_path: Path, service: str, name: str) -> None:
    """Whoever reads "0 read" believes that the opt-outs are in."""
    person = {"id": "1", "identity": "1", "email": "ann@x.org", "Email Address": "ann@x.org", "status": "gold"}
    lines = (",".join(person), ",".join(person.values()))
    (tmp_path / name).write_text(json.dumps([person]) if name.endswith(".json") else "\n".join(lines))
    with pytest.raises(SourceError, match=f"{name}: record 1 is not as {service} exports it"):
        list(foreign(tmp_path / name, service, "email", {"": "offers"}, frozenset()))


def test_a_file_of_another_service_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="record 1 is not as ses exports it"):
        list(foreign(SAMPLES / "sendgrid_suppressions.json", "ses", "email", {}, frozenset()))
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(SourceError, match="is not JSON"):
        list(foreign(tmp_path / "x.json", "ses", "email", {}, frozenset()))
