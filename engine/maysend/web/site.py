"""What the server shows and accepts for one state of the declarations; a reload puts another in its place."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from ..addresses import normalizer
from ..hookspecs import ChannelType, FeedbackParser, Page, PageSettings, Renderer
from ..ledger import Ledger, is_subject
from ..links import Places
from ..model import Project
from ..plugins import Plugins
from ..preferences import Preferences, masked
from ..status import CHANNEL
from ..tokens import Link
from . import text

_FORM = secrets.token_urlsafe(16)
"""Stands where a page's sealed form goes, which holds a hash of the rest of the page."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """A declared source of feedback: the channel it reports on, its parser, and the parser's settings."""

    channel: str
    parser: FeedbackParser
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """``prefix`` is the path under which a proxy shows the pages (``""``: at its root)."""

    project: Project
    plugins: Plugins
    preferences: Preferences
    renderer: Renderer
    places: Places
    prefix: str
    origins: frozenset[str]
    feedback: Mapping[str, Feedback]
    replies: Mapping[str, Mapping[str, Any]]

    def group_page(self, link: Link, token: str, language: str) -> str:
        """The link's groups, with one button to leave them all. Raises LedgerError."""
        view = self.preferences.view(link)
        page = self._page("group", link, token, language, groups=view.named, subscribed=view.subscribed)
        page = replace(page, action=f"{self.prefix}/u/{token}")
        return self._render(page, token, {switch.name: switch.subscribed for switch in view.named})

    def left_page(self, link: Link, token: str, language: str) -> str:
        """What was left; where it is everything, with the way back. It asks the ledger nothing: all is recorded."""
        groups = self.preferences.named(link)
        page = self._page("left", link, token, language, groups=groups, subscribed=False, action=self.own_page(token))
        return self._render(page, token, {} if groups else {CHANNEL: False})

    def preference_page(self, link: Link, token: str, language: str, *, saved: bool) -> str:
        """Every visible group, and all messages, as switches. Raises LedgerError."""
        view = self.preferences.view(link)
        page = self._page(
            "preferences", link, token, language, groups=view.groups, subscribed=view.subscribed, saved=saved
        )
        shown = {CHANNEL: view.subscribed} | {switch.name: switch.subscribed for switch in view.groups}
        return self._render(replace(page, action=self.own_page(token)), token, shown)

    def own_page(self, token: str) -> str:
        """The path of our preference page."""
        return f"{self.prefix}/p/{token}"

    def normalize(self, channel: str, address: str) -> str | None:
        """An address as found, as the ledger knows it; None where it is none here, or one no ledger can hold."""
        found = normalizer(self.channel_type(channel).address)(address)
        return found if found is None or is_subject(found) else None

    def channel_type(self, channel: str) -> ChannelType:
        """What the plugin says of a declared channel."""
        return self.plugins.channel_types[self.project.channels[channel].type]

    def _page(self, kind: Any, link: Link, token: str, language: str, **shown: Any) -> Page:
        own = self.places.preference_url
        return Page(
            kind=kind,
            language=language,
            address=masked(link.address) if link.address else "",
            form=_FORM,
            preference_page=self.places.preference_page(token) if own else self.own_page(token),
            test=link.test,
            **shown,
        )

    def _render(self, page: Page, token: str, shown: Mapping[str, bool]) -> str:
        html = self.renderer.render(page)
        return html.replace(_FORM, self.preferences.seal_form(token, shown, text.visible(html)))


def open_site(project: Project, plugins: Plugins, ledger: Ledger, keys: Sequence[bytes]) -> Site:
    """Everything a valid project's pages need. Raises PluginError where its templates or logo cannot be read."""
    pages = project.settings.get("pages", {})
    prefix = urlsplit(pages.get("base_url", "")).path.rstrip("/")
    settings = PageSettings(project.root, project.title, pages, f"{prefix}/static/")
    return Site(
        project=project,
        plugins=plugins,
        preferences=Preferences(project, plugins.channel_types, ledger, keys),
        renderer=plugins.page_renderers[pages.get("renderer", "default")].open(settings),
        places=Places(prefix, pages.get("preference_url")),
        prefix=prefix,
        origins=frozenset(pages.get("origins", ())),
        feedback={
            name: Feedback(source["channel"], plugins.feedback_parsers[name], source)
            for name, source in project.settings.get("feedback", {}).items()
        },
        replies=project.settings.get("replies", {}),
    )
