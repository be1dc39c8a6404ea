"""Every project in this repository validates and evaluates as it is, with the audiences worked out here by hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

REPOSITORY = Path(__file__).parents[2]
PROJECTS = sorted(file.parent for file in REPOSITORY.glob("examples/*/project.yaml"))

AS_OF = {"newspaper": "2024-06-03", "clinic": "2024-06-03T12:00:00Z", "festival": "2024-02-10"}
AUDIENCES: dict[str, dict[str, list[Any]]] = {
    "newspaper": {
        "monday_briefing": ["R-01001", "R-01003", "R-01005", "R-01007"],
        "cup_final": ["R-01003"],
        "renew_now": ["R-01008"],
        "election_result": ["R-01001"],
    },
    "clinic": {"appointment_reminder": [101, 102, 104], "check_up": [103, 106], "summer_letter": [101]},
    "festival": {"saturday_doors": [1, 3, 5], "last_tickets": [1, 4], "night_stage": [4, 5]},
}


def audiences(results: Path) -> dict[str, list[Any]]:
    """The keys in every audience file of a run."""
    return {
        file.stem: [row[0] for row in duckdb.read_parquet(str(file)).fetchall()] for file in results.glob("*.parquet")
    }


def assert_adds_up(result: dict[str, Any]) -> None:
    for campaign in result["campaigns"]:
        assert campaign["included"] + sum(campaign["excluded"].values()) == result["population"], campaign


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_an_example_evaluates(project: Path, tmp_path: Path, maysend: Any, maysend_json: Any) -> None:
    copy = tmp_path / project.name
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".maysend", "out"))
    imported = maysend_json("import", "--create", "answers.csv", cwd=copy)
    assert imported["refused"] == []
    maysend("validate", cwd=copy)
    maysend("validate", "--offline", cwd=copy)

    result = maysend_json("evaluate", "--as-of", AS_OF[project.name], "--out", "out", cwd=copy)

    assert_adds_up(result)
    assert audiences(copy / "out") == AUDIENCES[project.name]
    assert f"--as-of {AS_OF[project.name]}" in (project / "README.md").read_text("utf-8")


def test_init_makes_a_project_that_evaluates(tmp_path: Path, maysend: Any, maysend_json: Any) -> None:
    maysend("init", "cinema", cwd=tmp_path)
    cinema = tmp_path / "cinema"
    maysend("validate", cwd=cinema)

    result = maysend_json("evaluate", "--out", "out", cwd=cinema)

    assert_adds_up(result)
    assert audiences(cinema / "out") == {"next_week": [1, 2, 3, 5], "members_evening": [3]}


def test_init_takes_an_empty_directory_that_is_in_git(tmp_path: Path, maysend: Any) -> None:
    (tmp_path / ".git").mkdir()
    maysend("init", cwd=tmp_path)
    assert (tmp_path / ".maysend" / "ledger.db").is_file()


def test_init_makes_the_missing_ledger_and_keeps_the_one_that_is_there(
    tmp_path: Path, maysend: Any, maysend_json: Any
) -> None:
    maysend("init", cwd=tmp_path)
    shutil.rmtree(tmp_path / ".maysend")
    assert "maysend init" in maysend("evaluate", "--out", "out", cwd=tmp_path, code=1).stderr

    maysend("init", cwd=tmp_path)
    maysend("unsubscribe", "email", "--profile", "1", cwd=tmp_path)
    maysend("init", cwd=tmp_path)

    assert len(maysend_json("history", "--profile", "1", cwd=tmp_path)["events"]) == 1


@pytest.mark.parametrize(
    ("there", "asked", "message"),
    [
        ("notes.txt", ".", ". is not empty and has no project.yaml; name a new or empty directory, or a project's"),
        ("notes.txt", "notes.txt", "notes.txt is a file; name a new or empty directory"),
        ("notes.txt", "notes.txt/new", "notes.txt/new cannot be written: Not a directory"),
    ],
)
def test_init_overwrites_nothing(there: str, asked: str, message: str, tmp_path: Path, maysend: Any) -> None:
    (tmp_path / there).write_text("mine\n", "utf-8")
    done = maysend("init", asked, cwd=tmp_path, code=1)
    assert done.stderr == f"{message}\n"
    assert [file.name for file in tmp_path.iterdir()] == [there]
