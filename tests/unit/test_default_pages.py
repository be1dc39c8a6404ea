"""The default renderer: every message in every language, colours that can be read, files a project may put in place."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from maysend import Page, PageSettings, PluginError, Switch, plugins
from maysend_plugins.default_pages import catalogues
from maysend_plugins.default_pages.colours import contrast, style

MESSAGE = re.compile(r'_\("([^"]+)"')
TEMPLATES = files("maysend_plugins.default_pages").joinpath("templates")
GROUPS = (Switch("news", "News <&> views", 'Every "morning"', True), Switch("offers", "Offers", "", False))
COLOUR = st.from_regex(r"#[0-9a-f]{6}", fullmatch=True)


def messages() -> set[str]:
    """Every message that a template says."""
    texts = [file.read_text("utf-8") for file in TEMPLATES.iterdir() if file.name.endswith(".html")]
    return {message for text in texts for message in MESSAGE.findall(text)}


def renderer(root: Path, **pages: Any) -> Any:
    opened = plugins.load().page_renderers["default"].open
    return opened(PageSettings(root=root, title="The Morning Post", pages=pages, static="/static/"))


def test_no_catalogue_lacks_a_message_or_keeps_an_old_one() -> None:
    found = catalogues.load()
    assert list(found) == ["en", "ar", "es", "fr", "hi"]
    assert len(messages()) > 20
    for language, catalogue in found.items():
        if language != "en":
            assert catalogue.keys() == messages(), language


def test_translations_name_the_same_values() -> None:
    for language, catalogue in catalogues.load().items():
        for message, translation in catalogue.items():
            assert re.findall(r"{\w*}", translation) == re.findall(r"{\w*}", message), (language, message)


@pytest.mark.parametrize(
    ("kind", "groups", "address", "test", "subscribed"),
    list(product(["group", "left", "preferences"], [(), GROUPS], ["a•••@e•••.com", ""], [False, True], [False, True])),
)
def test_every_page_is_whole_in_every_language(
    tmp_path: Path, kind: Any, groups: tuple[Switch, ...], address: str, test: bool, subscribed: bool
) -> None:
    ours = renderer(tmp_path)
    for language in ours.languages:
        page = Page(
            kind=kind,
            language=language,
            address=address,
            groups=groups,
            test=test,
            subscribed=subscribed,
            form="sealed",
        )
        html = ours.render(page)
        assert f'<html lang="{language}" dir="{Locale.parse(language).text_direction}">' in html
        assert "{address}" not in html
        assert address in html
        assert html.count("News &lt;&amp;&gt; views") == (1 if groups else 0)
        assert html.count('name="form" value="sealed"') == (0 if kind == "left" and groups else 1)
        assert "<script" not in html
        assert "style=" not in html


def test_pages_about_nobody_say_nothing_of_anybody(tmp_path: Path) -> None:
    ours = renderer(tmp_path)
    for language, kind in product(ours.languages, ("invalid", "unavailable")):
        html = ours.render(Page(kind=kind, language=language))
        assert "<form" not in html
        assert "<a " not in html


@given(COLOUR, COLOUR)
def test_text_on_any_colour_can_be_read(accent: str, dark: str) -> None:
    rules = re.findall(r"--accent: (#\w{6}); --on-accent: (#\w{6});", style({"accent": accent, "accent_dark": dark}))
    assert [colour for colour, _ in rules] == [accent, dark]
    assert all(contrast(colour, text) >= 4.5 for colour, text in rules)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_colours_are_in_the_style_sheet(tmp_path: Path) -> None:
    plain, coloured = renderer(tmp_path), renderer(tmp_path, colours={"accent": "#aa0000"})
    assert plain.files.keys() == coloured.files.keys() == {"style.css"}
    assert b"#aa0000" in coloured.files["style.css"]
    assert b"#aa0000" not in plain.files["style.css"]
    assert 'href="/static/style.css"' in coloured.render(Page(kind="invalid", language="en"))


def test_a_project_s_templates_style_and_logo_are_taken(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "invalid.html").write_text('{% extends "default/invalid.html" %}', "utf-8")
    (tmp_path / "pages" / "page.html").write_text("<p>{% block heading %}{% endblock %}</p>", "utf-8")
    (tmp_path / "pages" / "style.css").write_text("p { color: red }", "utf-8")
    (tmp_path / "logo.svg").write_text("<svg/>", "utf-8")
    ours = renderer(tmp_path, logo="logo.svg")
    assert ours.render(Page(kind="invalid", language="fr")) == "<p>Ce lien n’est pas valide</p>"
    assert sorted(ours.files.values()) == [b"<svg/>", b"p { color: red }\n"]
    assert 'src="https://example.com/logo.png"' in renderer(tmp_path / "x", logo="https://example.com/logo.png").render(
        Page(kind="invalid", language="en")
    )


def test_a_renderer_goes_on_with_the_templates_it_has(tmp_path: Path) -> None:
    """A file that is being written is for the next one, which finds out whether it is whole."""
    (tmp_path / "pages").mkdir()
    file = tmp_path / "pages" / "invalid.html"
    file.write_text("good", "utf-8")
    ours = renderer(tmp_path)
    file.write_text("{% if %}", "utf-8")
    assert ours.render(Page(kind="invalid", language="en")) == "good"
    with pytest.raises(PluginError, match=r"pages/invalid\.html:1"):
        renderer(tmp_path)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"pages\.logo: gone\.svg cannot be read: No such file or directory"):
        renderer(tmp_path, logo="gone.svg")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "style.css").write_bytes(b"\xff")
    with pytest.raises(PluginError, match=r"pages/style\.css: cannot be read"):
        renderer(tmp_path)
    (tmp_path / "pages" / "style.css").unlink()
    (tmp_path / "pages" / "group.html").write_text("{% if %}", "utf-8")
    with pytest.raises(PluginError, match=r"pages/group\.html:1: Expected an expression"):
        renderer(tmp_path)
    (tmp_path / "pages" / "group.html").write_text("{{ page.grups }}", "utf-8")
    with pytest.raises(PluginError, match=r"pages/group\.html: .*has no attribute 'grups'"):
        renderer(tmp_path)
