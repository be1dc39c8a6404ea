"""``maysend roster``"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from .. import plugins, runner
from .options import json_option, load, memory_option, print_json, progress, project_option


@click.command()
@memory_option
@json_option
@project_option
def command(memory: str | None, as_json: bool, root: Path) -> None:
    """Keep the profiles with addresses normalized and answers folded, so that later runs need not do it again.

    evaluate, diff, report, explain and export --profiles then read it in their place, until their files change, and add
    the answers that came since. It is a few times as large as the profiles in Parquet, stands in .maysend/ beside the
    snapshot, and goes with it when somebody is erased. Run it when a new table has landed; without it everything is
    found out anew.
    """
    project = load(root)
    with (
        progress() as told,
        runner.opened(project, datetime.now(UTC), plugins.load(), memory=memory, progress=told, roster=False) as run,
    ):
        written = run.write_roster()
    size = written.file.stat().st_size
    if as_json:
        print_json({"profiles": written.profiles, "bytes": size, "seq": written.seq, "file": str(written.file)})
    else:
        click.echo(
            f"{written.profiles:,} profiles in {written.file.name} ({size / 1e6:,.1f} MB), up to event {written.seq:,}"
        )
