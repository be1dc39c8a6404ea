"""``maysend init``: an example project, the missing ledger of a project, or a plugin to start from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import click

from .. import ledger
from ..errors import OutputError, UnknownNameError
from ..schemas import KINDS, schema
from .options import load, talk

SCHEMAS = Path(".maysend") / "schemas"
"""Where a project keeps the schemas for editors: nothing of it is committed."""


@click.command()
@click.argument("directory", required=False)
@click.option("--plugin", metavar="NAME", help="Write a plugin of this name instead, with tests that pass.")
@click.pass_context
def command(ctx: click.Context, directory: str | None, plugin: str | None) -> None:
    """Make an example project in DIRECTORY, or the ledger of the project there.

    An empty or new DIRECTORY gets an example that validates and evaluates as it is. In a project (a directory with
    project.yaml), what is missing is its ledger. Nothing that is there already is changed. The schemas that
    editors look declarations up in are written to .maysend/schemas, as they are in this version. With --plugin,
    DIRECTORY (default: maysend-NAME) gets a plugin that brings a channel type, to start from.
    """
    if plugin is not None:
        _make_plugin(plugin, directory)
        return
    root = Path(directory or ctx.find_root().obj or ".")
    is_new = not (root / "project.yaml").is_file()
    if is_new:
        _refuse_unless_empty(root)
        _copy(files("maysend") / "example", root)
    project = load(root)
    with ledger.open_ledger(project.ledger, project.root, create=True) as opened:
        opened.remember_groups(project.groups.values())
    _write_schemas(root / SCHEMAS)
    done = f"Made an example project in {root}." if is_new else f"The ledger of {project.title} is ready."
    talk().print(done, highlight=False, markup=False)


def _write_schemas(directory: Path) -> None:
    """The schemas of all kinds, for the ``# yaml-language-server: $schema=`` lines of declarations, without a network.

    What a channel's type adds is not in them, so that a channel may hold any key.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            written = schema(kind) | ({"additionalProperties": True} if kind == "channel" else {})
            (directory / f"{kind}.json").write_text(json.dumps(written, indent=2, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{directory}: cannot be written: {error.strerror}") from None


def _make_plugin(name: str, directory: str | None) -> None:
    """Copy the plugin that comes with maysend, under another name than its own."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UnknownNameError(f'"{name}" cannot be a name: names are a to z, 0 to 9 and _, and start with a letter')
    distribution = f"maysend-{name.replace('_', '-')}"
    root = Path(directory or distribution)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise OutputError(f"{root} is there already; name a new or empty directory")
    names = {"maysend-pigeon": distribution, "pigeon": name, "Pigeon": name.replace("_", " ").capitalize()}
    _copy(files("maysend") / "example_plugin", root, names)
    told = f"Made {distribution} in {root}. In it, run: pip install '.[test]' && pytest"
    talk().print(told, highlight=False, markup=False, soft_wrap=True)


def _refuse_unless_empty(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise OutputError(f"{root} is a file; name a new or empty directory")
    if root.exists() and any(entry.name != ".git" for entry in root.iterdir()):
        raise OutputError(f"{root} is not empty and has no project.yaml; name a new or empty directory, or a project's")


def _copy(source: Traversable, target: Path, names: Mapping[str, str] = MappingProxyType({})) -> None:
    """Copy package data, which need not be files on disk, with other words in the place of ``names``."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        for entry in source.iterdir():
            if entry.is_dir():
                _copy(entry, target / entry.name, names)
            else:
                name, content = entry.name, entry.read_bytes()
                for old, new in names.items():
                    name, content = name.replace(old, new), content.replace(old.encode(), new.encode())
                (target / name).write_bytes(content)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}") from None
