"""``maysend evaluate``"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import click
from rich.console import Console
from rich.table import Table

from .. import evaluation, plugins, replaying, runner
from ..evaluation import Evaluation
from ..targeting import describing
from ..targeting.stages import REASONS
from .options import as_of_option, json_option, load, memory_option, moment, print_json, progress, project_option


@click.command()
@click.argument("campaigns", nargs=-1, metavar="[CAMPAIGN]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write the audiences and manifest.json here, replacing the last run's.",
)
@as_of_option
@click.option(
    "--from",
    "manifest",
    metavar="MANIFEST",
    type=click.Path(path_type=Path),
    help="Repeat the run of a manifest.json with the consent of then; say whether every byte agrees. Not for sending.",
)
@click.option("--no-audiences", is_flag=True, help="Numbers only, no files.")
@click.option(
    "--format",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="The audiences' file format.",
)
@click.option("--decisions", is_flag=True, help="Also write every profile's reason, a file per campaign.")
@click.option("--sample", type=click.IntRange(min=0), default=0, metavar="N", help="Show N people per reason.")
@click.option("--explain-plan", is_flag=True, help="Also show what the run does, and the time each step took.")
@memory_option
@json_option
@project_option
def command(
    campaigns: tuple[str, ...],
    out: Path | None,
    as_of: str | None,
    manifest: Path | None,
    no_audiences: bool,
    format: evaluation.Format,
    decisions: bool,
    sample: int,
    explain_plan: bool,
    memory: str | None,
    as_json: bool,
    root: Path,
) -> None:
    """Say for every campaign (or those named) who may be sent it, and why the others may not."""
    if decisions and (no_audiences or not out):
        raise click.UsageError("--decisions writes files: it needs --out, and no --no-audiences")
    if manifest:
        if campaigns or as_of or no_audiences or decisions or sample:
            raise click.UsageError("--from repeats a run as it was: of the other options it takes --out and --memory")
        _replay(manifest, root, out, memory, as_json)
    project = load(root)
    chosen = runner.chosen(project, campaigns)
    plan: list[str] = []
    with (
        progress() as told,
        runner.opened(
            project,
            moment(as_of, project),
            plugins.load(),
            memory=memory,
            progress=told,
            show_plan=plan.extend if explain_plan else lambda _: None,
        ) as run,
    ):
        result = evaluation.evaluate(
            run,
            chosen,
            out=None if no_audiences else out,
            format=format,
            decisions=decisions,
            sample=sample,
            before=evaluation.sizes_before(out) if out else {},
        )
        seconds = describing.steps(run.backend.spent)
    if as_json:
        taken = {step: round(spent, 3) for step, spent in seconds}
        print_json(result.as_json() | ({"plan": plan, "seconds": taken} if explain_plan else {}))
    else:
        if explain_plan:
            click.echo("\n".join([*plan, *(f"{spent:8.2f} s  {step}" for step, spent in seconds)]) + "\n")
        show(result, project.title)
    refusals = [line for outcome in result.outcomes for line in outcome.refusals]
    for line in refusals:
        click.echo(line, err=True)
    sys.exit(1 if refusals else 0)


def _replay(manifest: Path, root: Path, out: Path | None, memory: str | None, as_json: bool) -> NoReturn:
    """Repeat a run, say what does not agree, and exit 1 where anything does not."""
    project = load(root)
    recorded = replaying.read(manifest)
    chosen = runner.chosen(project, list(recorded.campaigns))
    with (
        TemporaryDirectory(prefix="maysend-") as beside,
        progress() as told,
        runner.opened(project, recorded.as_of, plugins.load(), memory=memory, until=recorded.seq, progress=told) as run,
    ):
        written = out or Path(beside) / "replay"
        before = recorded.sizes_before
        result = evaluation.evaluate(run, chosen, out=written, format=recorded.format, replay=True, before=before)
    differences = list(replaying.differences(recorded, result, project.revision))
    if as_json:
        print_json(result.as_json() | {"replay": True, "agrees": not differences, "differences": differences})
    else:
        show(result, f"Replay, not for sending: {project.title}")
        click.echo("\n".join(differences) if differences else f"\nEvery byte agrees with {manifest}.")
    sys.exit(1 if differences else 0)


def show(result: Evaluation, title: str) -> None:
    """The waterfall of every campaign as a table: a row a campaign, a column a reason that anybody has."""
    reasons = [reason for reason in REASONS if any(outcome.counts[reason] for outcome in result.outcomes)]
    table = Table(box=None, header_style="bold", pad_edge=False, title_justify="left")
    table.add_column("campaign", vertical="bottom", no_wrap=True)
    table.add_column("included", justify="right", style="green", vertical="bottom", no_wrap=True)
    for reason in reasons:
        table.add_column("\n".join(reason.split("_")), justify="right", vertical="bottom", no_wrap=True)
    for outcome in result.outcomes:
        mark = " *" if outcome.campaign.ignore_unsubscribed else ""
        table.add_row(
            outcome.campaign.name + mark,
            f"{outcome.counts['included']:,}",
            *(f"{outcome.counts[reason]:,}" for reason in reasons),
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    console.print(f"{title}, as of {result.as_of:%Y-%m-%d %H:%M}: {result.population:,} profiles\n", markup=False)
    console.print(table)
    for outcome in result.outcomes:
        if why := outcome.campaign.ignore_unsubscribed:
            console.print(f"\n* {outcome.campaign.name} ignores unsubscribed: {why}", markup=False)
        if outcome.samples:
            console.print(f"\n{outcome.campaign.name}")
            for shown, keys in outcome.samples.items():
                console.print(f"  {shown}: {', '.join(keys)}", markup=False)
