"""The cases of tests/cases: rows in, decisions out, by the oracle and by the engine.

A file has a ``world`` (see ``oracle``), and cases on it. One of ``conditions`` says of a ``where`` for which keys it
is true (``in``) and for which its negation is (``not``); for the rest it is unknown. One of ``decisions`` may replace
parts of the world, and says of each campaign which keys it leaves out for which reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest

import oracle
from decision_cases import EVERYONE, conditions_world, contents

Decide = Callable[[Mapping[str, Any]], Mapping[str, Mapping[str, str]]]
Case = Mapping[str, Any]


def _params(kind: str) -> list[Any]:
    return [
        pytest.param(stem, number, id=f"{stem}: {case['name']}")
        for stem, content in contents().items()
        for number, case in enumerate(content.get(kind, ()))
    ]


@pytest.fixture(scope="module", params=["oracle", "engine", "roster"])
def decide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Decide:
    """Decisions by campaign and key (as text), from the oracle, from the engine, and from the engine by a roster."""
    if request.param == "oracle":
        return lambda world: {
            campaign: {str(key): reason for key, reason in reasons.items()}
            for campaign, reasons in oracle.decide(world).items()
        }
    from engine import decisions, decisions_with_roster

    by = decisions if request.param == "engine" else decisions_with_roster
    return lambda world: by(world, tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def members(decide: Decide) -> Callable[[str, int], tuple[set[str], set[str]]]:
    """The keys for which a file's condition is true, and those for which its negation is.

    All conditions of a file are evaluated as the campaigns of one project.
    """
    of_file = cache(lambda stem: decide(conditions_world(contents()[stem])))

    def find(stem: str, number: int) -> tuple[set[str], set[str]]:
        reasons = of_file(stem)
        true, negated = (
            {key for key, reason in reasons[f"{kind}_{number}"].items() if reason != "not_in_audience"}
            for kind in ("true", "negated")
        )
        return true, negated

    return find


@pytest.mark.parametrize(("stem", "number"), _params("conditions"))
def test_condition(stem: str, number: int, members: Callable[[str, int], tuple[set[str], set[str]]]) -> None:
    case = contents()[stem]["conditions"][number]
    assert members(stem, number) == (_keys(case["in"]), _keys(case["not"]))


@pytest.mark.parametrize(("stem", "number"), _params("decisions"))
def test_decisions(stem: str, number: int, decide: Decide) -> None:
    content = contents()[stem]
    case = content["decisions"][number]
    reasons = decide({"channels": EVERYONE, **content["world"], **case.get("world", {})})
    expected = {
        campaign: {str(key): reason for reason, keys in by_reason.items() for key in keys}
        for campaign, by_reason in case["expect"].items()
    }
    assert {campaign: reasons[campaign] for campaign in expected} == expected


def _keys(keys: list[str | int]) -> set[str]:
    return {str(key) for key in keys}
