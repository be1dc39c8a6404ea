"""A comparison as Markdown, for a pull request. Nobody's key is in it."""

from __future__ import annotations

from collections.abc import Iterator

from .comparison import Cause, Comparison, Difference

MARK = "<!-- maysend diff -->"
"""The first line, by which a comment is found again to be replaced."""


def markdown(comparison: Comparison) -> str:
    """The comparison as a comment: what changed as tables, what tripped before them."""
    return "\n".join(_lines(comparison)) + "\n"


def _lines(comparison: Comparison) -> Iterator[str]:
    base, head = comparison.sides.base, comparison.sides.head
    yield MARK
    yield f"### {_plain(head.project.title)}: who would be sent what"
    yield ""
    sides = f"{_plain(base.name)} → {_plain(head.name)}"
    yield f"{sides}, over {comparison.population:,} profiles, as of {comparison.as_of:%Y-%m-%d %H:%M %Z}."
    for note in comparison.sides.notes:
        yield f"\n> {_plain(note)}"
    for line in comparison.tripped:
        yield f"\n> **Guard tripped.** {_plain(line)}"
    for title, found in (("campaign", comparison.campaigns), ("segment", comparison.segments)):
        changed = [one for one in found if one.changed]
        if changed:
            yield f"\n| {title} | before | after | added | removed | because of |"
            yield "| --- | --: | --: | --: | --: | --- |"
            yield from (_row(one) for one in changed)
    unchanged = [one for one in comparison.campaigns if not one.changed]
    if unchanged:
        yield f"\n{len(unchanged)} of {len(comparison.campaigns)} campaigns reach the same people as before."
    moved = [one for one in comparison.campaigns if one.moved]
    if moved:
        yield "\n<details><summary>From reason to reason</summary>\n"
        yield "| campaign | from | to | profiles |\n| --- | --- | --- | --: |"
        for one in moved:
            for (was, now), many in sorted(one.moved.items(), key=lambda move: -move[1]):
                yield f"| `{one.name}` | {was} | {now} | {many:,} |"
        yield "\n</details>"


def _row(one: Difference) -> str:
    sizes = ("—" if size is None else f"{size:,}" for size in (one.before, one.after))
    causes = "<br>".join(_cause(cause) for cause in one.causes if cause.file or cause.added or cause.removed)
    return f"| `{one.name}` | {' | '.join(sizes)} | {one.added:+,} | {-one.removed:,} | {causes} |"


def _cause(cause: Cause) -> str:
    where = f"`{cause.file}:{cause.line}`" if cause.file else "several together"
    return f"{where} {cause.added:+,} −{cause.removed:,}".replace("−-", "+")


def _plain(text: str) -> str:
    """Text from a project, in which nothing is Markdown or HTML."""
    kept = text.replace("\n", " ").replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{character}" if character in "\\`*_[]|#@" else character for character in kept)
