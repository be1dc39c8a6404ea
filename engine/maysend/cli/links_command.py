"""``maysend links``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from .. import audience_links, evaluation, links, plugins, runner, snapshot, tokens
from ..errors import MaysendError, UnknownNameError
from ..hookspecs import ChannelType
from ..model import Campaign, Project
from .options import json_option, load, print_json, project_option, talk


@click.command()
@click.argument("campaign")
@click.option("--profile", metavar="KEY", help="The links of the message to this profile alone.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write everybody's links here (.parquet, .csv)."
)
@click.option(
    "--audiences",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="What `evaluate --out` wrote (default: decide now).",
)
@click.option("--test", is_flag=True, help="Links for a test send: they show everything and save nothing.")
@json_option
@project_option
def command(
    root: Path,
    as_json: bool,
    campaign: str,
    profile: str | None,
    out: Path | None,
    audiences: Path | None,
    test: bool,
) -> None:
    """Write the links and headers of CAMPAIGN's message to one profile, or of those to its whole audience."""
    if (profile is None) == (out is None):
        raise click.UsageError("say whose links: --profile KEY for one, --out FILE for the whole audience")
    if out and out.suffix not in (".parquet", ".csv"):
        raise click.UsageError("--out ends in .parquet or .csv")
    project = load(root)
    (chosen,) = runner.chosen(project, [campaign])
    keys, channel_type = tokens.keys_from_environment(), _channel_type(project, chosen)
    if profile is not None:
        found = _of_one(project, chosen, keys, profile, test=test)
        found["headers"] = found["headers"] if channel_type.one_click else {}
        print_json(found) if as_json else _show(found)
        return
    assert out
    with _audience(project, chosen, audiences) as audience, _bar() as progress:
        rows = audience_links.write_links(
            project, chosen, keys, audience, out, headers=channel_type.one_click, test=test, progress=progress
        )
    if as_json:
        print_json({"campaign": campaign, "rows": rows, "file": str(out)})
    else:
        click.echo(f"{rows:,} links in {out}", err=True)


def _channel_type(project: Project, campaign: Campaign) -> ChannelType:
    """What kind of messages a campaign's are. Raises MaysendError where they have no place for links."""
    channel_type = plugins.load().channel_types[project.channels[campaign.channel].type]
    if not channel_type.pages:
        raise MaysendError(f"{campaign.name}: messages on channel {campaign.channel} carry no links")
    return channel_type


def _of_one(
    project: Project, campaign: Campaign, keys: tuple[bytes, ...], profile: str, *, test: bool
) -> dict[str, Any]:
    places = links.places(project.settings)
    address = runner.address_of(project, plugins.load(), campaign.channel, profile)
    if address is None:
        raise UnknownNameError(f'there is no profile "{profile}" with an address on channel {campaign.channel}')
    token = links.sealer(campaign, keys, test=test).seal(profile, address)
    group_page = places.group_page(token)
    headers = links.headers(project, campaign, group_page)
    return {"group_page": group_page, "preference_page": places.preference_page(token), "headers": headers}


def _show(found: dict[str, Any]) -> None:
    click.echo(f"group page:       {found['group_page']}\npreference page:  {found['preference_page']}\n")
    for name, value in found["headers"].items():
        click.echo(f"{name}: {value}")


@contextmanager
def _audience(project: Project, campaign: Campaign, audiences: Path | None) -> Iterator[Path]:
    """The campaign's audience: the file among ``audiences``, or one that is decided now and gone afterwards."""
    if audiences:
        if not (there := _found(audiences, campaign)):
            raise MaysendError(f"{audiences}: has no audience of {campaign.name}; did a guard or a cap hold it back?")
        yield there
        return
    with ExitStack() as at_end:
        with runner.opened(project, datetime.now(UTC), plugins.load()) as run:
            out = at_end.enter_context(_directory(project)) / "audiences"
            (outcome,) = evaluation.evaluate(run, [campaign], out=out).outcomes
        if outcome.refusals:
            raise MaysendError("\n".join(outcome.refusals))
        audience = _found(out, campaign)
        assert audience
        yield audience


@contextmanager
def _directory(project: Project) -> Iterator[Path]:
    """A directory that is gone afterwards; where Spark's workers can write, who may be others of the same group."""
    shared = snapshot.place(project) if project.engine else None
    with tempfile.TemporaryDirectory(prefix="maysend-", dir=shared) as name:
        directory = Path(name)
        if shared:
            directory.chmod(0o770)
        yield directory


def _found(audiences: Path, campaign: Campaign) -> Path | None:
    """A campaign's audience where `evaluate` wrote it: a file, or on Spark a directory of files, in their order."""
    files = [audiences / f"{campaign.name}.{ending}" for ending in ("parquet", "csv")]
    if there := [file for file in files if file.is_file()]:
        return there[0]
    parts = audiences / f"campaign={campaign.name}"
    return parts / "*.parquet" if parts.is_dir() else None


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, where that is a terminal."""
    console = talk()
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress("links", *columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("links", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
