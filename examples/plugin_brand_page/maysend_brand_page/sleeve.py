"""The renderer: pages as HTML, from plain Python. A template engine does as well."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from maysend import Page, PageSettings, Switch

from .words import WORDS


class RecordSleeve:
    """Every text that comes from elsewhere is escaped; the style sheet is a file of its own, never inline."""

    languages: Sequence[str] = tuple(WORDS)
    files: Mapping[str, bytes] = {"sleeve.css": (files(__package__) / "sleeve.css").read_bytes()}

    def __init__(self, settings: PageSettings) -> None:
        self._title = escape(settings.title)
        self._styles = escape(f"{settings.static}sleeve.css")

    def render(self, page: Page) -> str:
        words = WORDS[page.language]
        notice = words["test"] if page.test else words["saved"] if page.saved else ""
        heading = words["unshown" if page.kind == "unavailable" and page.saved else page.kind]
        return f"""<!doctype html>
<html lang="{escape(page.language)}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="robots" content="noindex, nofollow">
  <title>{heading} – {self._title}</title>
  <link rel="stylesheet" href="{self._styles}">
</head>
<body>
  <main class="sleeve">
    <p class="label">{self._title}</p>
    <h1>{heading}</h1>
    {f'<p class="notice" role="status">{notice}</p>' if notice else ""}
    {f'<p class="address">{escape(page.address)}</p>' if page.address else ""}
    {_content(page, words)}
  </main>
</body>
</html>
"""


def _content(page: Page, words: Mapping[str, str]) -> str:
    match page.kind:
        case "group":
            return _tracks(page) + _form(page, words["leave"]) + _way_to_the_rest(page, words)
        case "left" if page.groups:
            return _tracks(page) + _way_to_the_rest(page, words)
        case "left":
            everything = '<input type="hidden" name="channel" value="on">'
            return _form(page, words["return"], everything) + _way_to_the_rest(page, words)
        case "preferences":
            switches = [_switch("group", group.name, _about(group), on=group.subscribed) for group in page.groups]
            switches.append(_switch("channel", "on", words["everything"], on=page.subscribed))
            return _form(page, words["save"], "".join(switches))
        case _:
            return ""


def _form(page: Page, button: str, fields: str = "") -> str:
    kept = f'<input type="hidden" name="form" value="{escape(page.form)}">'
    return f'<form method="post" action="{escape(page.action)}">{kept}{fields}<button>{button}</button></form>'


def _switch(name: str, value: str, about: str, *, on: bool) -> str:
    checked = " checked" if on else ""
    box = f'<input type="checkbox" name="{name}" value="{escape(value)}"{checked}>'
    return f"<label>{box}<span>{about}</span></label>"


def _tracks(page: Page) -> str:
    return f"<ol>{''.join(f'<li>{_about(group)}</li>' for group in page.groups)}</ol>" if page.groups else ""


def _about(group: Switch) -> str:
    about = f" <small>{escape(group.description)}</small>" if group.description else ""
    return f"<b>{escape(group.title)}</b>{about}"


def _way_to_the_rest(page: Page, words: Mapping[str, str]) -> str:
    return f'<p><a href="{escape(page.preference_page)}">{words["choose"]}</a></p>'
