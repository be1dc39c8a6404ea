"""``maysend export``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from .. import exporting, plugins, runner
from ..importing.rows import COLUMNS
from ..ledger import open_ledger
from ..model import Project
from .options import as_of_option, json_option, load, moment, print_json, progress, project_option


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write: .csv or .parquet.")
@click.option("--profiles", is_flag=True, help="Every profile's status now, a column per subscription group.")
@as_of_option
@json_option
@project_option
def command(root: Path, as_json: bool, out: Path, profiles: bool, as_of: str | None) -> None:
    """Write every recorded answer in force at a time (default: now), in the columns that import reads.

    A group's own answer is written where the channel's no covers it, too, so that a later return brings it back.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise click.BadParameter(f'"{out}" ends in neither .csv nor .parquet', param_hint="--out")
    if profiles and as_of:
        raise click.UsageError("--profiles is the status now; leave --as-of out")
    project = load(root)
    if profiles:
        count = _write_profiles(project, out)
    else:
        with open_ledger(project.ledger, project.root) as ledger:
            count = exporting.write(out, COLUMNS, ledger.answers_at(moment(as_of, project)))
    if as_json:
        print_json({"file": str(out), "rows": count})
    else:
        click.echo(f"{count:,} {'profiles' if profiles else 'answers'} written to {out}")


def _write_profiles(project: Project, out: Path) -> int:
    found = plugins.load()
    with progress() as told, runner.opened(project, datetime.now(UTC), found, progress=told) as run:
        told("writing every profile's status")
        return exporting.write_subscription_groups(out, project, found.channel_types, run.catalog, run.backend)
