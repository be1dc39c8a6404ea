"""What ``make bench`` measures must be the same work: its sides agree on who is in each audience, key by key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module

import pytest

from benchmarks.agreement import DisagreementError, compare
from benchmarks.projects import Kind
from benchmarks.rows import MAYSEND_, SIDES, Scene
from benchmarks.sides import Asked, Found

Ours = Callable[[Kind], dict[str, Found]]

CAMPAIGNS = 8
PACKAGES = {"polars": "polars", "chdb": "chdb", "postgres": "psycopg"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("benchmarks"), 3_000)


@pytest.fixture(scope="module")
def ours(scene: Scene) -> Ours:
    """What maysend finds of a kind of project, a third of whose answers are appended, and the others in a snapshot."""
    return cache(lambda kind: answer(MAYSEND_, ask(scene, kind)))


def ask(scene: Scene, kind: Kind) -> Asked:
    return replace(scene.ask(kind), what="ids", limit=CAMPAIGNS)


def answer(name: str, asked: Asked) -> dict[str, Found]:
    module, _, function = SIDES[name].partition(".")
    found: dict[str, Found] = getattr(import_module(f"benchmarks.sides.{module}"), function)(asked)
    return found


@pytest.mark.parametrize("name", [name for name in SIDES if name not in (MAYSEND_, "scan", "PostgreSQL")])
def test_a_side_includes_whom_maysend_includes(name: str, scene: Scene, ours: Ours) -> None:
    if package := PACKAGES.get(SIDES[name].partition(".")[0]):
        pytest.importorskip(package, reason=f"{package} is not installed (make bench)")
    found = answer(name, ask(scene, "hundred"))
    assert sum(one.left[-1] for one in found.values()) > CAMPAIGNS
    compare({MAYSEND_: ours("hundred"), name: found})


def test_counts_of_a_hundred_campaigns_are_those_of_as_many_queries(scene: Scene) -> None:
    """More campaigns than a word has bits, and all stages of each."""
    asked = scene.ask("hundred")
    compare({MAYSEND_: answer(MAYSEND_, asked), "DuckDB": answer("DuckDB", asked)})


@pytest.mark.parametrize("kind", ["events", "policies"])
def test_hand_written_queries_include_whom_maysend_includes(kind: Kind, scene: Scene, ours: Ours) -> None:
    compare({MAYSEND_: ours(kind), "DuckDB": answer("DuckDB", ask(scene, kind))})


def test_postgresql_includes_whom_maysend_includes(scene: Scene, ours: Ours) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra: postgres)")
    from benchmarks.sides import postgres

    if why := postgres.unreachable():
        pytest.skip(f"no PostgreSQL server: {why}")
    asked = ask(scene, "hundred")
    with postgres.loaded(asked):
        compare({MAYSEND_: ours("hundred"), "PostgreSQL": answer("PostgreSQL", asked)})


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (Found((3, 2)), Found((3, 1)), "c: 2 profiles are left after address in a, and 1 in b"),
        (Found((2,), (1, 2)), Found((2,), (1, 3)), "c: profile 2 is in the audience of a, and not in that of b"),
        (Found((2,), 17), Found((2,), 18), "c: a and b include as many profiles, but not the same"),
    ],
)
def test_sides_that_disagree_stop_the_run(one: Found, other: Found, said: str) -> None:
    with pytest.raises(DisagreementError, match=said):
        compare({"a": {"c": one}, "b": {"c": other}})
