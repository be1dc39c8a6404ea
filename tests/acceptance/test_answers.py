"""The commands about answers, as people and scripts call them."""

from __future__ import annotations

import csv
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

Run = Callable[..., Any]

SAMPLE = Path(__file__).parents[1] / "samples" / "arf_complaint.eml"
PROJECT = {
    "project.yaml": "title: A\nprofiles: {source: p.csv, key: id}\n",
    "channels/email.yaml": "type: email\naddress: mail\n",
    "subscription_groups/news.yaml": "title: N\ndescription: D\nchannel: email\ndefault: subscribed\n",
    "subscription_groups/offers.yaml": "title: O\ndescription: D\nchannel: email\ndefault: unsubscribed\n",
    "campaigns/daily.yaml": "title: D\nchannel: email\nsubscription_groups: {all: [news]}\n",
    "p.csv": "id,mail\n1,Home@x.org\n2,home@x.org\n3,\n",
}
NEITHER = {"news": "Subscribed", "offers": "Unsubscribed"}


@pytest.fixture
def project(tmp_path: Path, here: Run) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    here("init", cwd=tmp_path)
    return tmp_path


def test_leaving_and_returning(project: Path, maysend: Run, maysend_json: Run) -> None:
    def status(*who: str) -> dict[str, Any]:
        found: dict[str, Any] = maysend_json("status", *who, cwd=project)
        return found

    (event,) = maysend_json(
        "unsubscribe", "email", "--address", " HOME@x.org", "--group", "news", "--reason", "tired", cwd=project
    )["events"]
    assert (event["address"], event["profile"], event["group"], event["source"]) == ("home@x.org", None, "news", "cli")
    assert (event["resubscribed"], event["reason"], event["subscription_type"]) == (False, "tired", "Account")
    again = maysend("unsubscribe", "email", "--address", "home@x.org", "--group", "news", cwd=project)
    assert again.stdout == "nothing changed: that is the answer already\n"
    maysend("unsubscribe", "email", "--profile", "2", cwd=project)
    left = {"news": "Unsubscribed", "offers": "Unsubscribed"}
    assert status("--profile", "1") == {"channels": {"email": "subscribed"}, "subscription_groups": left}
    assert status("--profile", "2") == {"channels": {"email": "unsubscribed"}, "subscription_groups": left}
    assert status("--profile", "3") == {"channels": {"email": "subscribed"}, "subscription_groups": NEITHER}
    maysend("resubscribe", "email", "--address", "home@x.org", "--group", "news", cwd=project)
    assert status("--address", "home@x.org")["subscription_groups"] == NEITHER
    told = maysend_json("history", "--channel", "email", "--profile", "2", cwd=project)["events"]
    assert [(e["group"], e["resubscribed"]) for e in told] == [("news", False), (None, False), ("news", True)]
    lines = maysend("history", "--profile", "2", cwd=project).stdout.splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == [
        "home@x.org left group news (by cli, tired)",
        "profile 2 left channel email (by cli)",
        "home@x.org returned to group news (by cli)",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unsubscribe", "emial", "--profile", "1"], 'there is no channel "emial"; did you mean "email"?'),
        (["unsubscribe", "email", "--profile", "1", "--group", "new"], 'there is no subscription group "new"; did you'),
        (["unsubscribe", "email", "--profile", "1", "--campaign", "x"], 'there is no campaign "x"'),
        (["unsubscribe", "email", "--address", "nobody"], '"nobody" is no address on channel email (E-mail)'),
        (["unsubscribe", "email"], "say who: --address, --profile, or both"),
        (["status", "--address", "a@x.org", "--profile", "1"], "say who: either --address or --profile"),
        (["history"], "say who: either --address or --profile"),
        (["import", "p.csv", "--channel", "email"], "--channel and --group go with --format"),
        (
            ["import", "p.csv", "--format", "arff"],
            '"arff" is none of arf, clevertap, events, listmonk, mailchimp, sendgrid, ses',
        ),
        (["import", "x.eml", "--group", "news"], "--group does not go with reports"),
        (["export", "--out", "answers.xlsx"], "ends in neither .csv nor .parquet"),
        (["erase"], "say who: --address, --profile, or both"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_exit_code_2(project: Path, maysend: Run, arguments: list[str], message: str) -> None:
    assert message in maysend(*arguments, cwd=project, code=2).stderr


def test_a_file_of_answers(project: Path, maysend: Run, maysend_json: Run) -> None:
    (project / "answers.csv").write_text(
        "channel,group,address,profile,status,occurred_at,type,reason\n"
        "email,news,home@x.org,,unsubscribed,2024-01-01T00:00:00Z,,\n"
        "email,nwes,home@x.org,,unsubscribed,2024-01-01T00:00:00Z,,\n"
    )
    (project / ".maysend" / "ledger.db").unlink()
    assert "is missing; restore it from a backup" in maysend("import", "answers.csv", cwd=project, code=1).stderr
    expected = {
        "read": 2,
        "changed": 1,
        "unchanged": 0,
        "refused": [{"row": 2, "message": 'there is no subscription group "nwes"; did you mean "news"?'}],
    }
    for options in (["--create", "--dry-run"], ["--create"]):
        assert maysend_json("import", "answers.csv", *options, cwd=project, code=1) == expected
        assert (project / ".maysend" / "ledger.db").exists() is (options == ["--create"])
    told = maysend("import", "answers.csv", cwd=project, code=1)
    assert told.stdout == "2 read: 0 changed, 1 unchanged, 1 refused\n"
    assert "row 2: there is no subscription group" in told.stderr


def test_complaint_mails_are_feedback(project: Path, maysend: Run, maysend_json: Run) -> None:
    """One by one, from a mailbox, and from a directory; what is no complaint is refused, and the others are heard."""
    complaint = SAMPLE.read_bytes()
    told = maysend_json("import", SAMPLE, cwd=project)
    assert told == {"read": 1, "changed": 1, "unchanged": 0, "refused": []}
    (event,) = maysend_json("history", "--address", "home@x.org", cwd=project)["events"]
    assert (event["source"], event["type"], event["reason"]) == ("feedback", "spam", "abuse report")
    assert (event["occurred_at"], event["group"]) == ("2024-05-01T12:00:36.000000Z", None)
    others = [complaint.replace(b"Home@x.org", f"p{number}@x.org".encode()) for number in range(2)]
    ahead = complaint.replace(b"Home@x.org", b"p2@x.org").replace(b"May 2024", b"May 2124")
    (project / "all.mbox").write_bytes(b"".join(b"From x Thu Jan  1 00:00:00 2024\n" + mail + b"\n" for mail in others))
    told = maysend_json("import", "all.mbox", "--format", "arf", cwd=project)
    assert (told["changed"], told["refused"]) == (2, [])
    (project / "mails").mkdir()
    for name, mail in {"1.eml": complaint, "2": ahead, "3.txt": b"Subject: lunch?\n\nAt one?"}.items():
        (project / "mails" / name).write_bytes(mail)
    told = maysend_json("import", "mails", "--format", "arf", "--channel", "email", cwd=project, code=1)
    (refused,) = told["refused"]
    assert (told["read"], told["changed"], told["unchanged"]) == (3, 1, 1)
    assert (refused["row"], refused["message"].startswith("3.txt: is not a report in the Abuse")) == (3, True)
    (event,) = maysend_json("history", "--address", "p2@x.org", cwd=project)["events"]
    assert event["occurred_at"] < "2124"  # from the future: taken for now
    assert "cannot be read: No such file" in maysend("import", "gone.eml", cwd=project, code=1).stderr


@pytest.mark.parametrize(
    "command",
    [
        ["validate"],
        ["evaluate", "--out", "out"],
        ["explain", "daily", "1"],
        ["status", "--profile", "1"],
        ["history", "--profile", "1"],
        ["history", "--verify"],
        ["unsubscribe", "email", "--profile", "1"],
        ["resubscribe", "email", "--profile", "1"],
        ["import", "p.csv"],
        ["export", "--out", "answers.csv"],
        ["export", "--profiles", "--out", "answers.csv"],
        ["erase", "--profile", "1"],
        ["deliver"],
    ],
    ids=" ".join,
)
def test_a_missing_ledger_is_never_an_empty_one(project: Path, here: Run, command: list[str]) -> None:
    (project / ".maysend" / "ledger.db").unlink()
    said = here(*command, cwd=project, code=1)
    assert "is missing; restore it from a backup" in said.stdout + said.stderr
    assert not list((project / ".maysend").glob("ledger*"))
    assert not (project / "out").exists()
    assert not (project / "answers.csv").exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("default: unsubscribed", '"unsubscribed" would move 3 people who never answered'),
        ("channel: letter", 'subscription group "news" was on channel "email", and its answers stay there'),
        (None, 'subscription group "news" is in the ledger and no longer here'),
    ],
    ids=["flipped default", "moved group", "deleted group"],
)
def test_what_would_bring_people_back_in_silence_stops_every_run(
    project: Path, here: Run, line: str | None, told: str
) -> None:
    (project / "channels" / "letter.yaml").write_text("type: email\naddress: mail\n")
    (project / "campaigns" / "daily.yaml").write_text("title: D\nchannel: email\n")
    file = project / "subscription_groups" / "news.yaml"
    if line is None:
        file.unlink()
    else:
        kept = [old for old in file.read_text().splitlines() if old.partition(":")[0] != line.partition(":")[0]]
        file.write_text("\n".join([*kept, line]))
    for command in (
        ["validate"],
        ["evaluate", "--out", "out"],
        ["explain", "daily", "1"],
        ["export", "--profiles", "--out", "answers.csv"],
    ):
        said = here(*command, cwd=project, code=1)
        assert told in said.stdout + said.stderr, command
    assert not (project / "out").exists()
    assert not (project / "answers.csv").exists()


def test_whoever_types_a_key_hears_that_nobody_has_it(project: Path, maysend: Run) -> None:
    """The answer is recorded: the profile may be in tomorrow's table. Scripts are told nothing."""
    at_a_terminal = {"FORCE_COLOR": "1"}
    told = maysend("unsubscribe", "email", "--profile", "03", cwd=project, env=at_a_terminal)
    assert told.stdout.endswith("profile 03 left channel email (by cli)\n")
    assert told.stderr.startswith("note: ")
    assert told.stderr.endswith(' has no profile "03"\n')
    assert not maysend("unsubscribe", "email", "--profile", "3", cwd=project, env=at_a_terminal).stderr
    assert not maysend("unsubscribe", "email", "--profile", "04", cwd=project).stderr


def test_exports(project: Path, maysend: Run, maysend_json: Run) -> None:
    (project / "answers.csv").write_text(
        "channel,group,profile,status,occurred_at\n"
        "email,news,1,unsubscribed,2024-01-01\nemail,news,1,subscribed,2024-03-01\nemail,,2,unsubscribed,2024-02-01\n"
    )
    maysend("import", "answers.csv", cwd=project)
    assert maysend_json("export", "--out", "then.csv", "--as-of", "2024-02-15", cwd=project)["rows"] == 2
    with (project / "then.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["group"], row["profile"], row["status"]) for row in rows] == [
        ("news", "1", "unsubscribed"),
        ("", "2", "unsubscribed"),
    ]
    assert list(rows[0]) == ["channel", "group", "address", "profile", "status", "occurred_at", "type", "reason"]
    maysend("export", "--profiles", "--out", "profiles.parquet", cwd=project)
    assert duckdb.read_parquet(str(project / "profiles.parquet")).fetchall() == [
        ("1", "Subscribed", "Unsubscribed"),
        ("2", "Unsubscribed", "Unsubscribed"),
        ("3", "Subscribed", "Unsubscribed"),
    ]


def test_erasing_and_proving(project: Path, maysend: Run, maysend_json: Run) -> None:
    key = {"MAYSEND_ERASURE_KEY": "a secret that is never rotated"}
    maysend("unsubscribe", "email", "--profile", "1", "--address", "home@x.org", "--group", "news", cwd=project)
    maysend("unsubscribe", "email", "--profile", "3", cwd=project)
    assert "set MAYSEND_ERASURE_KEY" in maysend("erase", "--profile", "1", cwd=project, code=1).stderr
    assert maysend_json("erase", "--profile", "1", cwd=project, env=key)["events"] == 1
    assert "set MAYSEND_ERASURE_KEY" in maysend("status", "--profile", "3", cwd=project, code=1).stderr
    assert maysend_json("history", "--profile", "1", cwd=project, env=key)["events"] == []
    status = maysend_json("status", "--profile", "1", cwd=project, env=key)
    assert status["channels"] == {"email": "unsubscribed"}
    for _ in range(2):  # the first makes a snapshot, the second reads it
        (daily,) = maysend_json("evaluate", "--no-audiences", cwd=project, env=key)["campaigns"]
        assert (daily["included"], daily["excluded"]["channel_unsubscribed"]) == (0, 2)
        explained = maysend_json("explain", "daily", "2", cwd=project, env=key)
        assert explained["reason"] == "channel_unsubscribed"  # the address they shared
    proof = maysend_json("history", "--verify", cwd=project, env=key)
    assert (proof["events"], proof["faults"]) == (2, [])
    ledger = sqlite3.connect(project / ".maysend" / "ledger.db")
    with ledger:
        ledger.execute("UPDATE events SET subscribed = 1 WHERE seq = 2")
    ledger.close()
    told = maysend("history", "--verify", cwd=project, env=key, code=1).stdout
    assert "event 2: was changed, or does not follow the event before it" in told.splitlines()


@pytest.mark.parametrize(
    ("most", "message"),
    [
        (200_000, r".*: no temporary file can be written there: File too large\n"),
        (3_000_000, r"ledger \S+: the disk .*nothing was recorded.*\n"),
    ],
    ids=["the temporary one", "the ledger's"],
)
def test_a_disk_that_fills_up_is_told_in_one_line(project: Path, maysend: Run, most: int, message: str) -> None:
    """No file may grow beyond ``most`` bytes; what is recorded is whole, and a second try does the rest."""
    rows = "".join(f"email,p{number},unsubscribed,{'x' * 80}\n" for number in range(6_000))
    (project / "answers.csv").write_text(f"channel,profile,status,reason\n{rows}")
    program = Path(sys.executable).with_name("maysend")
    done = subprocess.run(
        [program, "import", "answers.csv"],
        cwd=project,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(message, done.stderr), done.stderr
    assert "the chain is whole" in maysend("history", "--verify", cwd=project).stdout
    assert maysend("import", "answers.csv", cwd=project).stdout.startswith("6,000 read: ")
    assert "6,000 events: the chain is whole" in maysend("history", "--verify", cwd=project).stdout
