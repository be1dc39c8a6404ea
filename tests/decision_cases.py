"""The files of tests/cases as data: worlds, and cases on them (their format: test_cases.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from maysend.documents import read

CASES = Path(__file__).parent / "cases"
EVERYONE = {"email": {"type": "email", "address": "email"}}


def _files() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for file in sorted(CASES.glob("*.yaml")):
        document, problems = read(file, file.name)
        assert document, problems
        assert not problems, problems
        yield file.stem, document.data


@cache
def contents() -> dict[str, Mapping[str, Any]]:
    return dict(_files())


def conditions_world(content: Mapping[str, Any]) -> dict[str, Any]:
    """A file's world with one segment and one campaign for every condition, and for its negation."""
    world: dict[str, Any] = {"channels": EVERYONE, **content["world"]}
    segments = dict(world.get("segments", {}))
    for number, case in enumerate(content["conditions"]):
        segments[f"true_{number}"] = case["where"]
        segments[f"negated_{number}"] = {"not": case["where"]}
    channel = next(iter(world["channels"]))
    added = [name for name in segments if name.startswith(("true_", "negated_"))]
    campaigns = {name: {"channel": channel, "audience": {"include": [name]}} for name in added}
    return world | {"segments": segments, "campaigns": campaigns}


def world_of(content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every world of a file of cases, by the name of its case."""
    if "conditions" in content:
        yield "conditions", conditions_world(content)
    for case in content.get("decisions", ()):
        yield case["name"], {"channels": EVERYONE, **content["world"], **case.get("world", {})}
