"""``maysend history``."""

from __future__ import annotations

from pathlib import Path

import click

from .. import plugins, runner
from ..ledger import open_ledger
from ..model import Project
from .choosing import find_channel, find_subjects, line
from .options import json_option, load, print_json, project_option, subject_options


@click.command()
@click.option("--verify", is_flag=True, help="Prove instead that no event was changed, removed or reordered.")
@subject_options
@json_option
@project_option
def command(
    root: Path, as_json: bool, verify: bool, channel: str | None, address: str | None, profile: str | None
) -> None:
    """Show what somebody answered, oldest first; with --profile, what the profile's address answered too."""
    project = load(root)
    if verify:
        _verify(project, as_json=as_json)
        return
    found = plugins.load()
    on = find_channel(project, channel)
    address, profile = find_subjects(on, address, profile, lambda key: runner.address_of(project, found, on.name, key))
    with open_ledger(project.ledger, project.root) as ledger:
        events = ledger.history(channel=on.name, address=address, profile=profile)
    if as_json:
        print_json({"events": [event.as_json() for event in events]})
    else:
        for event in events:
            click.echo(line(event))


def _verify(project: Project, *, as_json: bool) -> None:
    with open_ledger(project.ledger, project.root) as ledger:
        proof = ledger.verify()
    if as_json:
        faults = [fault._asdict() for fault in proof.faults]
        print_json({"events": proof.events, "head": proof.head, "faults": faults})
    else:
        for fault in proof.faults:
            click.echo(f"event {fault.seq}: {fault.message}")
        state = f"{len(proof.faults):,} faults" if proof.faults else "the chain is whole"
        click.echo(f"{proof.events:,} events: {state}; head {proof.head}")
    if proof.faults:
        raise SystemExit(1)
