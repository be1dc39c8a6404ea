"""``maysend explain``"""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from .. import explain, plugins, runner
from .options import CHECKS, as_of_option, json_option, load, moment, print_json, progress, project_option


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="[CAMPAIGN] PROFILE")
@click.option("--all", "every", is_flag=True, help="Every campaign, for one profile.")
@as_of_option
@json_option
@project_option
def command(names: tuple[str, ...], every: bool, as_of: str | None, as_json: bool, root: Path) -> None:
    """Say of one profile (by its key) which checks of a campaign it passed and failed, in words."""
    if len(names) != (1 if every else 2):
        raise click.UsageError("give a campaign and a profile, or --all and a profile")
    project = load(root)
    campaigns = runner.chosen(project, names[:-1])
    with progress() as told, runner.opened(project, moment(as_of, project), plugins.load(), progress=told) as run:
        found = explain.explain(run, campaigns, names[-1])
    if as_json:
        shown = [explanation.as_json() for explanation in found]
        print_json(shown if every else shown[0])
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for explanation in found:
        console.print(
            f"{explanation.campaign}: profile {explanation.profile} is {explanation.reason.replace('_', ' ')}",
            style="bold",
        )
        for check in explanation.checks:
            console.print(f"  {'✓' if check.passed else '✗'} {CHECKS[check.check]}: {check.detail}")
