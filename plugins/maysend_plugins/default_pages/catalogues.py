"""The messages of the pages in every language: Babel catalogues, read from ``locales/<language>.po``."""

from __future__ import annotations

from importlib.resources import files

from babel.messages.pofile import read_po

FALLBACK = "en"
"""The language of the messages themselves; it needs no catalogue."""


def load() -> dict[str, dict[str, str]]:
    """Language (BCP 47) to message to translation, the fallback first."""
    catalogues: dict[str, dict[str, str]] = {FALLBACK: {}}
    for file in sorted(files(__package__).joinpath("locales").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".po"):
            with file.open("rb") as opened:
                messages = read_po(opened)
            catalogues[file.name.removesuffix(".po").replace("_", "-")] = {
                str(message.id): str(message.string) for message in messages if message.id and message.string
            }
    return catalogues
