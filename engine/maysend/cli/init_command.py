"""``maysend init``: an example project in an empty directory, or the missing ledger of a project."""

from __future__ import annotations

from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path

import click

from .. import ledger
from ..errors import OutputError
from .options import load, talk


@click.command()
@click.argument("directory", required=False)
@click.pass_context
def command(ctx: click.Context, directory: str | None) -> None:
    """Make an example project in DIRECTORY, or the ledger of the project there.

    An empty or new DIRECTORY gets an example that validates and evaluates as it is. In a project (a directory with
    project.yaml), what is missing is its ledger. Nothing that is there already is changed.
    """
    root = Path(directory or ctx.find_root().obj or ".")
    is_new = not (root / "project.yaml").is_file()
    if is_new:
        _refuse_unless_empty(root)
        _copy(files("maysend") / "example", root)
    project = load(root)
    with ledger.open_ledger(project.ledger, project.root, create=True) as opened:
        opened.remember_groups(project.groups.values())
    done = f"Made an example project in {root}." if is_new else f"The ledger of {project.title} is ready."
    talk().print(done, highlight=False, markup=False)


def _refuse_unless_empty(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise OutputError(f"{root} is a file; name a new or empty directory")
    if root.exists() and any(entry.name != ".git" for entry in root.iterdir()):
        raise OutputError(f"{root} is not empty and has no project.yaml; name a new or empty directory, or a project's")


def _copy(source: Traversable, target: Path) -> None:
    """Copy package data, which need not be files on disk."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        for entry in source.iterdir():
            if entry.is_dir():
                _copy(entry, target / entry.name)
            else:
                (target / entry.name).write_bytes(entry.read_bytes())
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}") from None
