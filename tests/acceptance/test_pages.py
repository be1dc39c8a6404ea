"""The pages of a real server over loopback: what shows never changes anything, and what changes is heard."""

from __future__ import annotations

import hashlib
import re
import socket
import time
from dataclasses import dataclass

import httpx
import pytest

from maysend import plugins, tokens
from maysend.ledger import open_ledger
from maysend.web.app import create
from maysend.web.middleware import HEADERS
from maysend.web.server import load
from maysend.web.site import open_site
from serving import KEY, Form, Fresh, Server

ONE_CLICK = "List-Unsubscribe=One-Click"
URLENCODED = "application/x-www-form-urlencoded"


@pytest.fixture
def fresh(server: Server) -> Fresh:
    return server.fresh


def visible(html: str) -> str:
    body = re.sub(r"<head>.*?</head>", "", html, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", " ", body)
    for entity, letter in (("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&#34;", '"'), ("&amp;", "&")):
        text = text.replace(entity, letter)
    return text


# What only shows


def test_nothing_but_post_ever_changes_anything(server: Server, client: httpx.Client, fresh: Fresh) -> None:
    """Every route the application has, found by itself, with valid tokens in every place for one."""
    with open_ledger(server.ledger, server.root) as ledger:
        site = open_site(load(server.root), plugins.load(), ledger, tokens.read_keys(KEY))
        routes = [route.path for route in create(site, ledger).routes]  # type: ignore[attr-defined] # all are Routes
    assert {"/u/{token:path}", "/p/{token:path}"} <= set(routes)
    before = server.events()
    for route in routes:
        for campaign in ("daily", "hello"):
            path = re.sub(r"{token[^}]*}", fresh(campaign), route).format(name="smtp_v2", channel="sms")
            for query in ("", "?saved", "?List-Unsubscribe=One-Click", "?channel=&group=news&form=x"):
                for method in ("GET", "HEAD", "OPTIONS", "PROPFIND", "PUT", "DELETE", "PATCH", "TRACE"):
                    answer = client.request(method, path + query, content=None)
                    assert answer.status_code < 500, (method, path)
                    assert answer.status_code not in (301, 302, 303, 307, 308)
                    assert HEADERS.keys() <= answer.headers.keys()
    assert server.events() == before


def test_head_answers_as_get_and_options_says_what_is_allowed(client: httpx.Client, fresh: Fresh) -> None:
    for page in ("u", "p"):
        path = f"/{page}/{fresh('daily')}"
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert client.options(path).headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_every_answer_carries_the_headers_that_protect_people(client: httpx.Client, fresh: Fresh) -> None:
    token = fresh("daily")
    answers = [client.get(f"/{page}/{token}") for page in ("u", "p")] + [client.post(f"/u/{token}"), client.get("/u/x")]
    for answer in answers:
        assert HEADERS.items() <= dict(answer.headers).items()
        assert "set-cookie" not in answer.headers
    assert "'unsafe-inline'" not in HEADERS["content-security-policy"]
    for name in ("frame-ancestors 'none'", "default-src 'none'", "base-uri 'none'"):
        assert name in HEADERS["content-security-policy"]


def test_titles_and_descriptions_are_shown_exactly_as_declared(client: httpx.Client, fresh: Fresh) -> None:
    page = client.get(f"/u/{fresh('weekend')}").text
    assert "News &amp; views" in page
    assert "Every &lt;b&gt;morning&lt;/b&gt;." in page
    assert "The club" in page, "a link shows its groups whatever their visibility"
    assert "@example.com" not in page, "the address is masked"
    switches = client.get(f"/p/{fresh('weekend')}").text
    assert "The club" not in switches
    assert "The letter" not in switches


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("FR-ca, en;q=0.9", "fr"),
        ("de, hi;q=0.5, es;q=0.8", "es"),
        ("en;q=0.1, ar", "ar"),
        ("xx-" * 2000, "en"),
        ("hi;q=0, *", "en"),
        (";;;q=,,", "en"),
    ],
)
def test_pages_follow_the_reader_s_language(client: httpx.Client, fresh: Fresh, accepted: str, language: str) -> None:
    answer = client.get(f"/p/{fresh('daily')}", headers={"accept-language": accepted})
    assert answer.headers["content-language"] == language
    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">' in answer.text


# One-click


@dataclass
class Click:
    """A one-click request and its right answer."""

    why: str
    content: bytes | str = ONE_CLICK
    type: str | None = URLENCODED
    path: str = "/u/{}"
    status: int = 200


MULTIPART_TYPE = "multipart/form-data; boundary=b"
MULTIPART = '--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'
NESTED = "form" + "".join(
    f"\r\n--{depth}\r\nContent-Type: multipart/mixed; boundary={depth + 1}\r\n\r\n" for depth in range(1000)
)
CLICKS = [
    Click("urlencoded, as RFC 8058 has it"),
    Click("multipart, as RFC 8058 has it", MULTIPART, MULTIPART_TYPE),
    Click("multipart with a quoted boundary", MULTIPART, 'multipart/form-data; boundary="b"'),
    Click("multipart without a boundary", MULTIPART, "multipart/form-data"),
    Click("multipart cut off", MULTIPART[:40], MULTIPART_TYPE),
    Click("multipart with an odd boundary", MULTIPART, "multipart/form-data; boundary*=utf-8''%ff"),
    Click("multipart with a boundary in no encoding", MULTIPART, "multipart/form-data; boundary*=undefined''b"),
    Click("multipart with a boundary in two ways", MULTIPART, "multipart/form-data; boundary*0=a; boundary*=b"),
    Click("multipart with a name in two ways", MULTIPART.replace("name=", "name*0=a; name*="), MULTIPART_TYPE),
    Click("multipart with a name of endless parts", MULTIPART.replace("name", f"name*{'9' * 5000}"), MULTIPART_TYPE),
    Click("a thousand forms in one another", NESTED, "multipart/form-data; boundary=0"),
    Click("a charset", type=f"{URLENCODED}; charset=UTF-8"),
    Click("no content type", type=None),
    Click("an odd content type", type="text/plain"),
    Click("a broken content type", type="multi part/;;; ="),
    Click("a content type in capitals", type=URLENCODED.upper()),
    Click("an empty body", ""),
    Click("a body in lower case", ONE_CLICK.lower()),
    Click("spaces around", f" {ONE_CLICK}\r\n"),
    Click("bytes that are no text", b"\xff\xfe\x00%%%=&&&;"),
    Click("thousands of fields", "&".join(f"a{number}=1" for number in range(5000))),
    Click("an upper-case path", path="/U/{}"),
    Click("a trailing slash", path="/u/{}/"),
    Click("a query added by a tracker", path="/u/{}?utm_source=mail&form=x"),
    Click("a doubled slash", path="//u/{}"),
    Click("a body of 1 MB", ONE_CLICK + "&x=" + "x" * 1_000_000, status=413),
]


@pytest.mark.parametrize("click", CLICKS, ids=lambda click: click.why)
def test_one_click_is_heard_in_every_form_it_comes_in(
    server: Server, client: httpx.Client, fresh: Fresh, click: Click
) -> None:
    path = click.path.format(fresh("weekend"))
    before = len(server.events())
    headers = {"content-type": click.type} if click.type else {}
    for _ in range(2):
        answer = client.post(f"{server.url}{path}", content=click.content, headers=headers)
        assert answer.status_code == click.status
        assert not answer.history
        assert answer.headers.keys().isdisjoint(("location", "set-cookie"))
    recorded = server.events()[before:]
    assert [event.group for event in recorded] == (["news", "offers", "club"] if click.status == 200 else [])
    assert {event.source for event in recorded} <= {"one_click"}
    assert all(event.address == f"{event.profile}@example.com" for event in recorded)


def test_a_slow_body_is_waited_for_and_an_endless_one_is_not(server: Server, fresh: Fresh) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    path = f"/u/{fresh('daily')}"
    before = len(server.events())
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {URLENCODED}\r\nContent-Length: {len(ONE_CLICK)}\r\n\r\n"
        )
        slow.sendall(head.encode())
        for letter in ONE_CLICK:
            time.sleep(0.05)
            slow.sendall(letter.encode())
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
    assert len(server.events()) == before + 1
    with socket.create_connection((host, int(port)), timeout=30) as endless:
        endless.sendall(f"POST /u/{fresh('daily')} HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n\r\nList".encode())
        assert endless.recv(100).startswith(b"HTTP/1.1 408")
    with socket.create_connection((host, int(port)), timeout=30) as gone:
        gone.sendall(f"POST /u/{fresh('daily')} HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n\r\nList".encode())
    assert len(server.events()) == before + 1


# Tokens


def test_a_token_never_says_what_is_wrong_with_it(server: Server, client: httpx.Client, fresh: Fresh) -> None:
    good = fresh("daily")
    other = tokens.new_key()
    wrong = [
        "x",
        "a" * 107,
        good[:-1],
        good[:40],
        good + "A",
        good[1:],
        good.swapcase(),
        good.upper(),
        f"{good}%00",
        "%F0%9F%92%A9",
        "..%2f..%2fetc",
        "A" * 8000,
        fresh("daily", key=other),
        fresh("hello", key=other, test=True),
    ]
    before = len(server.events())
    told = set()
    for token in wrong:
        for page in ("u", "p"):
            for method in ("GET", "POST"):
                answer = client.request(method, f"/{page}/{token}", content=ONE_CLICK if method == "POST" else None)
                headers = {name: value for name, value in answer.headers.items() if name != "date"}
                told.add((answer.status_code, answer.text, str(sorted(headers.items()))))
    assert len(told) == 1
    ((status, page, _),) = told
    assert status == 404
    assert visible(page).split() == ["The", "Morning", "Post", "This", "link", "is", "not", "valid"]
    assert "<a" not in page
    assert "<form" not in page
    assert len(server.events()) == before


def test_files_of_pages_are_kept_by_browsers_until_they_change(client: httpx.Client, fresh: Fresh) -> None:
    (path,) = re.findall(r'rel="stylesheet" href="([^"]+)"', client.get(f"/u/{fresh('daily')}").text)
    first = client.get(path)
    assert first.headers["content-type"].startswith("text/css")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(path, headers={"if-none-match": '"another"'}).content == first.content


def test_tokens_and_addresses_are_in_no_log(server: Server, client: httpx.Client, fresh: Fresh) -> None:
    token = fresh("daily")
    for method in ("GET", "HEAD", "OPTIONS", "POST", "DELETE"):
        client.request(method, f"/u/{token}")
        client.request(method, f"/p/{token}x")
    metrics = client.get("/metrics").text
    assert 'maysend_request_seconds_count{method="POST",route="group_page",status="200"}' in metrics
    for text in ("".join(server.log), metrics):
        assert token[:20] not in text
        assert "@example.com" not in text


# Pages that change


def test_the_group_page_leaves_the_link_s_groups_and_leads_to_all_of_them(
    server: Server, client: httpx.Client, fresh: Fresh
) -> None:
    token = fresh("weekend")
    shown = client.get(f"/u/{token}").text
    form = Form(shown)
    before = len(server.events())
    answer = client.post(form.action, data=form.body())
    assert answer.status_code == 200
    assert "You are unsubscribed" in answer.text
    assert f"/p/{token}" in answer.text
    recorded = server.events()[before:]
    assert [(event.group, event.source, event.campaign_id) for event in recorded] == [
        (group, "page", "weekend") for group in ("news", "offers", "club")
    ]
    text = " ".join(visible(shown).split())
    assert {event.text_hash for event in recorded} == {hashlib.sha256(text.encode()).hexdigest()}
    assert {event.revision for event in recorded} == {load(server.root).revision}


def test_where_everything_was_left_the_way_back_is_one_button(
    server: Server, client: httpx.Client, fresh: Fresh
) -> None:
    token = fresh("hello")
    form = Form(client.get(f"/u/{token}").text)
    left = client.post(form.action, data=form.body())
    back = Form(left.text)
    before = len(server.events())
    answer = client.post(back.action, data=back.body(), follow_redirects=True)
    assert [(event.group, event.resubscribed) for event in server.events()[before:]] == [(None, True)]
    assert ("channel", "on") in Form(answer.text).on
    assert client.post(back.action, data=back.body()).status_code == 303
    assert len(server.events()) == before + 1, "the way back is gone once"


def test_three_switches_at_once_and_nothing_by_a_stale_tab(server: Server, client: httpx.Client, fresh: Fresh) -> None:
    token = fresh("daily")
    stale = Form(client.get(f"/p/{token}").text)
    before = len(server.events())
    answer = client.post(stale.action, data=stale.body(("group", "news"), ("group", "concerts"), ("group", "surveys")))
    assert answer.status_code == 303
    assert [(event.group, event.resubscribed) for event in server.events()[before:]] == [
        ("concerts", True),
        ("news", False),
        ("surveys", False),
    ]
    saved = client.get(answer.headers["location"])
    assert "Your choices are saved." in saved.text
    assert ("group", "news") in Form(saved.text).off
    client.post(stale.action, data=stale.body(("group", "offers")))
    assert [(event.group, event.resubscribed) for event in server.events()[before + 3 :]] == [("offers", False)]


@pytest.mark.parametrize("body", [{}, {"channel": "on"}, {"form": "x"}, {"form": "", "group": "concerts"}])
def test_switches_without_what_the_page_showed_change_nothing(
    server: Server, client: httpx.Client, fresh: Fresh, body: dict[str, str]
) -> None:
    before = len(server.events())
    assert client.post(f"/p/{fresh('daily')}", data=body).status_code == 400
    assert len(server.events()) == before


def test_another_link_s_form_is_not_taken(server: Server, client: httpx.Client, fresh: Fresh) -> None:
    form = Form(client.get(f"/p/{fresh('daily')}").text)
    before = len(server.events())
    assert client.post(f"/p/{fresh('daily')}", data=form.body(("group", "news"))).status_code == 400
    assert len(server.events()) == before


def test_a_test_link_shows_everything_and_saves_nothing(server: Server, client: httpx.Client, fresh: Fresh) -> None:
    token = fresh("daily", test=True)
    before = len(server.events())
    for path in (f"/u/{token}", f"/p/{token}"):
        page = client.get(path).text
        assert "test message" in page
        form = Form(page)
        body = form.body(("group", "news"), ("channel", "on"))
        assert "test message" in client.post(form.action, data=body, follow_redirects=True).text
    assert client.post(f"/u/{token}", content=ONE_CLICK).status_code == 200
    assert len(server.events()) == before
