"""``evaluate --from``: a run repeated with the consent of then, and a word on every byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from maysend.cli import maysend

EXAMPLE = Path(__file__).parents[2] / "examples" / "newspaper"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of an example with its ledger and one finished run in ``out``."""
    copy = tmp_path / "newspaper"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns(".maysend", "out"))
    assert call(copy, "init", str(copy)).exit_code == 0
    assert call(copy, "evaluate", "--as-of", "2026-01-31", "--out", str(copy / "out")).exit_code == 0
    return copy


def call(project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(maysend, ["--project", str(project), *arguments])


def included(project: Path) -> dict[str, int]:
    shown = call(project, "evaluate", "--as-of", "2026-01-31", "--json").stdout
    return {campaign["name"]: campaign["included"] for campaign in json.loads(shown)["campaigns"]}


def leave(project: Path) -> None:
    """Somebody whom the run included leaves a whole channel."""
    manifest = json.loads((project / "out" / "manifest.json").read_text())
    first = next(campaign for campaign in manifest["campaigns"] if campaign["included"])
    reasons = call(project, "evaluate", first["name"], "--as-of", "2026-01-31", "--sample", "1", "--json").stdout
    (found,) = json.loads(reasons)["campaigns"]
    for channel in sorted(file.stem for file in (project / "channels").glob("*.yaml")):
        assert call(project, "unsubscribe", channel, "--profile", found["samples"]["included"][0]).exit_code == 0


def test_a_replay_reads_the_consent_of_then_and_agrees(project: Path) -> None:
    before = included(project)
    leave(project)
    assert included(project) != before
    result = call(project, "evaluate", "--from", str(project / "out" / "manifest.json"), "--json")
    replay = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert replay["replay"] is True
    assert replay["agrees"] is True
    assert {campaign["name"]: campaign["included"] for campaign in replay["campaigns"]} == before


def test_what_a_replay_writes_is_marked(project: Path) -> None:
    out = project / "again"
    assert call(project, "evaluate", "--from", str(project / "out" / "manifest.json"), "--out", str(out)).exit_code == 0
    assert json.loads((out / "manifest.json").read_text())["replay"] is True
    assert all(".replay." in file.name for file in out.iterdir() if file.name != "manifest.json")


def test_changed_data_is_named(project: Path) -> None:
    (profiles,) = [file for file in project.rglob("*.csv") if "profile" in file.name or "reader" in file.name]
    lines = profiles.read_text().splitlines()
    profiles.write_text("\n".join(lines[:-1]) + "\n")
    result = call(project, "evaluate", "--from", str(project / "out" / "manifest.json"))
    assert result.exit_code == 1
    assert "then" in result.stdout


@pytest.mark.parametrize("content", [None, "{}", "no json", '{"maysend": "0", "campaigns": [{}]}'])
def test_no_manifest_is_one_line(project: Path, tmp_path: Path, content: str | None) -> None:
    manifest = tmp_path / "other.json"
    if content is not None:
        manifest.write_text(content)
    result = call(project, "evaluate", "--from", str(manifest))
    assert result.exit_code == 1
    assert str(manifest) in str(result.exception)


def test_it_goes_with_no_other_as_of(project: Path) -> None:
    manifest = str(project / "out" / "manifest.json")
    assert call(project, "evaluate", "--from", manifest, "--as-of", "2026-01-01").exit_code == 2
