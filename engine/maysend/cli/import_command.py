"""``maysend import``."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from .. import plugins
from ..errors import LedgerMissingError
from ..events import Source
from ..hookspecs import FeedbackParser
from ..importing import Outcome, import_answers
from ..importing.files import answers
from ..importing.formats import FORMATS, OWN, foreign, recorded, reported
from ..importing.rows import Row
from ..ledger import Ledger, open_ledger
from ..model import Project
from .choosing import check_group, find_channel
from .options import json_option, load, print_json, progress, project_option

SHOWN = 20
"""How many refused rows people are shown."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--create", is_flag=True, help="Make the ledger if it is missing.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--allow-resubscribe", is_flag=True, help="Also bring back people who left by their own choice.")
@click.option(
    "--format",
    "service",
    metavar="NAME",
    help=f"FILE is an export of {', '.join(sorted(FORMATS))}; mails with reports (arf, the default for .eml); or "
    "events of ours.",
)
@click.option("--channel", metavar="NAME", help="With --format: the channel it is about (default: the only one).")
@click.option(
    "--group", "groups", multiple=True, metavar="[THEIRS=]OURS", help="With --format: which group of ours theirs is."
)
@json_option
@project_option
def command(
    root: Path,
    as_json: bool,
    file: Path,
    create: bool,
    dry_run: bool,
    allow_resubscribe: bool,
    service: str | None,
    channel: str | None,
    groups: tuple[str, ...],
) -> None:
    """Record answers from FILE (CSV or Parquet), in the order of occurred_at.

    Its columns are channel, group, address, profile, status (subscribed or unsubscribed), occurred_at, type and
    reason, empty where they do not apply. Exit code 1 where a row is refused; the others are recorded. Rows are counted
    from 1, the header apart.

    With --format, FILE is what another service exports (CSV or JSON). A group of theirs that has the name of ours needs
    no --group; --group OURS alone is for a file that names none.

    With --format events, FILE is what a sink got (a line of JSON an event) or what `maysend history --json` printed,
    for a ledger that was restored from a backup. They are recorded as they were; those that are there change nothing.

    With --format arf, FILE is a complaint mail (RFC 5965), a directory of them, or a mailbox (.mbox). They are recorded
    as feedback, like those that are posted to /feedback/arf.
    """
    project, found = load(root), plugins.load()
    service = service or ("arf" if file.suffix == ".eml" else None)
    if not service and (channel or groups):
        raise click.UsageError("--channel and --group go with --format; answers name their own")
    source: Source = "import"
    if service is None:
        rows = answers(file)
    elif service == OWN:
        if channel or groups:
            raise click.UsageError("--channel and --group do not go with events: they name their own")
        rows, allow_resubscribe = recorded(file), True  # who came back in them did so themselves
    elif service in FORMATS:
        rows = _foreign(project, file, service, channel, groups)
    elif groups:
        raise click.UsageError("--group does not go with reports: they are about the whole channel")
    else:
        source = "feedback"
        rows = reported(file, _parser(found, service), find_channel(project, channel).name, datetime.now(UTC))
    gc.set_threshold(100_000)  # rows are many and make no cycles: looking for some took a tenth of the time
    with _opened(project, create=create, dry_run=dry_run) as ledger, progress() as tell:
        outcome = import_answers(
            project,
            found.channel_types,
            ledger,
            rows,
            source=source,
            dry_run=dry_run,
            allow_resubscribe=allow_resubscribe,
            progress=lambda so_far: tell(_summary(so_far)),
        )
        if create and not dry_run:
            ledger.remember_groups(project.groups.values())
    if as_json:
        print_json(asdict(outcome) | {"refused": [refused._asdict() for refused in outcome.refused]})
    else:
        _show(outcome, dry_run=dry_run)
    if outcome.refused:
        raise SystemExit(1)


def _parser(found: plugins.Plugins, name: str) -> FeedbackParser:
    """The feedback parser of that name that reads files."""
    readers = {parser.name: parser for parser in found.feedback_parsers.values() if parser.read}
    if name not in readers:
        known = sorted([*FORMATS, OWN, *readers])
        raise click.BadParameter(f'"{name}" is none of {", ".join(known)}', param_hint="--format")
    return readers[name]


def _foreign(project: Project, file: Path, service: str, channel: str | None, groups: tuple[str, ...]) -> Iterator[Row]:
    on = find_channel(project, channel)
    mapped: dict[str, str] = {}
    for given in groups:
        theirs, _, ours = given.rpartition("=")
        check_group(project, on, ours)
        mapped[theirs] = ours
    return foreign(file, service, on.name, mapped, frozenset(group.name for group in project.groups_of(on.name)))


@contextmanager
def _opened(project: Project, *, create: bool, dry_run: bool) -> Iterator[Ledger]:
    """The project's ledger; for a dry run that would make it, an empty one that is thrown away."""
    with ExitStack() as stack:
        if create and dry_run:
            try:
                ledger = open_ledger(project.ledger, project.root)
            except LedgerMissingError:
                ledger = open_ledger(
                    "sqlite:///ledger.db", Path(stack.enter_context(TemporaryDirectory())), create=True
                )
        else:
            ledger = open_ledger(project.ledger, project.root, create=create)
        yield stack.enter_context(ledger)


def _summary(outcome: Outcome) -> str:
    counts = f"{outcome.changed:,} changed, {outcome.unchanged:,} unchanged, {len(outcome.refused):,} refused"
    return f"{outcome.read:,} read: {counts}"


def _show(outcome: Outcome, *, dry_run: bool) -> None:
    click.echo(_summary(outcome) + (" (a dry run: nothing was recorded)" if dry_run else ""))
    for refused in outcome.refused[:SHOWN]:
        click.echo(f"row {refused.row}: {refused.message}", err=True)
    if len(outcome.refused) > SHOWN:
        click.echo(f"and {len(outcome.refused) - SHOWN:,} more; --json shows all", err=True)
