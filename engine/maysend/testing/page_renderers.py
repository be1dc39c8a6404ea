"""The suite for page renderers."""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ..hookspecs import Page, PageRenderer, PageSettings, Renderer, Switch


class PageRendererSuite(ABC):
    """A page renderer, opened with ``pages`` as in ``project.yaml``."""

    page_renderer: ClassVar[PageRenderer]
    pages: ClassVar[Mapping[str, Any]] = {}
    page: ClassVar[Page] = Page(
        kind="preferences",
        language="en",
        address="a•••@example.com",
        groups=(
            Switch("news", "News & <views>", 'What "came" in', subscribed=True),
            Switch("offers", "Offers", "", subscribed=False),
        ),
        form="sealed-form",
        action="/p/token",
        preference_page="/p/token",
    )

    @pytest.fixture
    def renderer(self, tmp_path: Path) -> Renderer:
        return self.page_renderer.open(PageSettings(tmp_path, "Shop & Co", self.pages, "/static/"))

    def test_every_page_in_every_language_is_html_of_that_language(self, renderer: Renderer) -> None:
        assert renderer.languages
        for language in renderer.languages:
            for page in self._kinds(language):
                assert _Html.of(renderer.render(page)).attributes("html", "lang") == [language], page.kind

    def test_nothing_is_inline_and_nothing_comes_from_elsewhere(self, renderer: Renderer) -> None:
        for page in self._kinds("en"):
            html = _Html.of(renderer.render(page))
            assert not html.found("style")
            assert all(attributes.get("src") for attributes in html.found("script"))
            assert not [name for _, named in html.tags for name in named if name == "style" or name.startswith("on")]
            for link in html.found("link"):
                assert not re.match(r"(https?:)?//", link.get("href", ""))

    def test_files_that_a_page_names_are_served(self, renderer: Renderer) -> None:
        html = _Html.of(renderer.render(self.page))
        named = {link.get("href", "") for link in html.found("link")}
        served = {f"/static/{name}" for name in renderer.files}
        assert {name for name in named if name.startswith("/static/")} <= served

    def test_titles_stand_exactly_as_declared(self, renderer: Renderer) -> None:
        for kind in ("group", "left", "preferences"):
            text = _Html.of(renderer.render(replace(self.page, kind=kind))).text
            assert all(group.title in text and group.description in text for group in self.page.groups)
            assert self.page.address in text

    def test_a_form_sends_back_what_it_was_given(self, renderer: Renderer) -> None:
        for page in (self.page, replace(self.page, kind="group"), replace(self.page, kind="left", groups=())):
            html = _Html.of(renderer.render(page))
            assert [form.get("method", "").lower() for form in html.found("form")] == ["post"], page.kind
            assert html.attributes("form", "action") == [page.action]
            assert [field["value"] for field in html.found("input") if field.get("name") == "form"] == [page.form]

    def test_switches_show_what_is_on(self, renderer: Renderer) -> None:
        html = _Html.of(renderer.render(self.page))
        boxes = [field for field in html.found("input") if field.get("name") == "group"]
        assert {box["value"]: "checked" in box for box in boxes} == {"news": True, "offers": False}
        assert ["checked" in field for field in html.found("input") if field.get("name") == "channel"] == [True]

    def test_an_invalid_link_offers_nothing(self, renderer: Renderer) -> None:
        html = _Html.of(renderer.render(Page(kind="invalid", language="en")))
        assert not html.found("form")
        assert not html.found("input")

    def _kinds(self, language: str) -> list[Page]:
        told = [replace(self.page, kind=kind, language=language) for kind in ("group", "left", "preferences")]
        return [*told, Page(kind="invalid", language=language), Page(kind="unavailable", language=language)]


class _Html(HTMLParser):
    """A page taken apart: its tags with their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""

    @classmethod
    def of(cls, page: str) -> _Html:
        html = cls()
        html.feed(page)
        html.close()
        return html

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def found(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def attributes(self, tag: str, name: str) -> list[str]:
        return [attributes[name] for attributes in self.found(tag) if name in attributes]
