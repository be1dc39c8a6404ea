"""``maysend validate``: every problem of the declarations at once."""

from __future__ import annotations

import gc
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from .. import loader, plugins
from ..declarations.contradictions import contradictions
from ..errors import Problem
from ..garbage import seldom_collecting
from ..model import Project
from .options import json_option, prefix, print_json, project_option


@click.command()
@click.option("--offline", is_flag=True, help="Check only what needs neither data nor ledger.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How problems are printed; github makes them annotations of a workflow run.",
)
@json_option
@project_option
@seldom_collecting()
def command(root: Path, as_json: bool, form: str, offline: bool) -> None:
    """Show every problem of the declarations, as file:line:column: message, and exit with 1 where there is one."""
    loaded = plugins.load()
    project, problems = loader.check(root, loaded)
    gc.freeze()  # all this lives until the end, where Python would look for garbage in it; what DuckDB brings may not
    skipped: list[str] = []
    if project:
        places = {(problem.file, problem.line, problem.column) for problem in problems}
        found, skipped = _meaning(project, loaded, offline=offline)
        found += contradictions(project)
        problems = sorted({*problems, *(one for one in found if (one.file, one.line, one.column) not in places)})
        if not problems:
            problems = _of_cases(project, loaded, offline=offline)
    if as_json or form == "json":
        print_json({"problems": [asdict(problem) for problem in problems]})
    else:
        before = prefix(root)
        for problem in problems:
            click.echo(_annotation(problem, before) if form == "github" else str(problem))
    if skipped:
        click.echo(f"Skipped: {'; '.join(skipped)}.", err=True)
    if problems or not project:
        raise click.exceptions.Exit(1)
    click.echo(f"{_counted(project)}: no problems", err=True)


def _annotation(problem: Problem, before: str) -> str:
    """A problem as a workflow command of GitHub Actions, which shows it at its line."""
    file = f"{before}{problem.file}"
    for raw, escaped in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C")):
        file = file.replace(raw, escaped)
    place = f"file={file}" + (f",line={problem.line},col={problem.column}" if problem.line else "")
    return f"::error {place},title=maysend::{str(problem).replace('%', '%25')}"


def _meaning(project: Project, loaded: plugins.Plugins, *, offline: bool) -> tuple[list[Problem], list[str]]:
    """The third pass, and what it skipped; without ``offline`` it reads the data and the ledger."""
    now = datetime.now(UTC)
    if offline:
        from ..declarations.meaning import offline_problems
        from ..moments import Clock

        return offline_problems(project, Clock(now, ZoneInfo(project.timezone)))
    from ..fitting import check

    return check(project, now, loaded), []


def _of_cases(project: Project, loaded: plugins.Plugins, *, offline: bool) -> list[Problem]:
    """The problems of the project's cases, of which nothing can be said while the declarations have any."""
    if not (project.root / "tests").is_dir():
        return []
    from .. import cases

    return list(cases.read(project, loaded, offline=offline).problems)


def _counted(project: Project) -> str:
    kinds = (
        (project.campaigns, "campaign"),
        (project.segments, "segment"),
        (project.groups, "group"),
        (project.channels, "channel"),
    )
    return ", ".join(f"{len(found)} {word}{'' if len(found) == 1 else 's'}" for found, word in kinds)
