"""``maysend plugins``: what is loaded, from where, and what failed to load."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from .. import ledger, plugins
from . import COMMANDS
from .options import json_option, print_json


@click.command()
@json_option
def command(as_json: bool) -> None:
    """List the plugins that are loaded, and those that are not; and how the ledger writes on this SQLite.

    One that fails to load is listed with the reason; the others work, so the exit code is 0.
    """
    found = plugins.load()
    journal, why = ledger.sqlite_journal()
    rows = [asdict(plugin) | _brought(found, plugin) for plugin in found.loaded]
    if as_json:
        print_json({"plugins": rows, "sqlite": {"version": ledger.sqlite_version(), "journal": journal, "why": why}})
        return
    _print_table(rows)
    for plugin in found.failures:
        click.echo(f"{plugin} failed to load: {plugin.error}", err=True)
    for name in COMMANDS.keys() & found.commands.keys():
        source = found.sources["register_commands", name]
        click.echo(f'command "{name}" of {source} is not used: maysend has one of its own', err=True)
    click.echo(f"\nThe ledger's journal on SQLite {ledger.sqlite_version()} is {journal}: {why}.")


def _brought(found: plugins.Plugins, plugin: plugins.Loaded) -> dict[str, list[str]]:
    """What one plugin registered: names by kind."""
    brought: dict[str, list[str]] = {hook.removeprefix("register_"): [] for hook in plugins.REGISTERED}
    for (hook, name), source in found.sources.items():
        if source == plugin:
            brought[hook.removeprefix("register_")].append(name)
    return brought


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = Table("plugin", "distribution", "version", "brings", box=None, pad_edge=False)
    kinds = [hook.removeprefix("register_") for hook in plugins.REGISTERED]
    for row in rows:
        brings = "; ".join(f"{kind.replace('_', ' ')}: {', '.join(row[kind])}" for kind in kinds if row[kind])
        table.add_row(row["name"], row["distribution"], row["version"], "failed to load" if row["error"] else brings)
    Console(markup=False, highlight=False).print(table)
