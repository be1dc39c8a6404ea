"""Which of the pages' languages a reader prefers (RFC 9110, section 12.5.4; RFC 4647, lookup)."""

from __future__ import annotations

from collections.abc import Sequence

_MOST = 50
_LONGEST = 35
"""Characters of the longest language tag that is looked at (RFC 5646, section 4.4.1)."""


def choose(accepted: str, offered: Sequence[str]) -> str:
    """The language of ``offered`` that an Accept-Language header asks for first; the first offered where none fits."""
    known = {language.lower(): language for language in offered}
    for wanted in _by_quality(accepted):
        while wanted:
            if wanted in known:
                return known[wanted]
            wanted = wanted.rpartition("-")[0]
    return offered[0]


def _by_quality(accepted: str) -> list[str]:
    weighed: list[tuple[float, int, str]] = []
    for item in accepted.lower().split(",")[:_MOST]:
        language, _, parameters = item.strip().partition(";")
        try:
            quality = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0.0
        if 0 < len(language) <= _LONGEST and 0 < quality <= 1:
            weighed.append((-quality, len(weighed), language.strip()))
    return [language for _, _, language in sorted(weighed)]
