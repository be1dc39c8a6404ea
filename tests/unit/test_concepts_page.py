"""docs/concepts.md says what holds: its project is valid, and its tables are the code's."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from maysend import loader, plugins
from maysend.declarations.contradictions import contradictions
from maysend.declarations.meaning import offline_problems
from maysend.moments import Clock
from maysend.status import CHANNEL, Standing, statuses
from maysend.targeting.reads import INCLUDED
from maysend.targeting.stages import REASONS

PAGE = (Path(__file__).parents[2] / "docs" / "concepts.md").read_text("utf-8")


def table(title: str) -> list[list[str]]:
    """The rows, without the head, of the table whose first column has a title."""
    (found,) = re.findall(rf"^\| {re.escape(title)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found.splitlines()]


def test_its_files_are_a_valid_project(tmp_path: Path) -> None:
    files = re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(files) == PAGE.count("```yaml")
    for name, text in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "segments" / "staff.yaml").write_text("where: {property: email, ends_with: '@shop.example'}\n")
    project, problems = loader.check(tmp_path, plugins.load())
    assert project, problems
    assert problems == []
    unfit, skipped = offline_problems(project, Clock(datetime.now(UTC), ZoneInfo(project.timezone)))
    assert (unfit, skipped) == ([], ["the data and the ledger"])
    assert list(contradictions(project)) == []


def test_its_answers_add_up_as_it_says() -> None:
    defaults = {CHANNEL: True, "news": True, "concerts": False}
    subject = Standing()
    for at, (said, *expected) in enumerate(table("it says")):
        if found := re.match(r"(?:yes|no) to (\w+)", said):
            group = CHANNEL if "the channel" in said else found[1]
            subject.apply(group, said.startswith("yes"), at)
        shown = statuses(subject, Standing(), defaults).values()
        assert ["subscribed" if one else "unsubscribed" for one in shown] == expected, said


@pytest.mark.parametrize(("address", "profile", "expected"), table("the address says"))
def test_both_levels_add_up_as_it_says(address: str, profile: str, expected: str) -> None:
    subjects = (Standing(), Standing())
    for at, (subject, said) in enumerate(zip(subjects, (address, profile), strict=True)):
        if said != "nothing":
            subject.apply("news", said.startswith("yes"), at)
    for default in (True, False):
        status = statuses(*subjects, {"news": default})["news"]
        assert status == (default if "default" in expected else expected == "subscribed")


def test_its_reasons_are_the_engine_s() -> None:
    assert [row[0].strip("`") for row in table("reason")] == [*REASONS, INCLUDED]
