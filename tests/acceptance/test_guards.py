"""Guards: an audience that does not keep them is not written, and the exit code says so."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "newspaper"
AS_OF = ("--as-of", "2026-01-31")


@pytest.fixture
def project(tmp_path: Path, here: Any) -> Path:
    copy = tmp_path / "newspaper"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns(".maysend", "out"))
    here("init", copy, cwd=tmp_path)
    return copy


@pytest.fixture
def campaign(project: Path, here_json: Any) -> tuple[str, int]:
    """A campaign that has an audience, and how large it is."""
    found = here_json("evaluate", *AS_OF, cwd=project)["campaigns"]
    return next((one["name"], one["included"]) for one in found if one["included"] > 1)


def guard(project: Path, campaign: str | None, guards: str) -> None:
    """Put a guard in place of the one before."""
    file = project / (f"campaigns/{campaign}.yaml" if campaign else "project.yaml")
    lines = [line for line in file.read_text().splitlines() if not line.startswith("guards:")]
    file.write_text("\n".join([*lines, f"guards: {guards}"]) + "\n")


def manifest(project: Path, name: str) -> dict[str, Any]:
    data = json.loads((project / "out/manifest.json").read_text())
    return next(one for one in data["campaigns"] if one["name"] == name)


@pytest.mark.parametrize("beyond", [0, 1])
def test_too_few_and_too_many(project: Path, campaign: tuple[str, int], here: Any, beyond: int) -> None:
    """A guard trips one profile beyond it, and not at it."""
    name, size = campaign
    for limit, said in ((f"min_audience: {size + beyond}", "too few"), (f"max_audience: {size - beyond}", "too many")):
        guard(project, name, f"{{{limit}}}")
        done = here("evaluate", *AS_OF, "--out", "out", cwd=project, code=beyond)
        told = f"{name}: {size} people in its audience, {said} ({limit}); it has no audience\n"
        assert done.stderr == (told if beyond else "")
        assert (project / f"out/{name}.parquet").exists() == (not beyond)


def test_other_campaigns_are_written_all_the_same(project: Path, campaign: tuple[str, int], here: Any) -> None:
    guard(project, campaign[0], "{max_audience: 0}")
    here("evaluate", *AS_OF, "--out", "out", cwd=project, code=1)
    written = {file.stem for file in (project / "out").glob("*.parquet")}
    assert written == {file.stem for file in (project / "campaigns").glob("*.yaml")} - {campaign[0]}


def test_the_project_s_guard_holds_unless_the_campaign_has_its_own(
    project: Path, campaign: tuple[str, int], here_json: Any
) -> None:
    guard(project, None, "{min_audience: 1000}")
    guard(project, campaign[0], "{min_audience: 1}")
    found = here_json("evaluate", *AS_OF, cwd=project, code=1)["campaigns"]
    assert len(found) > 1
    assert {one["name"] for one in found if "tripped" in one} == {one["name"] for one in found} - {campaign[0]}


def test_a_change_is_measured_from_the_last_audience_that_was_let_through(
    project: Path, campaign: tuple[str, int], here: Any
) -> None:
    """A run that was held back is no measure for the next one: held back twice is held back."""
    name, size = campaign
    guard(project, name, "{max_change_percent: 10}")
    here("evaluate", *AS_OF, "--out", "out", cwd=project)
    assert "before" not in manifest(project, name)
    file = project / f"campaigns/{name}.yaml"
    file.write_text(file.read_text() + "control_group: {percent: 100, salt: everybody}\n")
    for _ in range(2):
        said = here("evaluate", *AS_OF, "--out", "out", cwd=project, code=1).stderr
        told = f"{name}: {size} people before and 0 now, a change of {size} (100.0%) (max_change_percent: 10)"
        assert f"{told}; it has no audience" in said
        assert manifest(project, name)["before"] == size
        assert not (project / f"out/{name}.parquet").exists()
    guard(project, name, "{max_change_percent: 100}")
    here("evaluate", *AS_OF, "--out", "out", cwd=project)
    guard(project, name, "{max_change_percent: 100}")
    file.write_text(file.read_text().replace("percent: 100, salt", "percent: 0, salt"))
    said = here("evaluate", *AS_OF, "--out", "out", cwd=project, code=1).stderr
    assert f"{name}: 0 people before and {size} now, a change of {size} (from nobody)" in said


def test_a_run_that_was_held_back_can_be_repeated(project: Path, campaign: tuple[str, int], here: Any) -> None:
    guard(project, campaign[0], "{max_audience: 0}")
    here("evaluate", *AS_OF, "--out", "out", cwd=project, code=1)
    here("evaluate", "--from", "out/manifest.json", cwd=project)


def test_no_links_are_made_for_an_audience_that_was_held_back(
    project: Path, campaign: tuple[str, int], here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = here("keys", "new", cwd=project).stdout.strip().partition("=")[2]
    monkeypatch.setenv("MAYSEND_KEYS", keys)
    settings = project / "project.yaml"
    if "pages:" not in settings.read_text():
        settings.write_text(settings.read_text() + 'pages: {base_url: "https://mail.example.com"}\n')
    guard(project, campaign[0], "{max_audience: 0}")
    said = here("links", campaign[0], "--out", "links.csv", cwd=project, code=1).stderr
    assert "max_audience: 0" in said
    assert not (project / "links.csv").exists()


def test_guards_that_contradict_each_other_are_a_problem(project: Path, campaign: tuple[str, int], here: Any) -> None:
    guard(project, campaign[0], "{min_audience: 10, max_audience: 5}")
    said = here("validate", "--offline", cwd=project, code=1).stdout
    assert "no audience has at least 10 and at most 5 people" in said


def test_the_manifest_names_every_input_and_the_commit(project: Path, here: Any) -> None:
    here("evaluate", *AS_OF, "--out", "out", cwd=project)
    data = json.loads((project / "out/manifest.json").read_text())
    assert (data["commit"], data["dirty"]) == (None, None)
    assert data["inputs"]
    for source in data["inputs"]:
        for file in source["files"]:
            assert hashlib.sha256((project / file["file"]).read_bytes()).hexdigest() == file["sha256"]


def test_a_replay_names_the_input_that_changed(project: Path, here: Any) -> None:
    here("evaluate", *AS_OF, "--out", "out", cwd=project)
    (file,) = [file for file in project.rglob("*.csv") if "profile" in file.name or "reader" in file.name]
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
    said = here("evaluate", "--from", "out/manifest.json", cwd=project, code=1).stdout
    assert f"{file.relative_to(project).as_posix()}: changed" in said
