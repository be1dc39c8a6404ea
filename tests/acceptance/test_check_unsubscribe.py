"""``maysend check-unsubscribe``: our own pages pass, and systems that do it wrong are found out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from maysend import conformance
from serving import serving, write


class Right(BaseHTTPRequestHandler):
    """A small system that does everything right; its kinds below each do one thing wrong."""

    left: ClassVar[set[str]] = set()
    page = '<form method="post"><button>Leave</button></form>'
    extra: ClassVar[dict[str, str]] = {}
    post_status = 200

    def answer(self, status: int, text: str = "", **headers: str) -> None:
        self.send_response(status)
        protecting = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
        for name, value in {**protecting, "Content-Length": str(len(text.encode())), **self.extra, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    def shown(self) -> str:
        return self.page

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/u/abcdef" else 404, self.shown())

    do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - http.server's names

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(self.post_status)

    def log_message(self, *_: object) -> None:
        return


class ShowsOtherScriptsEachTime(Right):
    """As pages behind some networks do."""

    numbers = count()

    def shown(self) -> str:
        return f"{self.page}<script>ray = {next(self.numbers)}</script><style>.x{next(self.numbers)} {{}}</style>"


class UnsubscribesOnGet(Right):
    page = "You are unsubscribed"


class UnsubscribesOnSecondGet(Right):
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        text = self.page if len(self.seen) == 1 else f"{self.page} You have left already"
        self.answer(200 if self.path == "/u/abcdef" else 404, text)

    do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - http.server's names


class RedirectsThePost(Right):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(303, Location="/done")


class WantsACookie(Right):
    extra: ClassVar[dict[str, str]] = {"Set-Cookie": "session=1"}
    post_status = 403


class KnowsNoMultipart(Right):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(415 if "multipart" in self.headers["Content-Type"] else 200)


class MayBeCachedAndFramed(Right):
    extra: ClassVar[dict[str, str]] = {"Cache-Control": "public", "Referrer-Policy": "origin", "X-Frame-Options": "x"}

    def end_headers(self) -> None:
        self._headers_buffer = [line for line in self._headers_buffer if not line.startswith(b"X-Frame")]
        super().end_headers()


class TakesAnyLink(Right):
    def do_GET(self) -> None:
        self.answer(200, self.page)


class BreaksOnHead(Right):
    def do_HEAD(self) -> None:
        self.answer(500)


@contextmanager
def running(system: type[Right]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), system) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/u/abcdef"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("system", "failing"),
    [
        (Right, []),
        (ShowsOtherScriptsEachTime, []),
        (UnsubscribesOnGet, ["GET asks before it unsubscribes"]),
        (UnsubscribesOnSecondGet, ["GET, HEAD and OPTIONS change nothing"]),
        (
            RedirectsThePost,
            [
                "one-click POST, urlencoded",
                "one-click POST, urlencoded, with a charset",
                "one-click POST, multipart",
                "one-click POST, multipart, boundary in quotes",
                "one-click POST, once more",
            ],
        ),
        (
            WantsACookie,
            [
                "GET sets no cookie",
                "one-click POST, urlencoded",
                "one-click POST, urlencoded, with a charset",
                "one-click POST, multipart",
                "one-click POST, multipart, boundary in quotes",
                "one-click POST, once more",
                "one-click POST needs and sets no cookie",
            ],
        ),
        (KnowsNoMultipart, ["one-click POST, multipart", "one-click POST, multipart, boundary in quotes"]),
        (
            MayBeCachedAndFramed,
            ["the page is not cached", "the page tells no other site its address", "the page cannot be framed"],
        ),
        (TakesAnyLink, ["a changed link is refused"]),
        (BreaksOnHead, ["HEAD is answered"]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_each_mistake_is_found_out(tmp_path: Path, maysend: Any, system: type[Right], failing: list[str]) -> None:
    with running(system) as url:
        done = maysend("check-unsubscribe", url, "--json", cwd=tmp_path, code=1 if failing else 0)
    told = json.loads(done.stdout)
    assert [check["check"] for check in told["checks"] if not check["passed"]] == failing
    assert told["passed"] is not bool(failing)


@pytest.mark.parametrize(
    ("link", "changed"),
    [
        ("/unsubscribe?id=12345", "/unsubscribe?id=12A45"),
        ("/preferences/AAAAAAA7?lang=english", "/preferences/AAAABAA7?lang=english"),
        ("/unsubscribe/anna", "/unsubscribe/anAa"),
        ("/", None),
    ],
)
def test_what_is_changed_of_a_link_is_what_says_who(
    link: str, changed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def request(_: str, url: str) -> conformance.Answer:
        asked.append(url)
        return conformance.Answer(404, HTTPMessage(), "")

    monkeypatch.setattr(conformance, "request", request)
    (check,) = conformance._foreign(f"https://unsubscribe.example.com{link}")
    assert asked == ([f"https://unsubscribe.example.com{changed}"] if changed else [])
    assert check.passed is bool(changed)


def test_our_own_pages_pass(tmp_path: Path, maysend: Any) -> None:
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    write(tmp_path, ledger)
    with serving(tmp_path, ledger) as server:
        done = maysend("check-unsubscribe", f"{server.url}/u/{server.fresh('weekend')}", cwd=tmp_path)
        assert "FAILED" not in done.stdout
        assert done.stderr == "17 of 17 checks passed\n"
        assert [event.group for event in server.events()] == ["news", "offers", "club"]


def test_the_headers_of_an_e_mail_are_checked(tmp_path: Path) -> None:
    from maysend.conformance import check_message

    good = (
        "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; h=From:List-Unsubscribe:\n List-Unsubscribe-Post; b=x\n"
        "List-Unsubscribe: <mailto:leave@example.com>, <https://example.com/u/1>\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\n\nHello\n"
    )
    for changed, failing in (
        (good, 0),
        (good.replace("https:", "http:"), 1),
        (good.replace("One-Click", "Yes"), 1),
        (good.replace("h=From:List-Unsubscribe:", "h=From:"), 1),
        (f"DKIM-Signature: v=1; d=example.net; h=From; b=y\n{good}", 0),
        (f"DKIM-Signature: h=List-Unsubscribe\n{good.replace('h=From:List-Unsubscribe:', 'h=From:')}", 1),
        (good.replace("u/1>", "u/1> (leave), (or write)"), 0),
        ("Subject: none\n\n", 3),
    ):
        url, checks = check_message(changed.encode())
        assert url == (None if "<https" not in changed else "https://example.com/u/1")
        assert sum(not check.passed for check in checks) == failing


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("http://127.0.0.1:9/u/x",), 1, "http://127.0.0.1:9: gives no answer to GET"),
        (("foo",), 2, "foo: is not a link; give one that starts with https://"),
        (("mailto:a@example.com",), 2, "mailto:a@example.com: is not a link; give one that starts with https://"),
        (("https://[x",), 2, "https://[x: is not a link; give one that starts with https://"),
        (("http://127.0.0.1:99999/",), 2, "http://127.0.0.1:99999/: is not a link; give one that starts with https://"),
        (("http://127.0.0.1:9/désabonner?à",), 1, "http://127.0.0.1:9: gives no answer to GET"),
        ((f"http://{'x' * 64}.example/",), 1, "gives no answer to GET"),
        ((), 2, "give a link, or an e-mail with --message"),
    ],
)
def test_it_says_what_is_wrong(tmp_path: Path, maysend: Any, arguments: Any, code: int, message: str) -> None:
    assert message in maysend("check-unsubscribe", *arguments, cwd=tmp_path, code=code).stderr
