"""``maysend diff``: who comes, who goes, and which changed line moves them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.table import Table

from .. import loader, plugins
from ..errors import MaysendError
from ..review.comparison import Cause, Comparison, Difference, compare
from ..review.markdown import markdown
from ..review.sarif import sarif
from ..review.sides import open_sides
from .options import as_of_option, json_option, memory_option, moment, prefix, print_json, progress

Form = Literal["text", "json", "markdown", "sarif"]


@click.command()
@click.argument("base")
@click.argument("head", required=False)
@as_of_option
@click.option(
    "--project-from",
    type=click.Choice(["head", "base"]),
    default="head",
    show_default=True,
    help="Whose project.yaml says where data and ledger are. With base, that of HEAD is not read at all: for changes "
    "by strangers.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown", "sarif"]),
    default="text",
    show_default=True,
    help="How the result is printed; markdown is for a pull request's comment.",
)
@click.option(
    "--sample", type=click.IntRange(min=0), default=3, show_default=True, metavar="N", help="Name N people each."
)
@memory_option
@json_option
@click.option(
    "--project", "directory", metavar="DIR", help="The project's directory (default: the nearest project.yaml upward)."
)
@click.pass_context
def command(
    ctx: click.Context,
    base: str,
    head: str | None,
    as_of: str | None,
    project_from: str,
    form: Form,
    sample: int,
    memory: str | None,
    as_json: bool,
    directory: str | None,
) -> None:
    """Say what the changes from BASE to HEAD do to people, campaign by campaign, and which line is why.

    BASE and HEAD are git revisions or directories with a project.yaml; without HEAD, the working tree is meant. Both
    are evaluated over the same data and the newest answers. Exits with 1 where a guard of HEAD trips.
    """
    loaded = plugins.load()
    root = _root(directory or ctx.find_root().obj, base, head)
    sides = open_sides(base, head, root, loaded, trust_base=project_from == "base")
    for note in sides.notes:
        click.echo(note, err=True)
    with progress() as told:
        at = moment(as_of, sides.head.project)
        found = compare(sides, loaded, at, samples=sample, memory=memory, progress=told)
    _print(found, "json" if as_json else form)
    for line in found.tripped:
        click.echo(line, err=True)
    sys.exit(1 if found.tripped else 0)


def _root(directory: str | None, base: str, head: str | None) -> Path | None:
    """The project in the working tree; it may be missing where two directories are compared."""
    try:
        return loader.find(Path(directory or "."), upward=not directory)
    except MaysendError:
        if head is not None and all((Path(name) / loader.PROJECT_FILE).is_file() for name in (base, head)):
            return None
        raise


def _print(found: Comparison, form: Form) -> None:
    match form:
        case "json":
            print_json(found.as_json())
        case "markdown":
            click.echo(markdown(found), nl=False)
        case "sarif":
            click.echo(json.dumps(sarif(found, prefix(found.sides.head.project.root)), indent=2, ensure_ascii=False))
        case _:
            _show(found)


def _show(found: Comparison) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    base, head = found.sides.base, found.sides.head
    about = f"as of {found.as_of:%Y-%m-%d %H:%M}: {found.population:,} profiles"
    console.print(f"{head.project.title}: {base.name} → {head.name}, {about}", markup=False)
    for title, differences in (("campaign", found.campaigns), ("segment", found.segments)):
        if changed := [one for one in differences if one.changed]:
            console.print()
            console.print(_table(title, changed))
    if same := [one.name for one in found.campaigns if not one.changed]:
        console.print(f"\nthe same people as before: {', '.join(same)}", markup=False)
    for one in found.campaigns:
        for line in _details(one):
            console.print(line, markup=False)


def _table(title: str, changed: list[Difference]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(title, no_wrap=True)
    for name, style in (("before", ""), ("after", ""), ("added", "green"), ("removed", "red")):
        table.add_column(name, justify="right", style=style, no_wrap=True)
    table.add_column("because of", overflow="fold")
    for one in changed:
        sizes = ("" if size is None else f"{size:,}" for size in (one.before, one.after))
        causes = "\n".join(_cause(cause) for cause in one.causes if cause.file or cause.added or cause.removed)
        table.add_row(one.name, *sizes, f"+{one.added:,}", f"−{one.removed:,}", causes)
    return table


def _cause(cause: Cause) -> str:
    where = f"{cause.file}:{cause.line}" if cause.file else "several changes together"
    return f"{where}  {_signed(cause.added, '+')} {_signed(cause.removed, '−')}"


def _signed(many: int, sign: str) -> str:
    """A count with its sign; what is left over may point the other way."""
    return f"{sign}{many:,}" if many >= 0 else f"{'−' if sign == '+' else '+'}{-many:,}"


def _details(one: Difference) -> Iterator[str]:
    """From reason to reason, and a few people by name."""
    if not one.moved:
        return
    yield f"\n{one.name}"
    for (was, now), many in sorted(one.moved.items(), key=lambda move: -move[1]):
        yield f"  {was} → {now}: {many:,}"
    for what, keys in one.samples.items():
        if keys:
            yield f"  {what}, for example: {', '.join(keys)}"
