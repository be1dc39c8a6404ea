"""``maysend erase``."""

from __future__ import annotations

from pathlib import Path

import click

from .. import plugins, runner, snapshot
from ..addresses import normalizer
from ..errors import UnknownNameError
from ..ledger import Subject, open_ledger
from .options import json_option, load, print_json, project_option


@click.command()
@click.option("--address", metavar="ADDRESS", help="An address, on every channel where it is one.")
@click.option("--profile", metavar="KEY", help="A profile, and the addresses known to be its own.")
@json_option
@project_option
def command(root: Path, as_json: bool, address: str | None, profile: str | None) -> None:
    """Remove a person's address and profile from the ledger, and keep their no to every channel.

    Needs MAYSEND_ERASURE_KEY: a secret of your own, kept for good. The no is kept under it, and holds until the person
    returns themselves.
    """
    if not (address or profile):
        raise click.UsageError("say who: --address, --profile, or both")
    project = load(root)
    found = plugins.load()
    people: set[Subject] = set()
    for channel in project.channels.values():
        normal = normalizer(found.channel_types[channel.type].address)(address) if address else None
        if normal:
            people.add(Subject(channel.name, "address", normal))
        if profile:
            people.add(Subject(channel.name, "profile", profile))
            if own := runner.address_of(project, found, channel.name, profile):
                people.add(Subject(channel.name, "address", own))
    if not people:
        raise UnknownNameError(f'"{address}" is an address on no channel')
    with open_ledger(project.ledger, project.root) as ledger:
        events = ledger.erase(people)
    snapshot.forget_all(project)
    if as_json:
        print_json({"events": events})
    else:
        done = f"erased from {events:,} events" if events else "no event named them"
        click.echo(f"{done}; their no to every channel is kept")
