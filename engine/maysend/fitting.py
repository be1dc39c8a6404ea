"""Whether declarations fit the data and the ledger: the sources opened, and the third pass of validation over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from sqlglot import exp

from .backends.backend import Backend, connect
from .columns import ADDED, KEYS, Catalog, Table
from .declarations import meaning
from .errors import LedgerError, Problem, SourceError, did_you_mean
from .events import LONGEST_SUBJECT
from .ledger.glance import KnownGroup, known_groups
from .model import Project, Source
from .moments import Clock
from .plugins import Plugins
from .trees import column, missing, table
from .where import InList, leaves

_LARGEST = (1 << 63) - 1
"""Answers and events name people by text, which is read as such a number where the key is one."""


def open_sources(project: Project, backend: Backend, found: Catalog | None = None) -> tuple[Catalog, list[Problem]]:
    """Every table a project declares, under the names that plans read, and a problem for each that cannot be opened.

    ``found`` has the profiles where they are open already.
    """
    problems: list[Problem] = []

    def open_(name: str, source: Source, *path: str) -> Table | None:
        try:
            return backend.open(name, source)
        except SourceError as error:
            problems.append(project.document.problem((*path, "source"), str(error)))
            return None

    profiles = found.profiles if found else open_("profiles", project.profiles.source, "profiles")
    events = {name: open_(f"events {name}", event.source, "events", name) for name, event in project.events.items()}
    sends = open_("events ", project.sends.source, "sends") if project.sends else None
    opened = {name: kinds for name, kinds in events.items() if kinds is not None}
    return Catalog(profiles, opened, sends, found.roster if found else None), problems


def key_problems(project: Project, backend: Backend, catalog: Catalog) -> list[Problem]:
    """A key identifies one profile: it is never missing, never stands in two rows, and answers can name it; and no
    column has the name of one that a plan adds."""
    for name in catalog.profiles or ():
        if name.lower() in ADDED:
            message = f'{project.profiles.source.location}: column "{name}" has a name that maysend uses; rename it'
            return [project.document.problem(("profiles", "source"), message)]
    if project.profiles.key not in (catalog.profiles or {}):
        return []
    key = column(project.profiles.key)
    many = exp.Count(this=exp.Star())
    repeated = exp.or_(exp.GT(this=many, expression=exp.Literal.number(1)), missing(key))
    query = (
        exp.select(key, many.copy())
        .from_(table("profiles"))
        .group_by(key.copy())
        .having(repeated)
        .order_by(key.copy())
        .limit(4)
    )
    whole = (catalog.profiles or {})[project.profiles.key].kind == "integer"
    length = exp.Length(this=key.copy())
    most = exp.Literal.number(_LARGEST if whole else LONGEST_SUBJECT)
    larger = exp.select(key.copy()).from_(table("profiles")).limit(1)
    larger = larger.where(exp.GT(this=key.copy() if whole else length, expression=most))
    try:
        rows = [] if backend.in_order("profiles", project.profiles.key) else backend.rows(query)
        too_large = backend.rows(larger)
    except SourceError as error:
        return [project.document.problem(("profiles", "source"), str(error))]
    told = [
        f"has {value}, and whole numbers go up to {_LARGEST}; make it text"
        if whole
        else f'has "{value:.20}…", and the longest that an answer can name has {LONGEST_SUBJECT} characters'
        for (value,) in too_large
    ]
    for value, count in rows:
        if value is None:
            told.append(f"is missing in {count} row{'' if count == 1 else 's'}")
        else:
            told.append(f'is "{value}" in {count} rows; it must be unique')
    where = f'{project.profiles.source.location}: key "{project.profiles.key}"'
    return [project.document.problem(("profiles", "key"), f"{where} {one}") for one in told]


def list_source(project: Project, leaf: InList) -> Source:
    return Source(leaf.source, str(project.root / leaf.source))


def unfit_list(leaf: InList, columns: Table) -> str | None:
    """Why a file cannot be the one of an ``in_list`` leaf; None where it can."""
    if leaf.column not in columns:
        return f'{leaf.source}: has no column "{leaf.column}"{did_you_mean(leaf.column, columns, few="it has")}'
    if (type_ := columns[leaf.column]).kind not in KEYS:
        return f'{leaf.source}: column "{leaf.column}" is of type {type_}, and must be an integer or text'
    return None


def list_problems(project: Project, backend: Backend) -> list[Problem]:
    """The files of ``in_list`` leaves that cannot be read, or have no such column."""
    found = []
    for segment in project.segments.values():
        for leaf in leaves(segment.where):
            if not isinstance(leaf, InList):
                continue
            try:
                why = unfit_list(leaf, backend.open("list file", list_source(project, leaf), watched=False))
                at = "column"
            except SourceError as error:
                why, at = str(error), "source"
            if why:
                found.append(segment.document.problem((*leaf.at, "in_list", at), why))
    return found


def memory_problems(
    project: Project,
    plugins: Plugins,
    known: Mapping[str, KnownGroup],
    backend: Backend,
    catalog: Catalog,
    clock: Clock,
    land: Callable[[], None] = lambda: None,
) -> list[Problem]:
    """What the ledger remembers (``known``) and the declarations have forgotten (spec 2); ``land`` lands the answers,
    where that was not done before."""

    def moved(group: str) -> int | None:
        on = project.channels.get(project.groups[group].channel)
        if (
            not on
            or on.type not in plugins.channel_types
            or not {project.profiles.key, on.address} <= set(catalog.profiles or ())
        ):
            return None
        from .defaults import moved as count  # with all that decides, which nothing else here needs

        land()
        return count(project, group, plugins.channel_types, catalog, clock, backend)

    return meaning.memory_problems(project, known, moved)


def check(project: Project, as_of: datetime, plugins: Plugins) -> list[Problem]:
    """The third pass of validation, with data and ledger. Answers are read only where people are to be counted."""
    clock = Clock(as_of, ZoneInfo(project.timezone))
    with connect(project) as backend:
        catalog, problems = open_sources(project, backend)
        problems += key_problems(project, backend, catalog)
        problems += meaning.problems(project, catalog, clock)
        problems += list_problems(project, backend)

        @cache
        def land() -> None:
            from . import snapshot
            from .ledger import open_ledger
            from .targeting.standings import ANSWERS

            with open_ledger(project.ledger, project.root) as ledger:
                backend.land(ANSWERS, snapshot.COLUMNS, ledger.answers())

        try:
            known = known_groups(project.ledger, project.root)
            return problems + memory_problems(project, plugins, known, backend, catalog, clock, land)
        except LedgerError as error:
            return [*problems, project.document.problem(("ledger",), str(error))]
