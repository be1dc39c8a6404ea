"""A comparison as SARIF 2.1.0 (OASIS), for tools that show findings beside the lines they are about."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from .comparison import Comparison, Difference

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_RULES = {
    "moves-people": "A changed line adds people to an audience or a segment, or removes them.",
    "guard-tripped": "An audience does not keep a guard that the declarations set.",
}


def sarif(comparison: Comparison, prefix: str = "") -> dict[str, Any]:
    """One run: a note for each changed line and what it moves, an error for each guard that tripped.

    ``prefix`` leads from the root of the repository to the project (empty, or ending in a slash).
    """
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "maysend",
                        "version": version("maysend"),
                        "rules": [{"id": rule, "shortDescription": {"text": text}} for rule, text in _RULES.items()],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [*_moved(comparison, prefix), *_tripped(comparison, prefix)],
            }
        ],
    }


def _moved(comparison: Comparison, prefix: str) -> Iterator[dict[str, Any]]:
    effects: dict[tuple[str, int], list[str]] = {}
    for one in (*comparison.campaigns, *comparison.segments):
        for cause in one.causes:
            if cause.file and (cause.added or cause.removed):
                told = f"{one.name} {cause.added:+,} −{cause.removed:,}"
                effects.setdefault((cause.file, cause.line or 1), []).append(told)
    for (file, line), several in sorted(effects.items()):
        yield _result("moves-people", "note", "; ".join(several), f"{prefix}{file}", line)


def _tripped(comparison: Comparison, prefix: str) -> Iterator[dict[str, Any]]:
    for one in comparison.campaigns:
        for guard in one.tripped:
            yield _result(
                "guard-tripped",
                "error",
                f"{one.name}: {guard}",
                f"{prefix}{one.file}",
                _line(comparison, one, guard.guard),
            )


def _line(comparison: Comparison, one: Difference, guard: str) -> int:
    """Where the campaign sets the guard, or its first line where the project does."""
    document = comparison.sides.head.project.campaigns[one.name].document
    return document.line(("guards", guard)) if guard in document.data.get("guards", {}) else 1


def _result(rule: str, level: str, text: str, file: str, line: int) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": file}, "region": {"startLine": line}}
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }
