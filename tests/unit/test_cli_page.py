"""docs/cli.md says what the commands say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from maysend.cli import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date() -> None:
    page = runpy.run_path(str(DOCS / "cli.py"))["page"]()
    assert (DOCS / "cli.md").read_text("utf-8") == page, "run `make docs`"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_there_with_its_help(command: str) -> None:
    _, _, after = (DOCS / "cli.md").read_text("utf-8").partition(f"\n## `maysend {command}`\n")
    section = after.partition("\n## ")[0]
    assert f"```\nmaysend {command} " in section
    assert any(line[:1].isupper() for line in section.splitlines()), "says nothing about it"
