"""Write ``configuration.md`` beside this file, from the JSON Schemas: ``python docs/configuration.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maysend.schemas import KINDS, schema

INTRODUCTION = """\
# Configuration

A project is a directory of YAML files. The folder says what a file declares, and the file's name is its name: `a` to
`z`, `0` to `9` and `_`, a letter first. What looks like text stays text (`NO`, `22:00`, `01234`, `2024-01-01`); a
repeated key, an alias and an unknown key are problems. `maysend validate` shows the problems of all files at once, with
line and column: of a file first those of its shape, and once that is right all others. `maysend schema KIND` prints the
JSON Schema for an editor. Required keys are **bold**.

This page is generated from the schemas; `make docs` writes it again.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *(line for kind in KINDS for line in _kind(schema(kind)))])


def _kind(whole: dict[str, Any]) -> Iterator[str]:
    yield f"## `{whole['title']}`\n\n{whole['description']}\n"
    yield from _table(whole, whole, "")
    if leaves := whole.get("$defs", {}).get("condition", {}).get("dependentSchemas"):
        yield "### Conditions\n\nA condition is one of these; the keys in the rows below it belong to it.\n"
        for name in leaves:
            leaf = whole["$defs"][name]
            yield f"#### `{name}`\n\n{leaf['description']}\n"
            yield from _table(leaf, whole, "")


def _table(part: dict[str, Any], whole: dict[str, Any], prefix: str) -> Iterator[str]:
    yield "| key | value | meaning |\n| --- | --- | --- |"
    yield from _rows(part, whole, prefix)
    yield ""


def _rows(part: dict[str, Any], whole: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, declared in part.get("properties", {}).items():
        yield from _row(f"{prefix}{name}", declared, whole, required=name in part.get("required", ()))
    more = part.get("additionalProperties")
    if isinstance(more, dict):
        yield from _row(f"{prefix}<name>", more, whole, required=False)


def _row(name: str, declared: dict[str, Any], whole: dict[str, Any], *, required: bool) -> Iterator[str]:
    full = _resolved(declared, whole)
    key = f"**`{name}`**" if required else f"`{name}`"
    default = f" Default: `{full['default']}`." if "default" in full else ""
    meaning = f"{full['description']}{default}".replace("|", "\\|")
    yield f"| {key} | {_value(declared, whole)} | {meaning} |"
    if declared.get("$ref") != "#/$defs/condition":
        yield from _rows(full, whole, f"{name}.")
        items = full.get("items", {})
        if items.get("$ref") != "#/$defs/condition":
            yield from _rows(_resolved(items, whole), whole, f"{name}[].")


def _resolved(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """A part of a schema with what it refers to; its own description counts more."""
    name = part.get("$ref", "").removeprefix("#/$defs/")
    return {**whole["$defs"][name], **part} if name else part


def _value(declared: dict[str, Any], whole: dict[str, Any]) -> str:
    """What may stand under a key, in a few words."""
    if declared.get("$ref") == "#/$defs/condition":
        return "a condition"
    full = _resolved(declared, whole)
    if "enum" in full:
        return ", ".join(f"`{choice}`" for choice in full["enum"])
    types = full["type"] if isinstance(full["type"], list) else [full["type"]]
    words = {
        "string": full.get("title", "text") if "pattern" in full else "text",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "`true` or `false`",
        "array": f"a list of: {_value(full['items'], whole)}" if "items" in full else "a list",
        "object": "keys",
        "null": "nothing",
    }
    spoken = [words[name] for name in types]
    if "pattern" in full and "string" in types and len(types) > 1:
        return str(full["title"])
    text = " or ".join(spoken)
    bounds = [f"{word} {full[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in full]
    return f"{text} {' '.join(bounds)}".strip()


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
