"""docs/architecture.md says what is there: the floors, and the files it names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text("utf-8")
ROOTS = (REPOSITORY, REPOSITORY / "engine" / "maysend", REPOSITORY / "engine" / "maysend" / "targeting")
FILES = sorted(set(re.findall(r"`((?:\w+/)*\w+\.(?:py|toml|md)|(?:\w+/)+)`", PAGE)))


def test_its_floors_are_the_contract_s() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    floors = next(one for one in settings["tool"]["importlinter"]["contracts"] if one["id"] == "floors")
    _, _, after = PAGE.partition("## Floors")
    assert after.split("```\n")[1].splitlines() == floors["layers"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_it_names_is_there(name: str) -> None:
    assert any((root / name).exists() for root in ROOTS)
