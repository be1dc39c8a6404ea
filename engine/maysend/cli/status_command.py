"""``maysend status``."""

from __future__ import annotations

from pathlib import Path

import click

from .. import plugins, runner
from ..ledger import open_ledger
from ..status import CHANNEL, statuses
from .choosing import find_channel, find_subjects
from .options import json_option, load, print_json, project_option, subject_options


@click.command()
@subject_options
@json_option
@project_option
def command(root: Path, as_json: bool, channel: str | None, address: str | None, profile: str | None) -> None:
    """Show what somebody is subscribed to; with --profile, the profile's address is read too."""
    project = load(root)
    found = plugins.load()
    on = find_channel(project, channel)
    address, profile = find_subjects(on, address, profile, lambda key: runner.address_of(project, found, on.name, key))
    groups = project.groups_of(on.name)
    defaults = {CHANNEL: found.channel_types[on.type].default == "subscribed"}
    defaults |= {group.name: group.default == "subscribed" for group in groups}
    with open_ledger(project.ledger, project.root) as ledger:
        by_address, by_profile = ledger.standing(on.name, address=address, profile=profile)
    shown = {
        name: "Subscribed" if yes else "Unsubscribed"
        for name, yes in statuses(by_address, by_profile, defaults).items()
    }
    channel_status = shown.pop(CHANNEL).lower()
    if as_json:
        print_json({"channels": {on.name: channel_status}, "subscription_groups": shown})
        return
    note = f" (suppressed: {', '.join(sorted(by_address.types))})" if by_address.suppressed else ""
    click.echo(f"channel {on.name}: {channel_status}{note}")
    for group in groups:
        click.echo(f"  {group.name}: {shown[group.name]}{'' if group.active else ' (archived)'}")
