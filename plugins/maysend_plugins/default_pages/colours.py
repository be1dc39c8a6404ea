"""A project's colours as CSS custom properties, with text on them that can be read (WCAG 2.2, contrast)."""

from __future__ import annotations

from collections.abc import Mapping

_LIGHT, _DARK = "#ffffff", "#000000"


def style(colours: Mapping[str, str]) -> str:
    """CSS that sets the accent, for light and (where declared) for dark screens; colours are ``#rrggbb``."""
    rules = ""
    if accent := colours.get("accent"):
        rules += f"\n:root {{ {_accent(accent)} }}"
        dark = colours.get("accent_dark", accent)
        rules += f"\n@media (prefers-color-scheme: dark) {{ :root {{ {_accent(dark)} }} }}"
    return rules + "\n"


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours: 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _accent(colour: str) -> str:
    on = max((_LIGHT, _DARK), key=lambda text: contrast(text, colour))
    return f"--accent: {colour}; --on-accent: {on};"


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
