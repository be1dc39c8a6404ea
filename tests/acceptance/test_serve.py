"""The server as a whole: API, feedback and replies; reloading, stopping, and what it refuses to start with."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
import sqlalchemy

from maysend import tokens
from maysend.ledger import open_ledger
from serving import KEY, Form, Server, serving, write

ONE_CLICK = "List-Unsubscribe=One-Click"
BEARER = {"authorization": "Bearer s3cret"}


def until(true: Callable[[], object], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.1)


# The JSON API


def test_the_api_shows_and_changes_what_the_page_does(server: Server, client: httpx.Client) -> None:
    path = f"/api/preferences/{server.fresh('weekend')}"
    shown = client.get(path).json()
    assert {key: shown[key] for key in ("channel", "campaign", "test", "subscribed")} == {
        "channel": "email",
        "campaign": "weekend",
        "test": False,
        "subscribed": True,
    }
    assert shown["address"].startswith("p•••@e•••.com")
    assert [group["name"] for group in shown["link_groups"]] == ["news", "offers", "club"]
    before = len(server.events())
    changed = client.post(path, json={"groups": {"news": False, "club": True}}).json()
    assert changed["changed"] == 2
    assert {group["name"]: group["subscribed"] for group in changed["link_groups"]} == {
        "news": False,
        "offers": True,
        "club": True,
    }
    assert client.post(path, json={"groups": {"news": False}}).json()["changed"] == 0
    assert client.post(path, json={"subscribed": False, "groups": {"concerts": True}}).json()["subscribed"] is False
    assert not any(group["subscribed"] for group in client.get(path).json()["groups"])
    assert {(event.source, event.campaign_id) for event in server.events()[before:]} == {("api", "weekend")}


@pytest.mark.parametrize(
    ("content", "type", "status"),
    [
        ('{"groups": {"news": false, "letter": false}}', "application/json", 409),
        ('{"groups": {"news": "off"}}', "application/json", 422),
        ('{"groups": {"": false}}', "application/json", 422),
        ('{"groups": {"\\ud800": true}}', "application/json", 409),
        ('{"groups": ["news"]}', "application/json", 422),
        ('{"subscribed": 0}', "application/json", 422),
        ('{"unsubscribed": true}', "application/json", 422),
        ("[]", "application/json", 422),
        ("null", "application/json", 422),
        ("{", "application/json", 400),
        ("[" * 60_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        ("{" + " " * 100_000, "application/json", 413),
        ('{"groups": {"news": false}}', "text/plain", 415),
        ('{"groups": {"news": false}}', "", 415),
    ],
)
def test_the_api_changes_all_or_nothing(
    server: Server, client: httpx.Client, content: str | bytes, type: str, status: int
) -> None:
    before = len(server.events())
    answer = client.post(f"/api/preferences/{server.fresh('daily')}", content=content, headers={"content-type": type})
    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)
    assert len(server.events()) == before


def test_only_declared_origins_may_call_the_api(server: Server, client: httpx.Client) -> None:
    path = f"/api/preferences/{server.fresh('daily')}"
    for method in ("GET", "OPTIONS"):
        ours = client.request(method, path, headers={"origin": "https://post.example"})
        assert ours.headers["access-control-allow-origin"] == "https://post.example"
        assert "access-control-allow-credentials" not in ours.headers
        for other in ("https://evil.example", "https://post.example.evil.example", "null"):
            theirs = client.request(method, path, headers={"origin": other})
            assert "access-control-allow-origin" not in theirs.headers
    page = client.get(path.replace("api/preferences", "p"), headers={"origin": "https://post.example"})
    assert "access-control-allow-origin" not in page.headers


def test_the_script_and_the_openapi_document_are_there(client: httpx.Client) -> None:
    script = client.get("/maysend.js")
    assert script.headers["content-type"].startswith("text/javascript")
    for method in ("getEmail", "getSubscriptionGroups", "changeSubscriptionGroups", "unSubEmail", "subEmail"):
        assert f"{method}: " in script.text
    document = client.get("/api/openapi.json").json()
    assert document["servers"] == [{"url": "/"}]
    assert "/api/preferences/{token}" in document["paths"]


# Feedback and replies


def test_feedback_answers_for_the_address(server: Server, client: httpx.Client) -> None:
    failed = [
        {"type": "hard_bounce", "email": " Gone@Example.com", "description": "550\x00 unknown"},
        {"type": "soft_bounce", "email": "full@example.com"},
        {"type": "spam", "email": "angry@example.com"},
        {"type": "spam", "email": "no address"},
        {"type": "spam", "email": "half a letter\ud800@example.com"},
        {"type": "spam", "email": None},
    ]
    before = len(server.events())
    for changed in (2, 0):
        body = json.dumps({"events": {"failed": failed}})
        answer = client.post("/feedback/smtp_v2", content=body, headers=BEARER)
        assert (answer.status_code, answer.json()) == (200, {"reports": 5, "changed": changed})
    assert [
        (event.address, event.profile, event.group, event.type, event.source, event.reason)
        for event in server.events()[before:]
    ] == [
        ("gone@example.com", None, None, "bounced", "feedback", "550 unknown"),
        ("angry@example.com", None, None, "spam", "feedback", None),
    ]


@pytest.mark.parametrize(
    "wrong",
    [{"email": 5}, {"email": False}, {"email": []}, {"description": 5}, {"description": ["a"]}, {"type": ["spam"]}],
)
def test_feedback_that_is_no_text_is_refused(server: Server, client: httpx.Client, wrong: dict[str, Any]) -> None:
    failed = [{"type": "spam", "email": "x@example.com"} | wrong]
    answer = client.post("/feedback/smtp_v2", json={"events": {"failed": failed}}, headers=BEARER)
    assert (answer.status_code, "error" in answer.json()) == (400, True)


def test_feedback_is_taken_only_where_declared_and_verified(server: Server, client: httpx.Client) -> None:
    before = len(server.events())
    body = {"events": {"failed": [{"type": "spam", "email": "x@example.com"}]}}
    basic = b64encode(b"any:wrong").decode()
    for path, headers, status in (
        ("/feedback/ses", BEARER, 404),
        ("/feedback/smtp_v3", BEARER, 404),
        ("/feedback/smtp_v2", {}, 401),
        ("/feedback/smtp_v2", {"authorization": f"Basic {basic}"}, 401),
    ):
        answer = client.post(path, json=body, headers=headers)
        assert (answer.status_code, "error" in answer.json()) == (status, True)
        assert ("www-authenticate" in answer.headers) is (status == 401)
    assert client.get("/feedback/smtp_v2", headers=BEARER).status_code == 405
    assert len(server.events()) == before


@pytest.mark.parametrize(
    ("body", "events"),
    [
        ("STOP", [False]),
        (" stop. ", [False]),
        ("Stop all", [False]),
        ("START", []),
        ("please stop sending me this", []),
        ("HELP", []),
        ("", []),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_keyword_replies_leave_the_channel(
    server: Server, client: httpx.Client, body: str, events: list[bool], as_json: bool
) -> None:
    number = f"+1555{next(server.newcomers):07}"
    before = len(server.events())
    told = {"From": f"00{number[1:]}", "Body": body}
    sent: dict[str, Any] = {"json": told} if as_json else {"data": told}
    if body == "START":
        client.post("/replies/sms", headers=BEARER, data={"from": number, "body": "QUIT"})
        before, events = len(server.events()), [True]
    answer = client.post("/replies/sms", headers=BEARER, **sent)
    assert (answer.status_code, answer.json()) == (200, {"changed": len(events)})
    assert [
        (event.resubscribed, event.address, event.channel, event.group, event.source)
        for event in server.events()[before:]
    ] == [(returned, number, "sms", None, "reply") for returned in events]


@pytest.mark.parametrize(
    ("path", "headers", "data", "status"),
    [
        ("/replies/sms", {}, {"from": "+15550000001", "body": "STOP"}, 401),
        ("/replies/email", BEARER, {"from": "a@example.com", "body": "STOP"}, 404),
        ("/replies/sms", BEARER, {"from": "nobody", "body": "STOP"}, 422),
        ("/replies/sms", BEARER, {"body": "STOP"}, 422),
    ],
)
def test_a_reply_is_taken_only_where_declared_and_verified(
    server: Server, client: httpx.Client, path: str, headers: dict[str, str], data: dict[str, str], status: int
) -> None:
    before = len(server.events())
    assert client.post(path, headers=headers, data=data).status_code == status
    assert len(server.events()) == before


# Declarations that change


@contextmanager
def visited_all_the_time(server: Server) -> Iterator[list[int]]:
    """Somebody opens and posts a test link's pages without a pause; the status of each answer."""
    paths = [f"/{page}/{server.fresh('daily', test=True)}" for page in ("u", "p")]
    statuses: list[int] = []
    ended = Event()

    def visit() -> None:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            while not ended.is_set():
                statuses.extend(client.get(path).status_code for path in paths)
                statuses.append(client.post(paths[0], content=ONE_CLICK).status_code)

    with ThreadPoolExecutor(1) as pool:
        visiting = pool.submit(visit)
        try:
            yield statuses
        finally:
            ended.set()
            visiting.result()


def test_changed_declarations_are_taken_in_and_broken_ones_are_not(tmp_path: Path) -> None:
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    write(tmp_path, ledger)
    news = tmp_path / "subscription_groups" / "news.yaml"
    with (
        serving(tmp_path, ledger) as server,
        httpx.Client(base_url=server.url) as client,
        visited_all_the_time(server) as statuses,
    ):
        token = server.fresh("daily")
        sent_before = server.fresh("weekend")
        declared = news.read_text("utf-8")

        news.write_text(declared.replace("News & views", "Headlines"), "utf-8")
        until(lambda: "Headlines" in client.get(f"/u/{token}").text)

        news.write_text("title: [", "utf-8")
        until(lambda: "serving the last valid ones" in "".join(server.log))
        assert "Headlines" in client.get(f"/u/{token}").text
        assert "subscription_groups/news.yaml:" in "".join(server.log)

        (tmp_path / "campaigns" / "weekend.yaml").unlink()
        (tmp_path / "campaigns" / "daily.yaml").write_text("title: Daily\nchannel: email\n", "utf-8")
        news.write_text(f"{declared}status: archived\n", "utf-8")
        (tmp_path / "pages").mkdir()
        (tmp_path / "pages" / "left.html").write_text(
            '{% extends "default/left.html" %}{% block heading %}Farewell{% endblock %}', "utf-8"
        )
        until(lambda: "News" not in client.get(f"/p/{token}").text)
        before = len(server.events())
        assert client.post(f"/u/{sent_before}", content=ONE_CLICK).status_code == 200
        assert [(event.group, event.campaign_id) for event in server.events()[before:]] == [
            ("news", "weekend"),
            ("offers", "weekend"),
            ("club", "weekend"),
        ]
        until(lambda: "<h1>Farewell</h1>" in client.post(f"/u/{token}", data={"form": ""}).text)
    assert len(statuses) > 50
    assert set(statuses) == {200}, "no request is dropped while declarations change"


# Stopping


def test_what_was_acknowledged_is_there_after_a_stop(tmp_path: Path) -> None:
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    write(tmp_path, ledger)
    with serving(tmp_path, ledger) as server:
        sealer_tokens = [server.fresh("daily") for _ in range(400)]
        heard: list[str] = []

        def click(token: str) -> None:
            try:
                if httpx.post(f"{server.url}/u/{token}", content=ONE_CLICK, timeout=30).status_code == 200:
                    heard.append(token)
            except httpx.TransportError:
                return

        with ThreadPoolExecutor(16) as pool:
            clicks = [pool.submit(click, token) for token in sealer_tokens]
            until(lambda: len(heard) > 50)
            server.process.send_signal(signal.SIGTERM)
            for done in clicks:
                done.result()
        assert server.process.wait(30) == 0
        recorded = {event.profile for event in server.events()}
    assert 50 < len(heard) < 400
    opener = tokens.Sealer(tokens.read_keys(KEY), "link")
    assert {tokens.open_link(opener, token).profile for token in heard} <= recorded


# Starting


def test_a_stop_is_heard_as_soon_as_it_serves(tmp_path: Path) -> None:
    """``serving`` sends the signal at the first line that is logged, and wants exit code 0."""
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    write(tmp_path, ledger)
    for _ in range(3):
        with serving(tmp_path, ledger):
            """Nothing: it is stopped at once."""


@pytest.mark.parametrize(
    ("arguments", "env", "message"),
    [
        ((), {"MAYSEND_KEYS": ""}, "MAYSEND_KEYS is not set, and links need a key; `maysend keys new` makes one"),
        ((), {"MAYSEND_KEYS": "short"}, "key 1 in MAYSEND_KEYS is not a key"),
        (("--workers", "2"), {}, "2 workers cannot share an SQLite ledger; use PostgreSQL, or one worker"),
        (("--port", "TAKEN"), {}, "Address already in use"),
    ],
)
def test_it_refuses_to_start_with_one_line(
    tmp_path: Path, maysend: Any, arguments: tuple[str, ...], env: dict[str, str], message: str
) -> None:
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    write(tmp_path, ledger)
    open_ledger(ledger, tmp_path, create=True).close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        chosen = [port if argument == "TAKEN" else argument for argument in arguments]
        done = maysend("serve", *chosen, cwd=tmp_path, code=1, env={"MAYSEND_KEYS": KEY} | env)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_refuses_a_project_with_problems_and_a_missing_ledger(tmp_path: Path, maysend: Any) -> None:
    write(tmp_path, f"sqlite:///{tmp_path}/ledger.db")
    assert (
        "is missing; restore it from a backup"
        in maysend("serve", cwd=tmp_path, code=1, env={"MAYSEND_KEYS": KEY}).stderr
    )
    (tmp_path / "channels" / "sms.yaml").unlink()
    told = maysend("serve", cwd=tmp_path, code=1, env={"MAYSEND_KEYS": KEY}).stderr
    assert told.startswith("campaigns/flash.yaml:2:")


def test_several_workers_share_a_postgresql_ledger(tmp_path: Path, postgres_url: str) -> None:
    write(tmp_path, postgres_url)
    with serving(tmp_path, postgres_url, "--workers", "2") as server:
        until(lambda: _answers(server.url), 30)
        links = [server.fresh("daily") for _ in range(60)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda token: httpx.post(f"{server.url}/u/{token}", content=ONE_CLICK), links))
        assert {answer.status_code for answer in answers} == {200}
        assert len(server.events()) == 60
        metrics = httpx.get(f"{server.url}/metrics").text
        (events,) = (line for line in metrics.splitlines() if line.startswith("maysend_events_total{"))
        assert float(events.split()[-1]) == 60


def test_where_the_ledger_does_not_answer_nothing_is_said_to_be_saved(tmp_path: Path, postgres_url: str) -> None:
    write(tmp_path, postgres_url)
    with serving(tmp_path, postgres_url) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        token = server.fresh("daily")
        page = client.get(f"/p/{token}").text
        engine = sqlalchemy.create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as connection:
            rename = "ALTER TABLE {} RENAME TO {}"
            for table in ("events", "status"):
                connection.execute(sqlalchemy.text(rename.format(table, f"{table}_away")))
            connection.commit()
            for answer in (
                client.get(f"/u/{token}"),
                client.post(f"/u/{token}", content=ONE_CLICK),
                client.post(f"/p/{token}", data=Form(page).body(("group", "news"))),
            ):
                assert answer.status_code == 503
                assert "nothing was saved" in answer.text
                assert "retry-after" in answer.headers
            for path in (f"/api/preferences/{token}", "/healthz"):
                assert client.get(path).json() == {"error": "nothing was saved; try again later"}
            for table in ("events", "status"):
                connection.execute(sqlalchemy.text(rename.format(f"{table}_away", table)))
            connection.commit()
        engine.dispose()
        assert server.events() == []
        assert client.post(f"/p/{token}", data=Form(page).body(("group", "news"))).status_code == 303
        assert [event.group for event in server.events()] == ["news"]


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_the_page_server_imports_no_duckdb() -> None:
    subprocess.run(
        [sys.executable, "-c", "import sys, maysend.web.server; sys.exit('duckdb' in sys.modules)"], check=True
    )
