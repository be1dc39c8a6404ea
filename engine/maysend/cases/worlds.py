"""The rows of cases as a run: one case as a project of its own, or many side by side in the same tables.

Side by side, every profile has a key of its own and every address starts with its case, so that no case sees another;
draws hash the keys as written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from sqlglot import exp

from ..addresses import normalized
from ..backends.duckdb import DuckDB
from ..columns import Catalog, ColumnType
from ..events import Fact
from ..ledger import open_ledger
from ..model import Project
from ..moments import Clock
from ..plugins import Plugins
from ..runner import Run
from ..snapshot import COLUMNS
from ..targeting.features import value
from ..targeting.standings import ANSWERS
from ..trees import cast, column, named, table
from ..where import All, AnyOf, Condition, InList, Not
from .reading import Case
from .tables import PROFILES, SENDS, Row, Tables, lists, sources, sql_types

_KEY, _CASE = "profile of case", "case"
_LEDGER = "sqlite:///ledger.db"


@dataclass(frozen=True, slots=True)
class Settings:
    """What cases run on, whatever they hold."""

    project: Project
    plugins: Plugins
    tables: Tables


@dataclass(frozen=True, slots=True)
class World:
    """Cases in one run. ``people`` is, by the run's own key as text, the case's place and the key as written;
    ``variant`` makes a project's declarations, over the same tables, such that the run can decide by them."""

    run: Run
    people: Mapping[str, tuple[int, str]]
    variant: Callable[[Project], Project]


@contextmanager
def alone(settings: Settings, case: Case) -> Iterator[World]:
    """One case as a project's data and ledger."""
    with TemporaryDirectory(prefix="maysend-") as directory, DuckDB(threads=1) as backend:
        for name, _ in sources(settings.project):
            _land(backend, _relation(name), settings.tables.types[name], case.rows.get(name, ()))
        project = _moved(settings.project, Path(directory))
        _write_lists(settings.project, backend, project.root, case.lists)
        with _opened(settings, project, backend, settings.tables.catalog(project), case.as_of, case.facts) as run:
            yield World(run, {key: (0, key) for key in case.keys}, lambda other: _moved(other, Path(directory)))


@contextmanager
def together(settings: Settings, cases: Sequence[Case]) -> Iterator[World]:
    """Cases of the same as-of, none with lists, side by side; a case's number is its place."""
    with TemporaryDirectory(prefix="maysend-") as directory, DuckDB(threads=1) as backend:
        project, types = settings.project, settings.tables.types
        keys = _numbered(project, settings.tables, cases)
        rows: dict[str, list[Row]] = {name: [] for name, _ in sources(project)}
        columns = {name: declared for name, declared in _profile_columns(project).items() if name != PROFILES}
        for number, case in enumerate(cases):
            for row, key in zip(case.rows[PROFILES], case.keys, strict=True):
                rows[PROFILES].append({**row, _KEY: keys[number, key], _CASE: f"{number} "})
            for name, declared in columns.items():
                for row in case.rows.get(name, ()):
                    rows[name].append({**row, _KEY: keys[number, str(row[declared])]})
        keyed = {name: {**types[name], _KEY: ColumnType("integer")} for name in rows}
        _land(backend, "raw", keyed[PROFILES] | {_CASE: ColumnType("text")}, rows[PROFILES])
        for name in columns:
            _land(backend, _relation(name), keyed[name], rows[name])
        backend.view(PROFILES, _isolated(settings))
        _write_lists(project, backend, Path(directory), {})
        catalog = Catalog(
            keyed[PROFILES] | {_address(name): ColumnType("text") for name in project.channels},
            {name: keyed[f"event {name}"] for name in project.events},
            keyed[SENDS] if project.sends else None,
        )
        facts = [_renamed(fact, number, keys) for number, case in enumerate(cases) for fact in case.facts]
        plain = {name: replace(type_, address=()) for name, type_ in settings.plugins.channel_types.items()}
        registered = {**settings.plugins.registered, "register_channel_types": plain}
        isolated = replace(settings, plugins=replace(settings.plugins, registered=registered))
        shared = _side_by_side(project, Path(directory))
        with _opened(isolated, shared, backend, catalog, cases[0].as_of, facts) as run:
            people = {str(profile): place for place, profile in keys.items()}
            yield World(run, people, lambda other: _side_by_side(other, Path(directory)))


@contextmanager
def _opened(
    settings: Settings, project: Project, backend: DuckDB, catalog: Catalog, as_of: datetime, facts: Sequence[Fact]
) -> Iterator[Run]:
    clock = Clock(as_of, ZoneInfo(project.timezone))
    with open_ledger(_LEDGER, project.root, create=True) as ledger:
        ledger.append(sorted(facts, key=lambda fact: fact.occurred_at or as_of))
        backend.land(ANSWERS, COLUMNS, ledger.answers())
        yield Run(project, settings.plugins, backend, catalog, clock, ledger, ledger.last_seq(), lambda _: None)


def _moved(project: Project, root: Path) -> Project:
    """The declarations with ledger and lists under ``root``, wherever they were."""
    places = {source: f"{number}/{Path(source).name}" for number, source in enumerate(_list_columns(project))}

    def moved(condition: Condition) -> Condition:
        match condition:
            case All(items=items) | AnyOf(items=items):
                return replace(condition, items=tuple(map(moved, items)))
            case Not(item=item):
                return replace(condition, item=moved(item))
            case InList(source=source):
                return replace(condition, source=places[source])
        return condition

    segments = {name: replace(segment, where=moved(segment.where)) for name, segment in project.segments.items()}
    return replace(project, root=root, ledger=_LEDGER, segments=segments if places else project.segments)


def _list_columns(project: Project) -> dict[str, list[str]]:
    """The columns that conditions name of each list's file."""
    found: dict[str, list[str]] = {}
    for leaf in lists(project):
        found.setdefault(leaf.source, []).append(leaf.column)
    return found


def _write_lists(project: Project, backend: DuckDB, root: Path, given: Mapping[str, Sequence[Row]]) -> None:
    """The files of lists where ``_moved`` has them."""
    for number, (source, named_) in enumerate(_list_columns(project).items()):
        rows = given.get(source, ())
        names = list(dict.fromkeys([*named_, *(name for row in rows for name in row)]))
        backend.land("list", dict.fromkeys(names, "VARCHAR"), ([row.get(name) for name in names] for row in rows))
        file = root / str(number) / Path(source).name
        file.parent.mkdir()
        backend.write(exp.select(*map(column, names)).from_(table("list")), file)


def _side_by_side(project: Project, root: Path) -> Project:
    """The declarations over tables in which every profile has a key, and addresses, of its own."""
    return replace(
        _moved(project, root),
        profiles=replace(project.profiles, key=_KEY, drawn_by=project.profiles.key),
        events={name: replace(event, profile=_KEY) for name, event in project.events.items()},
        sends=replace(project.sends, profile=_KEY) if project.sends else None,
        channels={name: replace(channel, address=_address(name)) for name, channel in project.channels.items()},
    )


def _numbered(project: Project, tables: Tables, cases: Sequence[Case]) -> dict[tuple[int, str], int]:
    """A number for every profile of every case, in the order of the keys within a case."""
    integers = tables.types[PROFILES][project.profiles.key].kind == "integer"
    keys: dict[tuple[int, str], int] = {}
    for number, case in enumerate(cases):
        for key in sorted(case.keys, key=int if integers else str.encode):
            keys[number, key] = len(keys)
    return keys


def _isolated(settings: Settings) -> exp.Select:
    """The profiles with their normalized addresses, each behind the number of its case."""
    types, project = settings.tables.types[PROFILES], settings.project
    wanted = {
        _address(name): (
            cast(value(types, channel.address, "p"), "text"),
            settings.plugins.channel_types[channel.type].address,
        )
        for name, channel in project.channels.items()
    }
    people = normalized(table("raw", "p"), wanted)
    addresses = [named(exp.DPipe(this=column(_CASE, "p"), expression=column(name, "p")), name) for name in wanted]
    kept = [column(name, "p") for name in (*types, _KEY)]
    return exp.select(*kept, *addresses).from_(people.subquery("p"))


def _renamed(fact: Fact, number: int, keys: Mapping[tuple[int, str], int]) -> Fact:
    address = f"{number} {fact.address}" if fact.address else None
    return replace(fact, address=address, profile=str(keys[number, fact.profile]) if fact.profile else None)


def _address(channel: str) -> str:
    return f"address on {channel}"


def _profile_columns(project: Project) -> dict[str, str]:
    """The column of each table that names a profile."""
    columns = {PROFILES: project.profiles.key}
    columns |= {f"event {name}": event.profile for name, event in project.events.items()}
    return columns | ({SENDS: project.sends.profile} if project.sends else {})


def _relation(name: str) -> str:
    """What a plan calls a table."""
    return {PROFILES: PROFILES, SENDS: "events "}.get(name, f"events {name.removeprefix('event ')}")


def _land(backend: DuckDB, name: str, types: Mapping[str, ColumnType], rows: Sequence[Row]) -> None:
    backend.land(name, sql_types(types), ([row.get(column) for column in types] for row in rows))
