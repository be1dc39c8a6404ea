"""What the README shows is what is there."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text("utf-8")


def blocks(language: str) -> dict[str, str]:
    """The README's code blocks in a language that start with a comment naming a file: name to what follows."""
    found = re.findall(rf"^```{language}\n# (\S+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return dict(found)


def test_its_yaml_is_the_store_s() -> None:
    shown = blocks("yaml")
    assert len(shown) == 3
    for name, text in shown.items():
        assert (REPOSITORY / "config" / name).read_text("utf-8").startswith(text)


def test_its_plugin_is_the_example_s() -> None:
    plugin = REPOSITORY / "examples" / "plugin_whatsapp"
    assert blocks("python") == {"maysend_whatsapp.py": (plugin / "maysend_whatsapp.py").read_text("utf-8")}
    shown = tomllib.loads(blocks("toml")["pyproject.toml"])
    assert shown["project"].items() <= tomllib.loads((plugin / "pyproject.toml").read_text("utf-8"))["project"].items()


def test_its_commands_print_what_it_shows(maysend: Any, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "config", tmp_path / "config", ignore=shutil.ignore_patterns(".maysend", "out"))
    calls = re.findall(
        r"^(?:\$ |\.venv/bin/)maysend --project config (.*)\n((?:(?!\.venv|```).*\n)+)", README, re.MULTILINE
    )
    assert [call.split()[0] for call, _ in calls] == ["import", "validate", "evaluate", "explain"]
    for call, shown in calls:
        done = maysend("--project", "config", *call.split(), cwd=tmp_path)
        assert [line.rstrip() for line in (done.stdout or done.stderr).splitlines()] == shown.rstrip().splitlines()


@pytest.mark.parametrize(
    "page", [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/*.md"))], ids=lambda p: p.name
)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_its_tree_is_the_one_that_is_there() -> None:
    tree = README.partition("## The tree")[2].partition("```\n")[2].partition("```")[0]
    parent = ""
    for line in tree.splitlines():
        *names, _ = re.split(r"\s{2,}", line.strip())
        assert names, line
        if not line.startswith(" "):
            parent, names = names[0], []
        for path in (parent, *(parent + name for name in names)):
            assert (REPOSITORY / path).exists(), path
