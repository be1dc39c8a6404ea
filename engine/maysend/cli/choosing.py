"""What the commands about one person share: the channel, group and address they name, found and checked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import click

from .. import plugins
from ..addresses import normalizer
from ..errors import SourceError, UnknownNameError, did_you_mean
from ..events import ChannelUnsubscribed, Fact
from ..ledger import open_ledger
from ..model import Channel, Project
from .options import print_json, talk


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer as the command line gives it, before anything is looked up."""

    channel: str
    address: str | None
    profile: str | None
    group: str | None
    campaign: str | None
    reason: str | None


def find_channel(project: Project, name: str | None) -> Channel:
    """The named channel, or the project's only one. Raises UnknownNameError."""
    if name is None:
        if len(project.channels) == 1:
            return next(iter(project.channels.values()))
        raise UnknownNameError(
            f"there are several channels; add --channel with one of {', '.join(sorted(project.channels))}"
        )
    if name not in project.channels:
        raise UnknownNameError(f'there is no channel "{name}"{did_you_mean(name, project.channels)}')
    return project.channels[name]


def normalize(channel: Channel, address: str) -> str:
    """The address as the ledger knows it. Raises UnknownNameError where it is none on this channel."""
    channel_type = plugins.load().channel_types[channel.type]
    found = normalizer(channel_type.address)(address)
    if found is None:
        raise UnknownNameError(f'"{address}" is no address on channel {channel.name} ({channel_type.title})')
    return found


def find_subjects(
    channel: Channel, address: str | None, profile: str | None, address_of: Callable[[str], str | None]
) -> tuple[str | None, str | None]:
    """The (address, profile) to read about: the address normalized, or the profile and the address it has."""
    if (address is None) == (profile is None):
        raise click.UsageError("say who: either --address or --profile")
    if address is not None:
        return normalize(channel, address), None
    assert profile is not None
    return address_of(profile), profile


def record(project: Project, choice: Choice, *, subscribed: bool, as_json: bool) -> None:
    """Record one answer from the command line, and show what it changed."""
    fact = _fact(project, choice, subscribed=subscribed)
    with open_ledger(project.ledger, project.root) as ledger:
        events = [event for event in ledger.append([fact]) if event]
    if as_json:
        print_json({"events": [event.as_json() for event in events]})
    for event in [] if as_json else events:
        click.echo(line(event))
    if not events and not as_json:
        click.echo("nothing changed: that is the answer already")
    if choice.profile and talk().is_terminal:  # to look may take long, and scripts name many
        _warn_of_unknown(project, choice.profile)


def _warn_of_unknown(project: Project, profile: str) -> None:
    """Say that a profile is none of the table's; its answer holds as soon as it is."""
    from ..runner import has_profile  # with all that decides

    with suppress(SourceError):
        if not has_profile(project, profile):
            click.echo(f'note: {project.profiles.source.location} has no profile "{profile}"', err=True)


def line(event: ChannelUnsubscribed) -> str:
    """An event as one line for people."""
    who = (
        " and ".join(text for text in (event.address, event.profile and f"profile {event.profile}") if text)
        or "an erased person"
    )
    what = f"group {event.group}" if event.group else f"channel {event.channel}"
    notes = [
        f"by {event.source.replace('_', '-')}",
        event.type,
        event.reason,
        event.campaign_id and f"campaign {event.campaign_id}",
    ]
    verb = "returned to" if event.resubscribed else "left"
    when = event.occurred_at.strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{when}  {who} {verb} {what} ({', '.join(note for note in notes if note)})"


def _fact(project: Project, choice: Choice, *, subscribed: bool) -> Fact:
    channel = find_channel(project, choice.channel)
    if not (choice.address or choice.profile):
        raise click.UsageError("say who: --address, --profile, or both")
    if choice.group is not None:
        check_group(project, channel, choice.group)
    if choice.campaign is not None and choice.campaign not in project.campaigns:
        raise UnknownNameError(
            f'there is no campaign "{choice.campaign}"{did_you_mean(choice.campaign, project.campaigns)}'
        )
    return Fact(
        channel=channel.name,
        group=choice.group,
        subscribed=subscribed,
        address=normalize(channel, choice.address) if choice.address else None,
        profile=choice.profile,
        source="cli",
        reason=choice.reason,
        campaign=choice.campaign,
        campaign_type=channel.type if choice.campaign else None,
        revision=project.revision,
    )


def check_group(project: Project, channel: Channel, name: str) -> None:
    """Raise UnknownNameError where the channel has no group of that name."""
    known = [group.name for group in project.groups_of(channel.name)]
    if name not in project.groups:
        raise UnknownNameError(f'there is no subscription group "{name}"{did_you_mean(name, known)}')
    if name not in known:
        raise UnknownNameError(
            f'subscription group "{name}" is on channel {project.groups[name].channel}, not {channel.name}'
        )
