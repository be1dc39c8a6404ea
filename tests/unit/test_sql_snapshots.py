"""The compiled SQL of every case, kept for reviewers under tests/snapshots: a change of meaning shows in a diff.

``make snapshots`` writes them again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from decision_cases import EVERYONE, conditions_world, contents
from engine import loaded_plugins, write_project
from maysend import fitting, loader
from maysend.backends.duckdb import DuckDB
from maysend.moments import Clock
from maysend.targeting.describing import describe
from maysend.targeting.plan import Asked, Plan, blocks

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"


@pytest.mark.parametrize("stem", list(contents()))
def test_compiled(stem: str, tmp_path: Path) -> None:
    found = "".join(f"# {name}\n\n{text}\n" for name, text in _compiled(stem, tmp_path))
    kept = SNAPSHOTS / f"{stem}.txt"
    if os.environ.get("MAYSEND_WRITE_SNAPSHOTS"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(found, encoding="utf-8")
    assert found == kept.read_text(encoding="utf-8"), "the SQL changed; if that is meant, run `make snapshots`"


def _compiled(stem: str, directory: Path) -> Iterator[tuple[str, str]]:
    content = contents()[stem]
    if conditions := content.get("conditions"):
        names = {f"true_{number}": case["name"] for number, case in enumerate(conditions)}
        yield from _plans(conditions_world(content), directory / "conditions", names)
    for number, case in enumerate(content.get("decisions", ())):
        world = {"channels": EVERYONE, **content["world"], **case.get("world", {})}
        yield from _plans(world, directory / str(number), None, case["name"])


def _plans(
    world: dict[str, Any], directory: Path, one_by_one: dict[str, str] | None, title: str = ""
) -> Iterator[tuple[str, str]]:
    """A description per campaign of ``one_by_one`` (its case by its name), or of all the world's campaigns together."""
    directory.mkdir(parents=True)
    write_project(world, directory)
    project = loader.load(directory, loaded_plugins())
    types = loaded_plugins().channel_types
    clock = Clock(datetime.fromisoformat(world["as_of"]), ZoneInfo(project.timezone))
    with DuckDB() as backend:
        catalog, _ = fitting.open_sources(project, backend)
    asked = [Asked(project, campaign) for campaign in project.campaigns.values()]
    if one_by_one is None:
        plans = [Plan(block, types, catalog, clock) for block in blocks(asked, types, catalog, clock)]
        yield title, "\n".join(map(describe, plans))
        return
    for one in asked:
        if name := one_by_one.get(one.campaign.name):
            yield name, describe(Plan([one], types, catalog, clock))
