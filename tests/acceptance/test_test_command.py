"""``maysend test``: the cases of every project here pass, and a case that fails says why."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "engine" / "maysend" / "example"
PROJECTS = sorted({EXAMPLE, *(file.parents[1] for file in REPOSITORY.glob("*/**/tests/*.yaml"))} - {REPOSITORY})


@pytest.fixture
def cinema(tmp_path: Path) -> Path:
    """The example project without its data and without a ledger."""
    root = tmp_path / "cinema"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("*.csv"))
    return root


def change(root: Path, old: str, new: str) -> None:
    file = root / "tests" / "members_evening.yaml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def test_every_project_here_has_cases() -> None:
    names = {project.relative_to(REPOSITORY).as_posix() for project in PROJECTS}
    examples = {f"examples/{file.parent.name}" for file in REPOSITORY.glob("examples/*/project.yaml")}
    assert names == {"config", "engine/maysend/example"} | examples


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_cases_pass_with_the_data_and_without_it(project: Path, tmp_path: Path, here_json: Any) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".maysend", "out"))
    with_data = here_json("test", cwd=copy)
    assert with_data["failed"] == 0
    assert with_data["passed"] > 0
    assert with_data["inferred"] == []
    for entry in copy.iterdir():
        if entry.name == "data" or entry.suffix in (".csv", ".jsonl"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    assert here_json("test", "--offline", cwd=copy)["cases"] == with_data["cases"]
    assert not (copy / ".maysend").exists()


def test_the_case_of_the_page_passes(tmp_path: Path, here: Any) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(REPOSITORY / "config", copy, ignore=shutil.ignore_patterns(".maysend", "out", "data", "tests"))
    block = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs" / "testing.md").read_text("utf-8"), re.DOTALL)[0]
    (copy / "tests").mkdir()
    (copy / "tests" / "page.yaml").write_text(block, "utf-8")
    assert "1 case: 1 passed" in here("test", "--offline", cwd=copy).stdout


def test_a_failing_case_is_explained_check_by_check(cinema: Path, here: Any) -> None:
    change(cinema, "included: [3, 5]", "included: [3, 4, 5]")
    change(cinema, ", 4: group_unsubscribed", "")
    done = here("test", cwd=cinema, code=1)
    assert done.stdout.splitlines()[:-1] == [
        "tests/members_evening.yaml: 0 of 1 passed",
        "  ✗ members come from out of town, and want programme or offers (tests/members_evening.yaml:5)",
        "    members_evening, profile 4",
        "      - expected included",
        "      + got      group unsubscribed",
        "        ✓ audience: in members",
        "        ✓ address: dan@example.com",
        "        ✓ not suppressed: nothing came back",
        "        ✓ channel: subscribed on email",
        "        ✗ groups: left 'Programme' on 1 June 2024 by import; never subscribed to 'Offers', which is opt-in",
        "        ✓ frequency cap: no frequency cap",
        "        ✓ control group: in no control group",
    ]
    assert done.stdout.splitlines()[-1].startswith("1 case: 0 passed, 1 failed in ")


def test_json_says_what_was_expected_and_got(cinema: Path, here_json: Any) -> None:
    change(cinema, "members: [1, 3, 4, 5]", "members: [3, 4, 5]")
    found = here_json("test", cwd=cinema, code=1)
    assert (found["passed"], found["failed"]) == (0, 1)
    (case,) = found["cases"]
    (difference,) = case.pop("differences")
    assert case == {
        "file": "tests/members_evening.yaml",
        "line": 5,
        "name": "members come from out of town, and want programme or offers",
        "passed": False,
    }
    assert difference["segment"] == "members"
    assert (difference["profile"], difference["expected"], difference["got"]) == ("1", "not a member", "a member")


def test_cases_are_chosen_by_a_part_of_their_name(cinema: Path, here: Any) -> None:
    assert "1 case: 1 passed" in here("test", "-k", "OUT OF TOWN", cwd=cinema).stdout
    done = here("test", "-k", "in town", cwd=cinema, code=2)
    assert done.stderr == 'no case has "in town" in its file or name\n'


def test_mutations_that_no_case_notices_are_listed_and_may_fail(cinema: Path, here: Any) -> None:
    change(cinema, "included: [3, 5]", "included: [3, 5, 2]")
    (cinema / "segments" / "members.yaml").write_text(
        "where: {any: [{property: member, equals: true}, {property: name, equals: Ben}, {property: id, equals: 2}]}"
    )
    change(cinema, "2: not_in_audience, ", "")
    change(cinema, "[1, 3, 4, 5]", "[1, 2, 3, 4, 5]")
    done = here("test", "--mutate", cwd=cinema)
    place = "segments/members.yaml:1:49: "
    assert f"{place}without {{property: name, equals: Ben}}\n" in done.stdout
    assert f"{place}the opposite of {{property: name, equals: Ben}}\n" in done.stdout
    assert "campaigns/next_week.yaml: no case looks at it\n" in done.stdout
    assert " mutations noticed\n" in done.stdout
    here("test", "--mutate", "--fail-under", "50", cwd=cinema)
    failed = here("test", "--mutate", "--fail-under", "100", cwd=cinema, code=1)
    assert "% of the mutations were noticed; --fail-under asks for 100 %\n" in failed.stderr
    assert "needs --mutate" in here("test", "--fail-under", "100", cwd=cinema, code=2).stderr


def test_a_project_without_cases_does_not_pass(cinema: Path, here: Any) -> None:
    shutil.rmtree(cinema / "tests")
    done = here("test", cwd=cinema, code=1)
    assert done.stderr == "tests/ holds no case; docs/testing.md shows one\n"


def test_validate_shows_the_problems_of_cases_and_evaluate_does_not_mind(tmp_path: Path, here: Any) -> None:
    here("init", "cinema", cwd=tmp_path)
    change(tmp_path / "cinema", "members_evening:\n", "member_evening:\n")
    problem = 'tests/members_evening.yaml:19:7: unknown campaign "member_evening"; did you mean "members_evening"?\n'
    assert here("validate", "--offline", cwd=tmp_path / "cinema", code=1).stdout == problem
    assert here("validate", cwd=tmp_path / "cinema", code=1).stdout == problem
    assert here("test", cwd=tmp_path / "cinema", code=1).stderr == problem
    here("evaluate", "--no-audiences", cwd=tmp_path / "cinema")
