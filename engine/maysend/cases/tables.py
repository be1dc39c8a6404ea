"""The types of the columns that cases fill: declared, or those of the real source, or what values and conditions say.

Cases run where there is no data, and agree with a run over the data: what a source says can be declared under
``columns``, and what neither says is worked out from the cases, and told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from typing import Any

from ..backends.duckdb import DuckDB
from ..columns import DECLARED, LEDGER_EVENT, NUMBERS, TIMES, Catalog, ColumnType, Kind, Table
from ..errors import SourceError
from ..model import Project, Source
from ..moments import Clock, by_clock, is_date
from ..operators import mistake
from ..where import Did, InList, Interest, Near, Property, leaves

PROFILES, SENDS = "profiles", "sends"

Row = Mapping[str, Any]
Fits = Callable[[ColumnType], bool]

_KEYS: frozenset[Kind] = frozenset(("integer", "text"))
_SQL: Mapping[Kind, str] = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "decimal": "DECIMAL(28, 9)",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "instant": "TIMESTAMPTZ",
}
_CANDIDATES: tuple[ColumnType, ...] = tuple(
    DECLARED[name]
    for name in (
        *("integer", "number", "boolean", "date", "timestamp", "instant", "text"),
        *("list of integer", "list of number", "list of text"),
    )
)
"""What a column may be of which nothing is known, in the order in which the first that fits is taken."""


@dataclass(slots=True)
class Tables:
    """The columns of every table, by the table's name: ``profiles``, ``sends``, or an event's.

    ``complete`` are the tables whose columns are all known; ``inferred`` are the columns whose type nobody declares.
    """

    types: dict[str, dict[str, ColumnType]] = field(default_factory=dict)
    complete: set[str] = field(default_factory=set)
    inferred: list[str] = field(default_factory=list)

    def catalog(self, project: Project) -> Catalog:
        events = {name: self.types[_event(name)] for name in project.events}
        return Catalog(self.types[PROFILES], events, self.types[SENDS] if project.sends else None)


def _event(name: str) -> str:
    return f"event {name}"


def event_of(table: str) -> str:
    """The event whose table this is."""
    return table.removeprefix("event ")


def tables(project: Project, rows: Mapping[str, Sequence[Row]], clock: Clock, *, offline: bool) -> Tables:
    """The types of every table's columns; ``rows`` are those of all cases, by table."""
    found = Tables()
    with DuckDB(threads=1) as backend:
        for name, source in sources(project):
            known = _known(source, backend, found.complete, name, offline=offline)
            asked: dict[str, list[Fits]] = {}
            for column, fits in _asked(project, name, clock):
                asked.setdefault(column, []).append(fits)
            given = dict.fromkeys([*asked, *(column for row in rows.get(name, ()) for column in row)])
            for column in given if name not in found.complete else ():
                if column not in known:
                    values = [row[column] for row in rows.get(name, ()) if row.get(column) is not None]
                    known[column] = _inferred(values, asked.get(column, ()), source, clock)
                    if ".csv" not in source.location.lower():
                        found.inferred.append(f"{column} of {source.location}")
            found.types[name] = known
    return found


def sources(project: Project) -> Iterator[tuple[str, Source]]:
    """Every table that cases fill, by name."""
    yield PROFILES, project.profiles.source
    for name, event in project.events.items():
        yield _event(name), event.source
    if project.sends:
        yield SENDS, project.sends.source


def lists(project: Project) -> list[InList]:
    """The leaves that name a file of profiles or addresses."""
    found = [leaf for segment in project.segments.values() for leaf in leaves(segment.where)]
    return [leaf for leaf in found if isinstance(leaf, InList)]


def _known(source: Source, backend: DuckDB, complete: set[str], name: str, *, offline: bool) -> dict[str, ColumnType]:
    if not offline:
        try:
            opened = dict(backend.open("source", source, watched=False))
        except SourceError:
            pass
        else:
            complete.add(name)
            return {column: ColumnType(kind.kind, kind.item) for column, kind in opened.items()}
    return {column: DECLARED[kind] for column, kind in source.columns.items()}


def _inferred(values: Iterable[Any], asked: Iterable[Fits], source: Source, clock: Clock) -> ColumnType:
    """A type of which all values are and that all conditions can ask about, or else all values."""
    if ".csv" in source.location.lower():
        return DECLARED["text"]
    able = [type_ for type_ in _CANDIDATES if all(_fits(value, type_, clock) for value in values)]
    asked = list(asked)
    return next((t for t in able if all(fits(t) for fits in asked)), able[0] if able else DECLARED["text"])


def _fits(value: Any, type_: ColumnType, clock: Clock) -> bool:
    try:
        stored(value, type_, clock)
    except ValueError:
        return False
    return not (type_.kind == "text" and not isinstance(value, str))


def _asked(project: Project, name: str, clock: Clock) -> Iterator[tuple[str, Fits]]:
    """The columns that declarations name, each with what its type must be."""
    if name == PROFILES:
        yield project.profiles.key, _one_of(_KEYS)
        for channel in project.channels.values():
            yield channel.address, lambda type_: type_.kind == "text"
    elif name == SENDS:
        assert project.sends
        yield project.sends.profile, _one_of(_KEYS)
        yield project.sends.channel, lambda type_: type_.kind == "text"
        yield project.sends.at, _one_of(TIMES)
    else:
        yield project.events[event_of(name)].profile, _one_of(_KEYS)
        yield project.events[event_of(name)].at, _one_of(TIMES)
    for segment in project.segments.values():
        for leaf in leaves(segment.where):
            match leaf:
                case Property() if name == PROFILES:
                    yield from _property(leaf, clock)
                case Did() | Interest() if leaf.event != LEDGER_EVENT and name == _event(leaf.event):
                    for inner in leaves(leaf.where) if leaf.where else ():
                        if isinstance(inner, Property):
                            yield from _property(inner, clock)
                    if isinstance(leaf, Interest):
                        yield from _property(Property(leaf.column, leaf.operator, leaf.operand), clock)
                    else:
                        yield from ((measure.of, _one_of(NUMBERS)) for measure in leaf.measures if measure.of)


def _property(leaf: Property, clock: Clock) -> Iterator[tuple[str, Fits]]:
    if isinstance(leaf.column, tuple) or isinstance(leaf.operand, Near):
        yield from ((name, _one_of(NUMBERS)) for name in leaf.column)
        return
    yield leaf.column, lambda type_: not mistake(leaf.operator, leaf.operand, type_, clock)


def _one_of(kinds: frozenset[Kind]) -> Fits:
    return lambda type_: type_.kind in kinds


def sql_types(table: Table) -> dict[str, str]:
    """The type of each column as DuckDB calls it; what no case can fill is text that is missing."""

    def of(kind: Kind | None) -> str:
        return _SQL.get(kind or "text", "VARCHAR")

    return {name: f"{of(type_.item)}[]" if type_.kind == "list" else of(type_.kind) for name, type_ in table.items()}


def stored(value: Any, type_: ColumnType, clock: Clock) -> Any:
    """A value of a case as it lands in a column of that type.

    Raises ValueError, as the end of a sentence, where it is none.
    """
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match type_.kind:
        case "text" if isinstance(value, str) or (number and isinstance(value, int)):
            return str(value)
        case "integer" if number and isinstance(value, int) and -(2**63) <= value < 2**63:
            return value
        case "float" | "decimal" if number:
            return repr(value)
        case "boolean" if isinstance(value, bool):
            return value
        case "date" if isinstance(value, str) and is_date(value):
            return date.fromisoformat(value)
        case "timestamp" if isinstance(value, str):
            return by_clock(clock.bound(value), clock.zone).replace(tzinfo=None)
        case "instant" if isinstance(value, str):
            return by_clock(clock.bound(value), UTC)
        case "list" if isinstance(value, list):
            items = [stored(item, ColumnType(type_.item or "text"), clock) for item in value]
            quoted = type_.item not in NUMBERS
            written = [json.dumps(str(item), ensure_ascii=False) if quoted else str(item) for item in items]
            texts = ["NULL" if item is None else text for item, text in zip(items, written, strict=True)]
            return f"[{', '.join(texts)}]"
        case "other":
            raise ValueError("is of a kind that no case can fill; leave it out")
    raise ValueError(f"is of type {type_}, and {_shown(value)} is not")


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
