"""What a page says, as a reader sees it: the text whose hash is the evidence of what was agreed to."""

from __future__ import annotations

from html.parser import HTMLParser

_UNSEEN = ("head", "script", "style", "template", "title")


def visible(html: str) -> str:
    """The text of a page's body, white space collapsed."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return " ".join(" ".join(reader.parts).split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - its signature
        self._unseen = 0 if tag == "body" else self._unseen + (tag in _UNSEEN)  # </head> may be left out

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data)
