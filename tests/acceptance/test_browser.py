"""The pages in a real browser: with and without JavaScript, on a phone, by keyboard alone, in every language."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from maysend import Page, PageSettings, plugins
from serving import FILES, Server, serving, write

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra: dev)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LANGUAGES = ("en", "fr", "es", "hi", "ar")
COLOURS = {"accent": "#ffd54a", "accent_dark": "#7a2e8e"}
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
KINDS: dict[str, dict[str, Any]] = {
    "desktop": {},
    "phone": PHONE,
    "no JavaScript": {"java_script_enabled": False},
    "no JavaScript, phone": PHONE | {"java_script_enabled": False},
}


class OwnPage(BaseHTTPRequestHandler):
    """A preference page of one's own: its path names the server whose script it loads."""

    def do_GET(self) -> None:
        html = f'<!doctype html><title>Own</title><script src="http://{self.path[1:].partition("?")[0]}"></script>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(html.encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def own_page() -> Iterator[str]:
    """The origin of a site that is not ours."""
    with ThreadingHTTPServer(("127.0.0.1", 0), OwnPage) as site:
        thread = Thread(target=site.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{site.server_port}"
        site.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, own_page: str) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("browser")
    ledger = f"sqlite:///{root}/ledger.db"
    colours = f"pages: {{colours: {json.dumps(COLOURS)}, "
    settings = FILES["project.yaml"].replace("pages: {", colours).replace("https://post.example", own_page)
    write(root, ledger, FILES | {"project.yaml": settings})
    with serving(root, ledger) as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not CHROMIUM:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Any]:
    """A function that opens an address in a browser of some kind; anything it logs as an error fails the test."""
    contexts: list[Any] = []
    errors: list[str] = []

    def open_(url: str, **kind: Any) -> Any:
        contexts.append(chromium.new_context(**kind))
        page = contexts[-1].new_page()
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []


def answers(server: Server, before: int) -> list[tuple[str | None, bool]]:
    return [(event.group, event.resubscribed) for event in server.events()[before:]]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_leave_one_group_and_come_back(server: Server, visit: Any, kind: dict[str, Any]) -> None:
    before = len(server.events())
    page = visit(f"{server.url}/u/{server.fresh('daily')}", **kind)
    assert page.get_by_text("News & views").is_visible()
    page.get_by_role("button", name="Unsubscribe").click()
    assert page.get_by_role("heading", name="You are unsubscribed").is_visible()
    page.get_by_role("link", name="Choose what you receive").click()
    switch = page.get_by_role("switch", name="News & views")
    assert not switch.is_checked()
    switch.check()
    page.get_by_role("button", name="Save").click()
    assert page.get_by_role("status").inner_text() == "Your choices are saved."
    assert page.get_by_role("switch", name="News & views").is_checked()
    assert answers(server, before) == [("news", False), ("news", True)]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_leave_everything_and_come_back(server: Server, visit: Any, kind: dict[str, Any]) -> None:
    before = len(server.events())
    page = visit(f"{server.url}/u/{server.fresh('hello')}", **kind)
    page.get_by_role("button", name="Unsubscribe").click()
    page.get_by_role("button", name="Subscribe again").click()
    assert page.get_by_role("switch", name="All messages").is_checked()
    page.get_by_role("switch", name="All messages").uncheck()
    page.get_by_role("button", name="Save").click()
    assert not any(switch.is_checked() for switch in page.get_by_role("switch").all())
    assert answers(server, before) == [(None, False), (None, True), (None, False)]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_three_switches_at_once(server: Server, visit: Any, kind: dict[str, Any]) -> None:
    before = len(server.events())
    page = visit(f"{server.url}/p/{server.fresh('daily')}", **kind)
    for name in ("News & views", "Concerts", "Surveys"):
        page.get_by_role("switch", name=name).click()
    page.get_by_role("button", name="Save").click()
    assert page.get_by_role("status").is_visible()
    assert answers(server, before) == [("concerts", True), ("news", False), ("surveys", False)]
    page.reload()
    assert len(answers(server, before)) == 3


def test_by_keyboard_alone(server: Server, visit: Any) -> None:
    before = len(server.events())
    page = visit(f"{server.url}/u/{server.fresh('daily')}")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/p/**")
    for _ in range(2):
        page.keyboard.press("Tab")
    focused = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert focused == "solid", "what has the focus must be seen"
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**?saved")
    assert answers(server, before) == [("news", False)]


def test_two_tabs_and_the_back_button_revive_nothing(server: Server, visit: Any) -> None:
    token = server.fresh("daily")
    stale, other = visit(f"{server.url}/p/{token}"), visit(f"{server.url}/u/{token}")
    other.get_by_role("button", name="Unsubscribe").click()
    before = len(server.events())
    stale.get_by_role("switch", name="Offers").uncheck()
    stale.get_by_role("button", name="Save").click()
    assert answers(server, before) == [("offers", False)]
    assert not stale.get_by_role("switch", name="News & views").is_checked()
    stale.go_back()
    assert not stale.get_by_role("switch", name="News & views").is_checked()
    assert not stale.get_by_role("switch", name="Offers").is_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_no_violation_on_any_page(server: Server, visit: Any, language: str, scheme: str) -> None:
    kind = {"locale": language, "color_scheme": scheme}
    everything, some = server.fresh("hello"), server.fresh("weekend", test=True)
    pages = [visit(f"{server.url}/{path}", **kind) for path in (f"u/{everything}", f"u/{some}", f"p/{some}")]
    left = [visit(f"{server.url}/u/{token}", **kind) for token in (everything, some)]
    for page in left:
        page.locator("button").first.click()
    saved = visit(f"{server.url}/p/{everything}?saved", **kind | PHONE)
    for page in (*pages, *left, saved):
        results = axe.Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_no_violation_where_something_is_wrong(server: Server, chromium: Any, language: str) -> None:
    """The page of a link that is not valid, and the one where the ledger does not answer (as it is rendered)."""
    settings = PageSettings(server.root, "The Morning Post", {"colours": COLOURS}, "/static/")
    renderer = plugins.load().page_renderers["default"].open(settings)
    context = chromium.new_context(locale=language)
    page = context.new_page()
    assert page.goto(f"{server.url}/u/nothing").status == 404
    for html in ("", renderer.render(Page(kind="unavailable", language=language))):
        if html:
            page.set_content(html, wait_until="networkidle")
        assert page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") != "0px", (
            "it has its style"
        )
        results = axe.Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
    context.close()


def test_a_page_of_one_s_own_uses_the_script(server: Server, own_page: str, chromium: Any) -> None:
    """A page of another origin, declared in ``pages.origins``, with the token in its address."""
    before = len(server.events())
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{own_page}/{server.url.removeprefix('http://')}/maysend.js?token={server.fresh('daily')}")
    shown = page.evaluate("maysend.getEmail()")
    assert [group["name"] for group in shown["groups"]] == ["concerts", "news", "offers", "surveys"]
    page.evaluate("maysend.changeSubscriptionGroups({news: false, concerts: true})")
    page.evaluate('maysend.changeSubscriptionGroups([{name: "offers", isUnsubscribed: true}])')
    page.evaluate("maysend.unSubEmail()")
    last = page.evaluate("maysend.subEmail().then(() => maysend.getSubscriptionGroups())")
    assert {group["name"]: group["subscribed"] for group in last} == {
        "concerts": True,
        "news": False,
        "offers": False,
        "surveys": True,
    }
    assert answers(server, before) == [
        ("news", False),
        ("concerts", True),
        ("offers", False),
        (None, False),
        (None, True),
    ]
    refused = page.evaluate("maysend.changeSubscriptionGroups({letter: true}).catch((error) => error.message)")
    assert 'there is no group "letter" to join' in refused
    context.close()
