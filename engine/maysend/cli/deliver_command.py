"""``maysend deliver``."""

from __future__ import annotations

import logging
import signal
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from .. import delivery, plugins
from ..errors import DeliveryError, UnknownNameError, did_you_mean
from ..events import isoformat
from ..ledger import Ledger, open_ledger
from ..model import Project
from .options import json_option, load, print_json, project_option, talk


@click.command()
@click.option("--sink", "only", metavar="NAME", multiple=True, help="Only this sink; may be repeated.")
@click.option("--follow", is_flag=True, help="Go on delivering until interrupted.")
@click.option("--since", metavar="SEQ", type=click.IntRange(0), help="Deliver again every event after this one.")
@click.option("--status", "as_status", is_flag=True, help="Show each sink's lag, last error and dead letters instead.")
@json_option
@project_option
def command(root: Path, only: tuple[str, ...], follow: bool, since: int | None, as_status: bool, as_json: bool) -> None:
    """Deliver events to the sinks, from where each was left off.

    Every sink has a cursor of its own: one that fails is tried again later, and holds up no other. An event that a
    receiver rejects for good becomes a dead letter, which --since delivers again. Exit code 1 where a sink failed.
    """
    if as_status and (follow or since is not None):
        raise click.UsageError("--status delivers nothing: leave out --follow and --since")
    if follow and as_json:
        raise click.UsageError("--follow has no result to print as JSON: leave out one of the two")
    project, found = load(root), plugins.load()
    declared = delivery.declared(project, found)
    for name in only:
        if name not in declared:
            raise UnknownNameError(f'no sink has the name "{name}"{did_you_mean(name, declared)}')
    chosen = {name: sink for name, sink in declared.items() if not only or name in only}
    if not chosen:
        talk().print("project.yaml declares no sinks: nothing to deliver.", highlight=False)
    with open_ledger(project.ledger, project.root) as ledger:
        if as_status:
            _show_status(chosen, ledger, as_json=as_json)
            return
        if since is not None:
            for name in chosen:
                _move(ledger, name, since)
        _deliver(project, found, ledger, list(chosen), follow=follow, as_json=as_json)


def _move(ledger: Ledger, sink: str, since: int) -> None:
    cursors = ledger.cursors(f"deliver --since {time.time_ns()}")
    if cursors.hold(sink) is None:
        raise DeliveryError(f'sink "{sink}" is being delivered to by another process; stop that one, or wait for it')
    cursors.move(sink, since)
    cursors.release(sink)


def _deliver(
    project: Project, found: plugins.Plugins, ledger: Ledger, only: list[str], *, follow: bool, as_json: bool
) -> None:
    if not only:
        return
    said = logging.StreamHandler()
    said.addFilter(logging.Filter("maysend"))  # what a sink's client has to say, its errors say
    logging.basicConfig(format="%(message)s", level=logging.INFO, handlers=[said])
    running = delivery.start(project, found, ledger, only=only, follow=follow)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        running.wait()
    except KeyboardInterrupt:
        talk().print("Stopping.", highlight=False)
    running.stop()
    failed = [name for name, worker in running.workers.items() if worker.failure]
    if as_json:
        print_json({"sinks": [_result(name, running) for name in running.workers]})
    elif not follow:
        for name, worker in running.workers.items():
            done = f"{worker.delivered} delivered" + (f", {worker.rejected} rejected" if worker.rejected else "")
            click.echo(f"{name}: {done}{'; ' + worker.failure if worker.failure else ''}")
    if failed and not follow:
        raise click.exceptions.Exit(1)


def _result(name: str, running: delivery.Running) -> dict[str, Any]:
    worker = running.workers[name]
    return {"name": name, "delivered": worker.delivered, "rejected": worker.rejected, "error": worker.failure}


def _show_status(sinks: dict[str, delivery.DeclaredSink], ledger: Ledger, *, as_json: bool) -> None:
    cursors = ledger.cursors("")
    rows: list[dict[str, Any]] = []
    for name, sink in sinks.items():
        cursor = cursors.read(name)
        letters = [
            {"seq": one.seq, "event_id": one.event_id, "reason": one.reason, "rejected_at": isoformat(one.rejected_at)}
            for one in cursor.dead_letters
        ]
        rows.append(
            {
                "name": name,
                "type": sink.type.name,
                "seq": cursor.seq,
                "lag": cursor.lag,
                "last_error": cursor.error,
                "last_error_at": isoformat(cursor.error_at) if cursor.error_at else None,
                "dead_letters": letters,
            }
        )
    if as_json:
        print_json({"sinks": rows})
        return
    table = Table("sink", "type", "up to", "lag", "last error", "dead letters", box=None, pad_edge=False)
    for row in rows:
        error = f"{row['last_error']} ({row['last_error_at']})" if row["last_error"] else ""
        shown = (row["name"], row["type"], str(row["seq"]), str(row["lag"]), error, str(len(row["dead_letters"])))
        table.add_row(*shown)
    Console(markup=False, highlight=False).print(table)
    for row in rows:
        for letter in row["dead_letters"]:
            click.echo(f"{row['name']}: event {letter['seq']} ({letter['event_id']}): {letter['reason']}", err=True)
