"""What kinds of value a column can hold, and how a table's columns are named.

The kinds are the portable ones that every backend maps its own types to; an operator is declared over kinds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "integer", "decimal", "float", "boolean", "date", "timestamp", "instant", "list", "other"]

NUMBERS: frozenset[Kind] = frozenset(("integer", "decimal", "float"))
KEYS: frozenset[Kind] = frozenset(("integer", "text"))
TIMES: frozenset[Kind] = frozenset(("date", "timestamp", "instant"))


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's kind; ``item`` is the kind of a list's items.

    ``timestamp`` has no zone of its own and is read in the project's; ``instant`` is a point in time. ``path`` leads to
    a field of a struct column; it is empty where the column stands under its own name.
    """

    kind: Kind
    item: Kind | None = None
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"list of {self.item}" if self.kind == "list" else self.kind


Table = Mapping[str, ColumnType]
"""Column name to type; a field of a struct column stands under its dotted name."""


@dataclass(frozen=True, slots=True)
class Roster:
    """What the roster (rosters.py) has beside the profiles' own columns, up to the ledger's event ``seq``, and to when
    somebody was last ``erased``.

    ``addresses`` are its columns of normalized addresses. ``groups`` are those whose answers it has folded, by channel
    and address, in the order of their bits; ``items`` are the values that the bits of each list stand for, and
    ``texts`` those of each numbered text, from number 1 on. ``current`` says that nobody answered since.
    """

    seq: int
    erased: int
    addresses: Collection[str]
    groups: Mapping[tuple[str, str], Sequence[str]]
    items: Mapping[str, Sequence[str]]
    texts: Mapping[str, Sequence[str]]
    current: bool = False


@dataclass(frozen=True, slots=True)
class Catalog:
    """The tables of a project as they are. A table that could not be read, or was not asked for, is None or absent.

    Where there is a ``roster``, the profiles have its columns too.
    """

    profiles: Table | None
    events: Mapping[str, Table]
    sends: Table | None = None
    roster: Roster | None = None


HASH = "hash of key"
ADDED = ("key as text", "drawn by", HASH)
"""The columns that a plan adds to the profiles."""
AUDIENCE_COLUMNS = ("address", "reason", "campaign", "replay")
"""The columns that results may have beside the key."""

DECLARED: Mapping[str, ColumnType] = {
    "text": ColumnType("text"),
    "integer": ColumnType("integer"),
    "number": ColumnType("float"),
    "decimal": ColumnType("decimal"),
    "boolean": ColumnType("boolean"),
    "date": ColumnType("date"),
    "timestamp": ColumnType("timestamp"),
    "instant": ColumnType("instant"),
    "list of text": ColumnType("list", "text"),
    "list of integer": ColumnType("list", "integer"),
    "list of number": ColumnType("list", "float"),
}
"""What ``columns:`` in ``project.yaml`` may say of a column."""

LEDGER_EVENT = "Channel Unsubscribed"
"""What the ledger records is an event like any other (spec 3), and no project declares it."""

LEDGER_COLUMNS: Table = {
    "profile": ColumnType("text"),
    "address": ColumnType("text"),
    "occurred_at": ColumnType("instant"),
    "channel": ColumnType("text"),
    "group": ColumnType("text"),
    "resubscribed": ColumnType("boolean"),
    "type": ColumnType("text"),
    "reason": ColumnType("text"),
    "source": ColumnType("text"),
    "campaign_id": ColumnType("text"),
    "campaign_type": ColumnType("text"),
    "variant": ColumnType("text"),
    "subscription_type": ColumnType("text"),
    "event_id": ColumnType("text"),
}
"""Its columns. It is of the profile that it names, and of those that have the address it names."""
