"""Every project under ``broken/`` prints exactly the lines in its ``expected.txt``.

A broken project is the files in its directory laid over ``broken/sound``, which has no problem.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BROKEN = Path(__file__).parent / "broken"
NAMES = sorted(directory.name for directory in BROKEN.iterdir() if directory.name != "sound")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, maysend: Callable[..., Any]) -> Path:
    """The sound project with its ledger."""
    root = tmp_path_factory.mktemp("sound") / "project"
    shutil.copytree(BROKEN / "sound", root)
    maysend("init", cwd=root)
    return root


def laid_over(sound: Path, name: str, directory: Path) -> Path:
    """The broken project ``name`` as a whole."""
    root = directory / "project"
    shutil.copytree(sound, root)
    shutil.copytree(BROKEN / name, root, dirs_exist_ok=True)
    (root / "expected.txt").unlink(missing_ok=True)
    return root


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_project_prints_its_problems_and_nothing_else(
    name: str, sound: Path, tmp_path: Path, maysend: Callable[..., Any]
) -> None:
    root = laid_over(sound, name, tmp_path)
    done = maysend("validate", cwd=root, code=1)
    assert done.stderr == ""
    assert done.stdout.replace(str(root), "<project>") == (BROKEN / name / "expected.txt").read_text("utf-8")


def test_the_sound_project_has_no_problem(sound: Path, maysend: Callable[..., Any]) -> None:
    done = maysend("validate", cwd=sound)
    assert (done.stdout, done.stderr) == ("", "1 campaign, 2 segments, 4 groups, 2 channels: no problems\n")
