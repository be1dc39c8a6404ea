"""Options and habits that commands share: where the project is, and how results and progress are shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

import click

from .. import loader, plugins
from ..model import Project
from ..moments import Clock

if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])

CHECKS = {
    "not_in_audience": "audience",
    "no_address": "address",
    "suppressed": "not suppressed",
    "channel_unsubscribed": "channel",
    "group_unsubscribed": "groups",
    "duplicate_address": "address not taken",
    "frequency_capped": "frequency cap",
    "control_group": "control group",
    "over_target_cap": "target cap",
}
"""What an explanation calls each check, by the reason it gives."""

_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_MOST = 2**63 - 1  # bytes that DuckDB counts


def project_option(function: F) -> F:
    """``--project DIR``, before or after the command's name; the command takes ``root``, where project.yaml is."""
    return click.option(
        "--project",
        "root",
        metavar="DIR",
        callback=lambda ctx, _, value: loader.find(
            Path(value or ctx.find_root().obj or "."), upward=not (value or ctx.find_root().obj)
        ),
        help="The project's directory (default: the nearest project.yaml upward).",
    )(function)


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(function)


def memory_option(function: F) -> F:
    """``--memory SIZE``, as DuckDB reads it."""
    return click.option(
        "--memory",
        metavar="SIZE",
        type=_size,
        help="The most memory to use, such as 8GB; what does not fit goes to disk.",
    )(function)


def _size(text: str) -> str:
    """A size of memory: a number above 0 and a unit."""
    found = re.fullmatch(r"([0-9]+(?:[.][0-9]+)?) *([A-Z]+)", text.upper())
    if not found or not 1 <= float(found[1]) * _UNITS.get(found[2], 0) <= _MOST:
        units = "KB, MB, GB, TB, KiB, MiB, GiB or TiB"
        raise click.BadParameter(f'"{text}" is no size such as 8GB: a number above 0, and {units}')
    return found[1] + found[2]


def as_of_option(function: F) -> F:
    """``--as-of TIME``, as text: ``moment`` reads it in the project's time zone."""
    return click.option(
        "--as-of",
        metavar="TIME",
        help="A date or time such as 2024-01-31T18:00 that conditions look from (default: now).",
    )(function)


def moment(text: str | None, project: Project) -> datetime:
    """The instant that ``--as-of`` names, or now."""
    now = datetime.now(UTC)
    if text is None:
        return now
    try:
        return Clock(now, ZoneInfo(project.timezone)).read(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--as-of") from None


def load(root: Path) -> Project:
    """The project's declarations, or InvalidProjectError with every problem of shape and reference."""
    return loader.load(root, plugins.load())


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def prefix(root: Path) -> str:
    """How the files of a project begin, seen from the current directory."""
    here, root = Path.cwd().resolve(), root.resolve()
    return "" if root == here or not root.is_relative_to(here) else f"{root.relative_to(here).as_posix()}/"


def talk() -> Console:
    """Where talk and progress go: stderr, without colour where NO_COLOR or a pipe asks for none."""
    from rich.console import Console

    return Console(stderr=True)


def choice_options(function: F) -> F:
    """What ``unsubscribe`` and ``resubscribe`` take."""
    for option in (
        click.option("--reason", metavar="TEXT", help="Why, for the record."),
        click.option("--campaign", metavar="NAME", help="The campaign it answers."),
        click.option("--group", metavar="NAME", help="One subscription group (default: the whole channel)."),
        click.option("--profile", metavar="KEY", help="The profile that answers."),
        click.option("--address", metavar="ADDRESS", help="The address that answers."),
        click.argument("channel"),
    ):
        function = option(function)
    return function


def subject_options(function: F) -> F:
    """What ``status`` and ``history`` take."""
    for option in (
        click.option("--profile", metavar="KEY", help="A profile; its address is read too."),
        click.option("--address", metavar="ADDRESS", help="An address."),
        click.option("--channel", metavar="NAME", help="The channel (default: the only one)."),
    ):
        function = option(function)
    return function


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A line on stderr that says what a run does now; nothing where stderr is not a terminal."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = talk()
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda text: bar.update(task, description=text)
