"""The third pass of validation: declarations against the columns of the data, and against what the ledger remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..columns import DECLARED, KEYS, LEDGER_COLUMNS, LEDGER_EVENT, NUMBERS, TIMES, Catalog, ColumnType, Kind, Table
from ..documents import Document
from ..errors import Problem, did_you_mean
from ..events import Default
from ..model import EventTable, Project, Source, SubscriptionGroup
from ..moments import Clock
from ..where import Condition, Did, Interest, Near, Operand, Path, Property, leaves

_TEXT: frozenset[Kind] = frozenset(("text",))


class KnownGroup(Protocol):
    """What the ledger remembers of a group."""

    @property
    def channel(self) -> str: ...
    @property
    def default(self) -> Default: ...
    @property
    def acknowledged(self) -> str | None: ...


def problems(project: Project, catalog: Catalog, clock: Clock) -> list[Problem]:
    """Columns that are not there, and operators and operands that do not fit their column.

    A table that ``catalog`` lacks is not looked at: why it could not be read is a problem of its own.
    """
    return sorted(set(_Pass(project, catalog, clock, complete=True).problems()))


def offline_problems(project: Project, clock: Clock) -> tuple[list[Problem], list[str]]:
    """What can be said without data: by the types declared under ``columns``; and what was not looked at, in words."""
    catalog = Catalog(
        _declared(project.profiles.source),
        {name: _declared(table.source) for name, table in project.events.items()},
        _declared(project.sends.source) if project.sends else None,
    )
    run = _Pass(project, catalog, clock, complete=False)
    found = sorted(set(run.problems()))
    skipped = ["the data and the ledger"]
    if run.untyped:
        noun = "column whose type" if len(run.untyped) == 1 else "columns whose types"
        skipped.append(f"{len(run.untyped)} {noun} project.yaml does not declare")
    return found, skipped


def memory_problems(
    project: Project, known_groups: Mapping[str, KnownGroup], moved: Callable[[str], int | None]
) -> list[Problem]:
    """What the ledger remembers of groups and the declarations have forgotten or turned round (spec 2).

    ``moved`` says how many people the flipped default of a group would move, or None where that cannot be counted.
    """
    found: list[Problem] = []
    for name, known in sorted(known_groups.items()):
        if group := project.groups.get(name):
            found += _changes(group, known, moved)
        elif not (project.root / (file := f"subscription_groups/{name}.yaml")).exists():
            message = f'subscription group "{name}" is in the ledger and no longer here; archive it (status: archived)'
            found.append(Problem(file, 0, 0, f"{message}, do not delete it"))
    return found


def _changes(group: SubscriptionGroup, known: KnownGroup, moved: Callable[[str], int | None]) -> Iterator[Problem]:
    if group.channel != known.channel:
        message = f'was on channel "{known.channel}", and its answers stay there; archive it and declare a new group'
        yield group.document.problem(("channel",), f'subscription group "{group.name}" {message}')
    elif group.default != known.default and not group.means_change(known.acknowledged):
        number = moved(group.name)
        people = "everybody" if number is None else "1 person" if number == 1 else f"{number:,} people"
        message = f'default was "{known.default}"; "{group.default}" would move {people} who never answered'
        if group.acknowledge:
            wanted = 'say why under "acknowledge" in new words: these were there before'
        else:
            wanted = 'add "acknowledge: <why>"'
        yield group.document.problem(("default",), f"{message}; if that is meant, {wanted}")


def _declared(source: Source) -> Table:
    return {name: DECLARED[type_] for name, type_ in source.columns.items()}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a person wrote of columns, and the table they should be in, by the name it goes under there."""

    document: Document
    path: Path
    table: Table
    name: str
    source: Source

    def hint(self, column: str, type_: ColumnType) -> str:
        """What to do where a column is text only because a CSV file does not say what its columns are."""
        bare = type_.kind == "text" and ".csv" in self.source.location.lower() and column not in self.source.columns
        return '; declare its type under "columns" in project.yaml' if bare else ""


class _Pass:
    """One walk over a project. With ``complete``, a column a table lacks is a problem; else its type is unknown."""

    def __init__(self, project: Project, catalog: Catalog, clock: Clock, *, complete: bool) -> None:
        self.project, self.catalog, self.clock, self.complete = project, catalog, clock, complete
        self.untyped: set[tuple[str, str]] = set()
        self.fitting: set[tuple[str, ColumnType, type | frozenset[type]]] = set()

    def problems(self) -> Iterator[Problem]:
        yield from self._tables()
        for segment in self.project.segments.values():
            yield from self._condition(segment.document, segment.where)

    def _tables(self) -> Iterator[Problem]:
        project, document = self.project, self.project.document
        if (profiles := self.catalog.profiles) is not None:
            place = _Place(document, ("profiles",), profiles, project.profiles.source.location, project.profiles.source)
            yield from self._kept(place, ("key",), project.profiles.key, KEYS, "an integer or text")
            yield from self._declarations(place, project.profiles.source)
            for channel in project.channels.values():
                place = _Place(
                    channel.document, (), profiles, project.profiles.source.location, project.profiles.source
                )
                yield from self._kept(place, ("address",), channel.address, KEYS, "text")
        for name, event in project.events.items():
            if (table := self.catalog.events.get(name)) is not None:
                place = _Place(document, ("events", name), table, event.source.location, event.source)
                yield from self._kept(place, ("profile",), event.profile, KEYS, "an integer or text")
                yield from self._kept(place, ("at",), event.at, TIMES, "a date or timestamp")
                yield from self._declarations(place, event.source)
        if (sends := project.sends) and (table := self.catalog.sends) is not None:
            place = _Place(document, ("sends",), table, sends.source.location, sends.source)
            yield from self._kept(place, ("profile",), sends.profile, KEYS, "an integer or text")
            yield from self._kept(place, ("channel",), sends.channel, _TEXT, "text")
            yield from self._kept(place, ("at",), sends.at, TIMES, "a date or timestamp")
            yield from self._declarations(place, sends.source)

    def _declarations(self, place: _Place, source: Source) -> Iterator[Problem]:
        for column in source.columns:
            if column not in place.table:
                path = (*place.path, "columns", column)
                yield place.document.problem(path, self._missing(place, column), key=True)

    def _kept(self, place: _Place, path: Path, column: str, kinds: frozenset[Kind], wanted: str) -> Iterator[Problem]:
        """The problems of a column that ``path`` declares for a purpose of its own, and that must be of some kind."""
        path = (*place.path, *path)
        if (type_ := self._type(place, column)) and type_.kind not in kinds:
            message = f'column "{column}" of {place.name} is of type {type_}, and must be {wanted}'
            yield place.document.problem(path, message + place.hint(column, type_))
        elif not type_ and self.complete:
            yield place.document.problem(path, self._missing(place, column))

    def _type(self, place: _Place, column: str) -> ColumnType | None:
        if column not in place.table and place.table is not LEDGER_COLUMNS:
            self.untyped.add((place.source.location, column))
        return place.table.get(column)

    def _mistake(self, operator: str, operand: Operand, column: ColumnType) -> str | None:
        """Why an operator and operand do not fit a column. Unless times are compared, other values of the same types
        fit where these do."""
        from ..operators import mistake  # with sqlglot, which takes longer to import than many projects to check

        types = frozenset(map(type, operand)) if isinstance(operand, tuple) else type(operand)
        if (operator, column, types) in self.fitting:
            return None
        found = mistake(operator, operand, column, self.clock)
        if not found and (column.item or column.kind) not in TIMES:
            self.fitting.add((operator, column, types))
        return found

    def _missing(self, place: _Place, column: str) -> str:
        return f'{place.name} has no column "{column}"{did_you_mean(column, place.table, few="it has")}'

    def _condition(self, document: Document, condition: Condition) -> Iterator[Problem]:
        for leaf in leaves(condition):
            match leaf:
                case Property() if self.catalog.profiles is not None:
                    source = self.project.profiles.source
                    place = _Place(document, leaf.at, self.catalog.profiles, "profiles", source)
                    yield from self._property(place, leaf)
                case Did() | Interest() if leaf.event == LEDGER_EVENT:
                    ledger = EventTable(Source("ledger", "ledger"), "profile", "occurred_at")
                    yield from self._about_event(document, leaf, ledger, LEDGER_COLUMNS)
                case Did() | Interest() if leaf.event in self.project.events and leaf.event in self.catalog.events:
                    event, table = self.project.events[leaf.event], self.catalog.events[leaf.event]
                    yield from self._about_event(document, leaf, event, table)

    def _property(self, place: _Place, leaf: Property) -> Iterator[Problem]:
        columns = leaf.column if isinstance(leaf.column, tuple) else (leaf.column,)
        for index, column in enumerate(columns):
            path: Path = (*leaf.at, "property", index) if isinstance(leaf.column, tuple) else (*leaf.at, "property")
            if not (type_ := self._type(place, column)):
                yield from self._unknown(place, path, column)
            elif isinstance(leaf.operand, Near):
                if type_.kind not in NUMBERS:
                    unfit = f'"{column}" is of type {type_}, and near takes numbers{place.hint(column, type_)}'
                    yield place.document.problem(path, unfit)
            elif message := self._mistake(leaf.operator, leaf.operand, type_):
                unfit = f'"{column}" {message}{place.hint(column, type_)}'
                yield place.document.problem((*leaf.at, leaf.operator), unfit)

    def _unknown(self, place: _Place, path: Path, column: str) -> Iterator[Problem]:
        if self.complete or place.table is LEDGER_COLUMNS:
            yield place.document.problem(
                path, f'unknown property "{column}" of {place.name}{did_you_mean(column, place.table)}'
            )

    def _about_event(
        self, document: Document, leaf: Did | Interest, event: EventTable, table: Table
    ) -> Iterator[Problem]:
        place = _Place(document, leaf.at, table, leaf.event, event.source)
        for inner in leaves(leaf.where) if leaf.where else ():
            if isinstance(inner, Property):
                yield from self._property(place, inner)
        if isinstance(leaf, Interest):
            path = (*leaf.at, "most_often" if leaf.percent is None else "share")
            if not (type_ := self._type(place, leaf.column)):
                yield from self._unknown(place, (*path, "property"), leaf.column)
            elif message := self._mistake(leaf.operator, leaf.operand, type_):
                unfit = f'"{leaf.column}" {message}{place.hint(leaf.column, type_)}'
                yield document.problem((*path, leaf.operator), unfit)
            return
        for measure in leaf.measures:
            if measure.of is None:
                continue
            path = (*leaf.at, measure.kind, "of")
            if not (type_ := self._type(place, measure.of)):
                yield from self._unknown(place, path, measure.of)
            elif type_.kind not in NUMBERS:
                unfit = f'"{measure.of}" is of type {type_}, and {measure.kind} takes numbers'
                yield document.problem(path, unfit + place.hint(measure.of, type_))
        if at := table.get(event.at):
            yield from self._about_time(document, leaf, at)

    def _about_time(self, document: Document, leaf: Did, at: ColumnType) -> Iterator[Problem]:
        if leaf.time_of_day and at.kind == "date":
            message = f"{leaf.event} happens on dates, which have no time of day"
            yield document.problem((*leaf.at, "time_of_day"), message, key=True)
        if (last := leaf.last_time) and (unfit := self._mistake(last.operator, last.operand, at)):
            yield document.problem((*leaf.at, "last_time", last.operator), f"the time of {leaf.event} {unfit}")
