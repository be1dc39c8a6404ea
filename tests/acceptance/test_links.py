"""``maysend links``: for one profile and for an audience, and headers that other programs read as valid."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import duckdb
import pytest
from listunsub import audit, choose, parse_header

from maysend import audience_links, loader, plugins, tokens
from maysend.ledger import open_ledger
from maysend.tokens import Link
from serving import KEY, write

ENV = {"MAYSEND_KEYS": KEY}
HEADERS = ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    write(root, "sqlite:///ledger.db")
    open_ledger("sqlite:///ledger.db", root, create=True).close()
    return root


def opened(url: str) -> Link:
    return tokens.open_link(tokens.Sealer(tokens.read_keys(KEY), "link"), url.rpartition("/")[2])


def write_links(root: Path, audience: Path, out: Path, **also: Any) -> int:
    project = loader.load(root, plugins.load())
    return audience_links.write_links(project, project.campaigns["hello"], tokens.read_keys(KEY), audience, out, **also)


def test_a_profile_s_links_hold_what_was_named_at_sending(project: Path, maysend_json: Any) -> None:
    found = maysend_json("links", "weekend", "--profile", "1", cwd=project, env=ENV)
    token = found["group_page"].removeprefix("https://mail.example.com/u/")
    assert opened(token) == Link("email", "weekend", ("news", "offers", "club"), "1", "ann@example.com")
    assert found == {
        "group_page": f"https://mail.example.com/u/{token}",
        "preference_page": f"https://mail.example.com/p/{token}",
        "headers": {
            "List-Unsubscribe": f"<https://mail.example.com/u/{token}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "List-Id": "News & views <news.mail.example.com>",
        },
    }
    assert maysend_json("links", "weekend", "--profile", "1", cwd=project, env=ENV) == found
    test = maysend_json("links", "hello", "--profile", "2", "--test", cwd=project, env=ENV)
    assert opened(test["group_page"]) == Link("email", "hello", (), "2", "ben@example.com", test=True)
    assert test["headers"]["List-Id"] == "The Morning Post <email.mail.example.com>"


def test_a_text_message_has_links_and_no_headers(
    project: Path, tmp_path: Path, maysend: Any, maysend_json: Any
) -> None:
    found = maysend_json("links", "flash", "--profile", "1", cwd=project, env=ENV)
    assert opened(found["group_page"]) == Link("sms", "flash", ("alerts",), "1", "+15551230001")
    assert found["headers"] == {}
    maysend("links", "flash", "--out", tmp_path / "links.csv", cwd=project, env=ENV)
    header = (tmp_path / "links.csv").read_text("utf-8").splitlines()[0]
    assert header == "id,address,unsubscribe_url,preferences_url"


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("https://post.example/choose", "https://post.example/choose?token={}"),
        ("https://post.example/choose?a=1#top", "https://post.example/choose?a=1&token={}#top"),
        ("https://post.example/#t={token}", "https://post.example/#t={}"),
    ],
)
def test_links_lead_to_a_preference_page_of_one_s_own(
    project: Path, maysend_json: Any, declared: str, expected: str
) -> None:
    settings = (
        (project / "project.yaml").read_text("utf-8").replace("pages: {", f'pages: {{preference_url: "{declared}", ')
    )
    (project / "project.yaml").write_text(settings, "utf-8")
    found = maysend_json("links", "daily", "--profile", "1", cwd=project, env=ENV)
    assert found["preference_page"] == expected.format(found["group_page"].rpartition("/")[2])


@pytest.mark.parametrize(
    "title", ["News", "News & views", 'A "quoted" title, with: everything;', "Nouveautés", "समाचार " * 12, "x" * 200]
)
def test_other_programs_read_our_headers_as_valid(project: Path, maysend_json: Any, title: str) -> None:
    quoted = title.replace('"', '\\"')
    (project / "subscription_groups" / "news.yaml").write_text(
        f'title: "{quoted}"\nchannel: email\ndefault: subscribed\n', "utf-8"
    )
    found = maysend_json("links", "daily", "--profile", "1", cwd=project, env=ENV)
    headers = found["headers"]
    assert audit(headers["List-Unsubscribe"], headers["List-Unsubscribe-Post"]) == []
    parsed = parse_header(headers["List-Unsubscribe"], strict=True)
    action = choose(parsed, headers["List-Unsubscribe-Post"], dkim_verified=True)
    assert action
    assert (action.kind, action.uri) == ("one-click", found["group_page"])

    message = EmailMessage(policy=policy.SMTP)
    for name in HEADERS:
        message[name] = headers[name]
    message.set_content("Hello")
    again = message_from_bytes(message.as_bytes(), policy=policy.default)
    assert not any(again[name].defects for name in HEADERS)
    assert again["List-Unsubscribe"].replace(" ", "") == headers["List-Unsubscribe"]
    assert again["List-Unsubscribe-Post"] == headers["List-Unsubscribe-Post"]
    shown, identifier = parseaddr(headers["List-Id"].replace("<news.", "<news@"))
    assert identifier == "news@mail.example.com"
    assert message_from_bytes(f"X: {shown}\n\n".encode(), policy=policy.default)["X"].strip() == title.strip()


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_an_audience_s_links_are_those_of_each_profile(
    project: Path, tmp_path: Path, maysend: Any, maysend_json: Any, ending: str
) -> None:
    out = tmp_path / f"links.{ending}"
    maysend("evaluate", "weekend", "--out", tmp_path / "audiences", "--format", ending, cwd=project)
    told = maysend_json("links", "weekend", "--audiences", tmp_path / "audiences", "--out", out, cwd=project, env=ENV)
    assert told == {"campaign": "weekend", "rows": 2, "file": str(out)}
    relation = duckdb.read_csv(str(out), all_varchar=True) if ending == "csv" else duckdb.read_parquet(str(out))
    assert relation.columns == [
        "id",
        "address",
        "unsubscribe_url",
        "preferences_url",
        "list_unsubscribe",
        "list_unsubscribe_post",
        "list_id",
    ]
    for row in relation.fetchall():
        one = maysend_json("links", "weekend", "--profile", row[0], cwd=project, env=ENV)
        assert row[2:] == (one["group_page"], one["preference_page"], *(one["headers"][name] for name in HEADERS))
    assert [(row[0], row[1]) for row in relation.fetchall()] == [("1", "ann@example.com"), ("2", "ben@example.com")]
    again = tmp_path / f"again.{ending}"
    maysend("links", "weekend", "--out", again, cwd=project, env=ENV)
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("number", [15_001, 45_001])
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_many_people_s_links_stay_in_order(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, ending: str
) -> None:
    """In one process, and in several."""
    audience, out = tmp_path / f"hello.{ending}", tmp_path / "links.parquet"
    duckdb.sql(
        f"COPY (SELECT range AS id, 'p' || range || '@example.com' AS address FROM range({number})) TO '{audience}'"
    )
    monkeypatch.setattr(audience_links, "ROWS", 5_000)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    seen: list[tuple[int, int]] = []
    written = write_links(project, audience, out, progress=lambda *so_far: seen.append(so_far))
    assert written == number
    assert seen == [*((done, number) for done in range(5_000, number, 5_000)), (number, number)]
    rows = duckdb.sql(f"SELECT id, unsubscribe_url FROM '{out}'").fetchall()
    assert [int(key) for key, _ in rows] == list(range(number))
    for key in (0, 4_999, 5_000, number - 1):
        assert opened(rows[key][1]) == Link("email", "hello", (), str(key), f"p{key}@example.com")


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_any_text_may_be_a_key_or_an_address(project: Path, tmp_path: Path, ending: str) -> None:
    audience, out = tmp_path / f"hello.{ending}", tmp_path / f"links.{ending}"
    odd = [
        '"',
        'a"b',
        ",",
        "a,b",
        "a\nb",
        "a\r\nb",
        "'",
        "\\",
        "\\N",
        " spaced ",
        "{token}",
        "007",
        "日本😀",
        "x" * 500,
    ]
    people = [*zip(odd, reversed(odd), strict=True)]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE people (id VARCHAR, address VARCHAR)")
        connection.executemany("INSERT INTO people VALUES (?, ?)", people)
        connection.execute(f"COPY people TO '{audience}'")
    write_links(project, audience, out)
    if ending == "csv":
        written = duckdb.read_csv(str(out), all_varchar=True, quotechar='"', escapechar='"', strict_mode=True)
    else:
        written = duckdb.read_parquet(str(out))
    found = written.project("id, address, unsubscribe_url").fetchall()
    assert [row[:2] for row in found] == people
    assert [opened(url) for *_, url in found] == [Link("email", "hello", (), *one) for one in people]


def test_nobody_s_links_are_columns_without_rows(project: Path, tmp_path: Path) -> None:
    audience, out = tmp_path / "hello.parquet", tmp_path / "links.parquet"
    duckdb.sql(f"COPY (SELECT range AS id, 'p' AS address FROM range(0)) TO '{audience}'")
    assert write_links(project, audience, out) == 0
    assert duckdb.read_parquet(str(out)).columns[:3] == ["id", "address", "unsubscribe_url"]
    assert duckdb.read_parquet(str(out)).fetchall() == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("dayly", "--profile", "1"), 2, 'there is no campaign "dayly"; did you mean "daily"?'),
        (("daily", "--profile", "9"), 2, 'there is no profile "9" with an address on channel email'),
        (("daily", "--profile", "3"), 2, 'there is no profile "3" with an address on channel email'),
        (("daily",), 2, "say whose links: --profile KEY for one, --out FILE for the whole audience"),
        (("daily", "--out", "links.txt"), 2, "--out ends in .parquet or .csv"),
        (("daily", "--out", "x.csv", "--audiences", "nowhere"), 2, "Directory 'nowhere' does not exist."),
        (("daily", "--out", "x.csv", "--audiences", "campaigns"), 1, "campaigns: has no audience of daily"),
        (("daily", "--out", "project.yaml/x.csv"), 1, "project.yaml/x.csv: cannot be written"),
    ],
)
def test_it_says_what_is_wrong(
    project: Path, maysend: Any, arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert message in maysend("links", *arguments, cwd=project, code=code, env=ENV).stderr


def test_it_needs_a_key_and_a_base_url(project: Path, maysend: Any) -> None:
    told = maysend("links", "daily", "--profile", "1", cwd=project, code=1, env={"MAYSEND_KEYS": ""}).stderr
    assert "MAYSEND_KEYS is not set" in told
    settings = (project / "project.yaml").read_text("utf-8")
    (project / "project.yaml").write_text(re.sub(r"\npages: .*\n", "\n", settings), "utf-8")
    told = maysend("links", "daily", "--profile", "1", cwd=project, code=1, env=ENV).stderr
    assert told == "project.yaml: links start with pages.base_url, which is missing; add it\n"


def test_keys_are_made_and_listed_and_never_shown(project: Path, maysend: Any, maysend_json: Any) -> None:
    variable, _, key = maysend("keys", "new", cwd=project).stdout.strip().partition("=")
    assert variable == "MAYSEND_KEYS"
    keys = {"MAYSEND_KEYS": f"{key},{KEY}"}
    listed = maysend_json("keys", "list", cwd=project, env=keys)["keys"]
    assert [one["seals"] for one in listed] == [True, False]
    shown = maysend("keys", "list", cwd=project, env=keys).stdout
    assert all(one["fingerprint"] in shown for one in listed)
    assert key not in shown
    assert KEY not in shown


@pytest.mark.parametrize(
    ("missing", "arguments", "message"),
    [
        ("cryptography", ["keys", "new"], "links are sealed with cryptography; run `pip install 'maysend[server]'`"),
        ("starlette", ["serve"], "serve needs starlette; run `pip install 'maysend[server]'`"),
        ("uvicorn", ["serve"], "serve needs uvicorn; run `pip install 'maysend[server]'`"),
    ],
)
def test_without_the_extra_it_says_what_to_install(
    project: Path, missing: str, arguments: list[str], message: str
) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv[1:] = {arguments}; from maysend.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"{message}\n")
