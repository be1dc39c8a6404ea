"""Audiences that can never have anyone, and audiences that can."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

import engine
import oracle
from drawing import worlds
from maysend import loader, plugins
from maysend.declarations.contradictions import contradictions

CASES = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "declarations" / "contradictions.yaml").read_text("utf-8")
)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_an_audience_that_can_never_have_anyone_is_a_problem(case: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / "project.yaml", {"profiles": {"source": "p.csv", "key": "id"}, "events": {"Charged": EVENT}})
    write(tmp_path / "channels" / "email.yaml", {"type": "email", "address": "email"})
    for name in ("news", "offers"):
        group = {"title": name, "channel": "email", "default": "subscribed"}
        write(tmp_path / "subscription_groups" / f"{name}.yaml", group)
    for name, where in case["segments"].items():
        write(tmp_path / "segments" / f"{name}.yaml", {"where": where})
    if "campaign" in case:
        write(tmp_path / "campaigns" / "c.yaml", case["campaign"])
    project, problems = loader.check(tmp_path, plugins.load())
    assert project
    assert all("circle" in problem.message for problem in problems), problems
    assert [str(problem) for problem in contradictions(project)] == ([case["nobody"]] if "nobody" in case else [])


@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(worlds())
def test_the_oracle_finds_nobody_where_a_contradiction_is_found(world: dict[str, Any]) -> None:
    everything = {"all": list(world["segments"].values())} if world["segments"] else None
    if everything:
        channel = next(iter(world["channels"]))
        world = world | {
            "segments": world["segments"] | {"everything": everything},
            "campaigns": world["campaigns"]
            | {"everything": {"channel": channel, "audience": {"include": ["everything"]}}},
        }
    with TemporaryDirectory() as directory:
        engine.write_project(world, Path(directory))
        project, problems = loader.check(Path(directory), engine.loaded_plugins())
    assert project
    assert not problems
    found = list(contradictions(project))
    decided = oracle.decide(world) if found else {}
    for problem in found:
        campaign = Path(problem.file).stem
        if campaign in decided:
            assert "included" not in decided[campaign].values(), problem


EVENT = {"source": "e.csv", "profile": "id", "at": "at"}


def write(file: Path, data: dict[str, Any]) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(data, sort_keys=False, default_flow_style=False), "utf-8")
