"""Links and headers of a message: where its token leads, and how mail programs find the way (RFC 2369, 2919, 8058)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.header import Header
from typing import Any
from urllib.parse import urlsplit

from .errors import MaysendError
from .model import Campaign, Project
from .tokens import LinkSealer

ONE_CLICK = "List-Unsubscribe=One-Click"
_TOKEN = "{token}"  # noqa: S105 - the place of a token in a URL
_PLAIN = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


@dataclass(frozen=True, slots=True)
class Places:
    """Where pages are: ours under ``base_url`` (no slash at its end), and an own preference page, if there is one."""

    base_url: str
    preference_url: str | None = None

    def group_page(self, token: str) -> str:
        return f"{self.base_url}/u/{token}"

    def preference_page(self, token: str) -> str:
        """Ours, or the own page: its URL with the token in place of ``{token}``, else as the query's ``token``."""
        return self.preference_template.replace(_TOKEN, token)

    @property
    def preference_template(self) -> str:
        """The address of the preference page with ``{token}`` in it."""
        if not (url := self.preference_url):
            return f"{self.base_url}/p/{_TOKEN}"
        if _TOKEN in url:
            return url
        start, mark, fragment = url.partition("#")
        return f"{start}{'&' if '?' in start else '?'}token={_TOKEN}{mark}{fragment}"


def places(settings: Mapping[str, Any]) -> Places:
    """Where links lead, as ``pages`` in ``project.yaml`` says. Raises MaysendError without a ``base_url``."""
    pages = settings.get("pages", {})
    if "base_url" not in pages:
        raise MaysendError("project.yaml: links start with pages.base_url, which is missing; add it")
    return Places(pages["base_url"].rstrip("/"), pages.get("preference_url"))


def sealer(campaign: Campaign, keys: Sequence[bytes], *, test: bool) -> LinkSealer:
    """What seals the links of a campaign's messages."""
    groups = campaign.groups.asks_for if campaign.groups else ()
    return LinkSealer(keys, campaign.channel, campaign.name, groups, test=test)


def headers(project: Project, campaign: Campaign, group_page: str) -> dict[str, str]:
    """The headers of one e-mail: RFC 2369 and 8058 with the group page's URL, and RFC 2919."""
    return {
        "List-Unsubscribe": f"<{group_page}>",
        "List-Unsubscribe-Post": ONE_CLICK,
        "List-Id": list_id(project, campaign),
    }


def list_id(project: Project, campaign: Campaign) -> str:
    """RFC 2919: the title and name of the campaign's first group, or of the project and channel where it has none."""
    groups = campaign.groups.asks_for if campaign.groups else ()
    name = groups[0] if groups else campaign.channel
    title = project.groups[name].title if groups else project.title
    host = urlsplit(places(project.settings).base_url).hostname
    return f"{_phrase(title)} <{name}.{host}>"


def _phrase(text: str) -> str:
    """RFC 5322's phrase: words as they are, a quoted string where they are not words, encoded where not ASCII."""
    text = " ".join(text.split())
    if not text.isascii():
        return " ".join(Header(text, "utf-8", maxlinelen=75).encode().split())
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
