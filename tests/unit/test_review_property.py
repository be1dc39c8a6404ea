"""Whatever changes between two projects: a comparison's numbers are those of two full evaluations, id by id."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, assume, given, reject, seed, settings
from hypothesis import strategies as st

from drawing import World, worlds
from engine import loaded_plugins, record, write_project
from maysend import runner
from maysend.declarations import meaning
from maysend.errors import InvalidProjectError
from maysend.ledger import Ledger
from maysend.model import Project
from maysend.moments import Clock
from maysend.review import variants
from maysend.review.comparison import Comparison, Difference, compare
from maysend.review.sides import open_sides

Decided = dict[str, dict[str, str]]


@pytest.mark.parametrize("number", range(1))
def test_a_comparison_is_two_evaluations(number: int) -> None:
    draw(number, 3)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(100, 104))
def test_a_comparison_is_two_evaluations_at_length(number: int) -> None:
    draw(number, 10)


def draw(number: int, rounds: int) -> None:
    patient = settings(max_examples=rounds, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    seed(number)(patient(given(pair=pairs())(holds)))()


@st.composite
def pairs(draw: st.DrawFn) -> tuple[World, World]:
    """A world of some people, and the same one with some declarations as in another world, changed, or gone."""
    one, other = draw(worlds()), draw(worlds())
    assume(len(one["profiles"]) > 5)
    parts = {kind: dict(one[kind]) for kind in ("segments", "campaigns", "groups", "control_groups")}
    places = [(kind, name) for kind in ("segments", "campaigns") for name in parts[kind]] * 3
    places += [(kind, name) for kind in ("groups", "control_groups") for name in parts[kind]]
    for kind, name in draw(st.lists(st.sampled_from(places), min_size=2, max_size=5, unique=True)):
        now = parts[kind].get(name, {})
        match kind, draw(st.sampled_from(["changed", "changed", "other", "gone"])):
            case "segments", "changed":
                bucket = {"bucket": {"between": sorted(draw(st.tuples(st.integers(0, 999), st.integers(0, 999))))}}
                several = draw(st.sampled_from(["any", "all"]))
                inside = [item for item in now.get(several, [now]) if "bucket" not in item]
                parts[kind][name] = {several: [*inside, bucket]}
            case "campaigns", "changed":
                drawn = {"percent": draw(st.sampled_from([20, 50, 80])), "salt": "new"}
                parts[kind][name] = {**now, "control_group": drawn}
            case "groups", _:
                parts[kind][name] = {**now, "default": other[kind][name]["default"]}
            case "control_groups", _:
                parts[kind][name] = {**now, "percent": draw(st.sampled_from([20, 50, 80]))}
            case "campaigns", "gone" if name in parts[kind] and len(parts[kind]) > 1:
                del parts[kind][name]
            case _, "other" if name in other[kind]:
                parts[kind][name] = other[kind][name]
    caps = draw(st.sampled_from([one["frequency_caps"], other["frequency_caps"]]))
    return one, World(one, **parts, frequency_caps=caps)


def holds(pair: tuple[World, World]) -> None:
    # One ledger for both sides and all between them: none of their defaults is news to it.
    with patch.object(Ledger, "known_groups", lambda _: {}), tempfile.TemporaryDirectory() as name:
        directories = [Path(name) / "base", Path(name) / "head"]
        for world, directory in zip(pair, directories, strict=True):
            directory.mkdir()
            write_project(world, directory)
            record(world, directory)
        plugins, as_of = loaded_plugins(), datetime.fromisoformat(pair[0]["as_of"])
        try:
            sides = open_sides(str(directories[0]), str(directories[1]), None, plugins)
            comparison = compare(sides, plugins, as_of, samples=100)
        except InvalidProjectError:
            reject()
        base, head = sides.base.project, sides.head.project
        before, after = (runner.decide(side, as_of, plugins) for side in (base, head))
        for one in comparison.campaigns:
            agrees(one, before.get(one.name), after.get(one.name))
        explained(comparison, base, head, after, as_of)


def agrees(one: Difference, before: dict[str, str] | None, after: dict[str, str] | None) -> None:
    """Every number and every key of a difference, against everybody's reason on both sides."""
    was, now = ({key for key, reason in (side or {}).items() if reason == "included"} for side in (before, after))
    assert (one.added, one.removed, one.unchanged) == (len(now - was), len(was - now), len(was & now)), one
    assert (one.before, one.after) == tuple(
        None if side is None else len(found) for side, found in ((before, was), (after, now))
    )
    assert one.added == sum(cause.added for cause in one.causes)
    assert one.removed == sum(cause.removed for cause in one.causes)
    assert one.causes[-1].file is None
    if before is None or after is None:
        return
    assert set(one.samples["added"]) == now - was
    assert set(one.samples["removed"]) == was - now
    assert one.moved == Counter((before[key], after[key]) for key in before if before[key] != after[key])


def explained(comparison: Comparison, base: Project, head: Project, after: Decided, as_of: datetime) -> None:
    """Every cause is the head against the head without that change, as a project of its own."""
    plugins = loaded_plugins()
    with runner.opened(head, as_of, plugins) as run:
        catalog, clock = run.catalog, run.clock

    def check(project: Project) -> list[Any]:
        return meaning.problems(project, catalog, Clock(as_of, clock.zone))

    expected: dict[str, list[tuple[str, int, int, int]]] = {one.name: [] for one in comparison.campaigns}
    for variant in variants.find(base, head, plugins, check):
        without = runner.decide(variant.project, as_of, plugins)
        for name in expected:
            if name in without and name in after:
                was, now = (
                    {key for key, reason in side[name].items() if reason == "included"} for side in (without, after)
                )
                expected[name].append((variant.change.file, variant.change.line, len(now - was), len(was - now)))
    for one in comparison.campaigns:
        if one.before is None or one.after is None:
            continue
        told = [(cause.file, cause.line, cause.added, cause.removed) for cause in one.causes if cause.file]
        assert Counter(told) <= Counter(expected[one.name])
        moving = [cause for cause in expected[one.name] if cause[2] or cause[3]]
        assert Counter(moving) <= Counter(told)
