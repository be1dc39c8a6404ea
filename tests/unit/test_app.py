"""The application in process: what people are told where something behind it fails."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from maysend import plugins, tokens
from maysend.errors import LedgerError
from maysend.ledger import Ledger, Subject, open_ledger
from maysend.ledger.erasure import KEY_VARIABLE
from maysend.web import reloading, server
from maysend.web.app import create
from maysend.web.languages import choose
from maysend.web.middleware import HEADERS
from maysend.web.server import load
from maysend.web.site import open_site
from serving import KEY, Form, token_of, write

Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    url = f"sqlite:///{tmp_path}/ledger.db"
    write(tmp_path, url)
    with open_ledger(url, tmp_path, create=True) as ledger:
        site = open_site(load(tmp_path), plugins.load(), ledger, tokens.read_keys(KEY))
        app = httpx.ASGITransport(create(site, ledger), raise_app_exceptions=False)

        async def asked(method: str, path: str, **sent: Any) -> httpx.Response:
            async with httpx.AsyncClient(transport=app, base_url="https://mail.example.com") as client:
                return await client.request(method, path, **sent)

        yield lambda *of, **sent: asyncio.run(asked(*of, **sent))


def token(tmp_path: Path) -> str:
    return token_of(tmp_path, "daily", "1", "a@example.com")


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and the environment of a worker that takes another's place."""
    write(tmp_path, url := f"sqlite:///{tmp_path}/ledger.db")
    open_ledger(url, tmp_path, create=True).close()
    monkeypatch.setattr(reloading, "SECONDS", 0.01)
    monkeypatch.setenv(server._ROOT, str(tmp_path))
    monkeypatch.setenv(server._SERVED, server._fingerprint(load(tmp_path)))
    monkeypatch.setenv(tokens.VARIABLE, KEY)
    return tmp_path


def test_a_worker_in_another_s_place_waits_for_what_the_others_serve(
    worker: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else one that dies while project.yaml or a template is broken, or another ledger is named, takes the pages with
    it, or some of the answers."""
    right = (worker / "project.yaml").read_text("utf-8")
    (worker / "project.yaml").write_text("profiles: {", "utf-8")
    (worker / "pages").mkdir()
    (worker / "pages" / "group.html").write_text("{% if %}", "utf-8")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.create_app)
        for said, file, text in (
            ("project.yaml:1:", "project.yaml", right.replace("ledger.db", "other.db")),
            ("project.yaml names another ledger", "project.yaml", right),
            ("pages/group.html:1:", "pages/group.html", "right"),
        ):
            ends = time.monotonic() + 10
            while said not in caplog.text and time.monotonic() < ends:
                time.sleep(0.01)
            assert not waiting.done()
            (worker / "replacement").write_text(text, "utf-8")
            (worker / "replacement").replace(worker / file)
        waiting.result(10).state.ledger.close()
    assert caplog.text.count("a worker waits") == 3


def test_a_worker_that_waits_ends_at_a_signal(worker: Path) -> None:
    """uvicorn's own handlers are there already, and only tell a server that is not."""
    (worker / "project.yaml").write_text("profiles: {", "utf-8")
    program = (
        "import signal; from maysend.web import server\n"
        "signal.signal(signal.SIGTERM, lambda *_: None); server.create_app()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            assert "a worker waits" in process.stderr.readline()
            process.terminate()
            assert process.wait(10) == -signal.SIGTERM
        finally:
            process.kill()


def test_nobody_is_told_that_nothing_was_saved_where_it_was(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger may go away between a commit and the next look at it."""
    form = Form(ask("GET", f"/u/{token(tmp_path)}").text)
    monkeypatch.setattr(Ledger, "standing", _gone)
    shown = ask("POST", f"/u/{token(tmp_path)}", data=form.body())
    assert (shown.status_code, "nothing was saved" in shown.text) == (200, False)
    shown = ask("GET", f"/p/{token(tmp_path)}?saved")
    assert (shown.status_code, "nothing was saved" in shown.text, "are saved" in shown.text) == (503, False, True)
    shown = ask("GET", f"/p/{token(tmp_path)}")
    assert (shown.status_code, "nothing was saved" in shown.text) == (503, True)
    monkeypatch.setattr("maysend.web.api._state", _gone)
    monkeypatch.setattr("maysend.preferences.Preferences.changing", lambda *_: [])
    told = ask("POST", f"/api/preferences/{token(tmp_path)}", json={"subscribed": False})
    assert (told.status_code, told.json()["error"][:21]) == (503, "the changes are saved")


def test_health_says_where_the_key_to_erased_people_is_missing(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody was erased elsewhere: from then on no answer can be read without the key."""
    assert ask("GET", "/healthz").status_code == 200
    monkeypatch.setenv(KEY_VARIABLE, "a secret that is never rotated")
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db", tmp_path) as elsewhere:
        elsewhere.erase([Subject("email", "profile", "9")])
    assert ask("GET", "/healthz").status_code == 200
    monkeypatch.delenv(KEY_VARIABLE)
    assert (ask("GET", f"/u/{token(tmp_path)}").status_code, ask("GET", "/healthz").status_code) == (503, 503)


def test_a_language_tag_of_any_length_costs_next_to_nothing() -> None:
    assert choose("-".join("a" * 500_000), ["en", "fr"]) == "en"
    assert choose("fr-" + "x" * 33, ["en", "fr"]) == "en"  # one letter too long to be looked at
    assert choose("fr-" + "x" * 32, ["en", "fr"]) == "fr"
    assert choose("zh-Hant-CN, hi-IN;q=0.5", ["en", "hi"]) == "hi"


def test_what_nobody_foresaw_carries_the_headers_too(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maysend.web.site.Site.group_page", lambda *_: 1 / 0)
    answer = ask("GET", f"/u/{token(tmp_path)}")
    assert (answer.status_code, answer.text) == (500, "something went wrong here\n")
    assert HEADERS.items() <= dict(answer.headers).items()


def _gone(*_: object, **__: object) -> None:
    raise LedgerError("the server is gone")
