"""The event tables a plan reads: those declared, the sends, and the ledger's own events."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from ..columns import LEDGER_COLUMNS, LEDGER_EVENT, Catalog, Table
from ..model import EventTable, Project, Source
from ..trees import column, named, select, table

SENDS = ""
"""The table of sends among the event tables, under a name that no declared event can have."""

LEDGER = "ledger"
"""The relation with the columns of ``LEDGER_COLUMNS`` that a run lands where a plan asks for it: an event a row."""


def asked_for(relation: str) -> str:
    """The part of a relation that is about the profiles asked for, where those are few."""
    return f"{relation} asked for"


def event_table(project: Project, catalog: Catalog, event: str) -> tuple[EventTable, str, Table]:
    """An event's declaration, the relation that holds it, and its columns."""
    if event == LEDGER_EVENT:
        return EventTable(Source(LEDGER, LEDGER), "profile", "occurred_at"), f"events {LEDGER_EVENT}", LEDGER_COLUMNS
    if event == SENDS:
        assert project.sends
        assert catalog.sends
        return EventTable(project.sends.source, project.sends.profile, project.sends.at), "events ", catalog.sends
    return project.events[event], f"events {event}", catalog.events[event]


def ledger_events(channels: Iterable[tuple[str, str]]) -> exp.Query:
    """The ledger's events by profile: those that name it, and those that name an address it has on their channel.

    ``channels`` pairs each channel with the column of ``people`` that holds its addresses.
    """
    kept = [column(name, "e") for name in LEDGER_COLUMNS if name != "profile"]

    def matched(on: exp.Expr) -> exp.Select:
        chosen = select(named(column("key as text", "p"), "profile"), *(name.copy() for name in kept))
        return chosen.from_(table("people", "p"), copy=False).join(table(LEDGER, "e"), on=on, copy=False)

    found: exp.Query = matched(exp.EQ(this=column("key as text", "p"), expression=column("profile", "e")))
    for channel, address in channels:
        same = exp.EQ(this=column(address, "p"), expression=column("address", "e"))
        on_channel = exp.EQ(this=column("channel", "e"), expression=exp.Literal.string(channel))
        found = exp.union(found, matched(exp.and_(same, on_channel)), distinct=True)
    return found
