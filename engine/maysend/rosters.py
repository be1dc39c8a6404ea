"""The roster: the profiles with what every run would work out of them anew, kept in a file of DuckDB's beside the
snapshot.

That is each channel's normalized addresses and which of them are shared, what all recorded answers add up to, the hash
that draws use, a number for every value of a text that has few, and a bit for every value of such a list. A run reads
it in place of the profiles, as long as they are the same files, and adds the answers that came since.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any

from sqlglot import exp

from . import snapshot
from .backends.backend import Backend
from .backends.duckdb import DuckDB
from .columns import Catalog, Kind, Roster, Table
from .errors import OutputError, SourceError
from .hookspecs import ChannelType, Step
from .ledger import Ledger, Mark
from .model import Project
from .moments import Clock
from .output import publish
from .targeting.coding import numbered
from .targeting.contents import items_of
from .targeting.features import (
    HASH,
    Features,
    View,
    address_column,
    as_key,
    items_column,
    numbers_column,
    shared_column,
    value,
)
from .targeting.standings import Level, Standing
from .trees import column, missing, named, select, small, table

E = exp.Expr
RELATION = "roster"
_FORMAT = 6
_MOST_ITEMS, _MOST_TEXTS, _LOOKED_AT = 240, 2_000, 50_000
_LONGEST = 100_000
"""How many letters all the values of a numbered text may have together: the manifest has them."""


@dataclass(frozen=True, slots=True)
class Written:
    """A roster's ``file``, how many profiles it has, and the newest event of the ledger that it knows of."""

    file: Path
    profiles: int
    seq: int


def write(
    project: Project,
    channel_types: Mapping[str, ChannelType],
    backend: DuckDB,
    reader: Backend,
    catalog: Catalog,
    clock: Clock,
    mark: Mark,
    told: Callable[[str], None],
) -> Written:
    """Write the roster of the profiles that ``backend`` has opened, for ``reader``, in place of the one before; the
    answers as of ``mark`` have been landed.

    Raises SourceError where a column would not be the same when read again, OutputError where the directory cannot be
    written.
    """
    profiles = catalog.profiles or {}
    view = View(project, channel_types, Features(replace(catalog, roster=None), clock, project.profiles.key))
    standings = [_standing(view, channel.name) for channel in project.channels.values() if channel.address in profiles]
    told("looking for few values")
    items = dict(_items(backend, profiles))
    texts = dict(_texts(backend, profiles))
    backend.view("people", view.features.people(project))
    told("finding shared addresses")
    for address in view.features.addresses:
        backend.create(f"shared {address}", _shared(address))
    told("folding answers")
    for standing in standings:
        for level, subject in _subjects(profiles, project):
            backend.create(standing.side(level), standing.subjects(level, subject))
    directory = snapshot.place(project)
    file = directory / f"roster-{mark.seq}-{token_hex(4)}{reader.kept_as}"
    for name, values in texts.items():
        backend.create(_numbers(name), numbered(values, "number"))
    told("writing the roster")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        query = _query(view, profiles, standings, items, texts)
        _check_names(query, project)
        written = reader.keep(query, file)
        _check(reader, file, profiles, project)
        backend.check_sources()
        manifest = {
            **_of(project, channel_types, backend.stamp("profiles")),
            "columns": list(profiles),
            "mark": mark._asdict(),
            "file": file.name,
            "stamp": _stamp(file),
            "groups": {standing.channel: [standing.address, standing.kept] for standing in standings},
            "items": items,
            "texts": texts,
        }
        publish(directory, "roster", manifest)
    except BaseException as error:
        file.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"{directory}: cannot be written: {error.strerror}") from None
        raise
    return Written(file, written, mark.seq)


def use(project: Project, channel_types: Mapping[str, ChannelType], backend: Backend, ledger: Ledger) -> Catalog | None:
    """The profiles by their roster, where there is one of these very files and this ledger: then it is relation
    ``profiles``, and they need not be opened."""
    directory = snapshot.place(project)
    try:
        told = json.loads((directory / "roster.json").read_bytes())
        file, mark = directory / told["file"], Mark(**told["mark"])
        own = _of(project, channel_types, backend.watch("profiles", project.profiles.source))
        same = all(told[name] == own[name] for name in ("format", "maysend", "profiles", "key", "drawn by"))
        if not same or file.suffix != backend.kept_as or told["stamp"] != _stamp(file) or not ledger.has(mark):
            return None
        addresses = {name for name, steps in own["addresses"].items() if told["addresses"].get(name) == steps}
        folded = {(channel, address): kept for channel, (address, kept) in told["groups"].items()}
        groups = {
            place: folded[place]
            for channel in project.channels.values()
            if (place := (channel.name, address_column(channel))) in folded and place[1] in addresses
        }
        kinds = backend.open_kept(RELATION, file)
        profiles = {name: kinds[name] for name in told["columns"]}
        out_of_date = {each for one in told["addresses"].keys() - addresses for each in (one, shared_column(one))}
    except (OSError, ValueError, TypeError, KeyError, SourceError):
        return None
    usable = [column(name) for name in kinds if name not in out_of_date and not kinds[name].path]
    backend.view("profiles", select(*usable).from_(table(RELATION), copy=False))
    roster = Roster(mark.seq, mark.erased, addresses, groups, told["items"], told["texts"])
    return Catalog(profiles, {}, roster=roster)


def _of(project: Project, channel_types: Mapping[str, ChannelType], stamp: Sequence[object]) -> dict[str, Any]:
    """What a roster is of. One of anything else is not used, nor are addresses that came about otherwise."""
    return {
        "format": _FORMAT,
        "maysend": version("maysend"),
        "profiles": [
            project.profiles.source.location,
            dict(project.profiles.source.columns),
            [list(one) if isinstance(one, tuple) else one for one in stamp],
        ],
        "key": project.profiles.key,
        "drawn by": project.profiles.drawn_by or project.profiles.key,
        "addresses": {
            address_column(channel): _told(channel_types[channel.type].address) for channel in project.channels.values()
        },
    }


def _told(steps: Sequence[Step]) -> list[str]:
    return [repr(step) for step in steps]


def _stamp(file: Path) -> list[int]:
    stat = file.stat()
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns]


def _standing(view: View, channel: str) -> Standing:
    """A channel's answers with a bit for all that can be asked of them."""
    found = view.standing(channel)
    found.kept = [group.name for group in view.project.groups_of(channel)]
    found.ask_for_all()
    return found


def _subjects(profiles: Table, project: Project) -> list[tuple[Level, E]]:
    """The levels that answer, and the subject of each as a profile's key and address are."""
    key_kind: Kind = "integer" if profiles[project.profiles.key].kind == "integer" else "text"
    subject = column("subject", "s")
    return [("profile", as_key(subject, "text", key_kind)), ("address", subject.copy())]


def _items(backend: DuckDB, profiles: Table) -> Iterator[tuple[str, list[str]]]:
    """The lists of few texts, and their values."""
    for name, type_ in profiles.items():
        if type_.kind == "list" and type_.item == "text" and not type_.path:
            items = exp.Explode(this=column(name, "p"))
            if (found := _few_values(backend, items, _MOST_ITEMS)) is not None:
                yield name, found


def _texts(backend: DuckDB, profiles: Table) -> Iterator[tuple[str, list[str]]]:
    """The texts of few values, and those."""
    for name, type_ in profiles.items():
        if type_.kind == "text" and not type_.path:
            found = _few_values(backend, value(profiles, name, "p"), _MOST_TEXTS)
            if found and sum(map(len, found)) <= _LONGEST:
                yield name, found


def _few_values(backend: DuckDB, of_profile: E, most: int) -> list[str] | None:
    """What there is of a value, in order; None where there is too much."""
    values = select(named(of_profile, "value")).from_(table("profiles", "p"))
    found: list[tuple[str]] = []
    for source in (values.copy().limit(_LOOKED_AT), values):
        distinct = select(column("value")).distinct().from_(source.subquery("v"))
        found = backend.rows(distinct.where(exp.not_(missing(column("value")))).limit(most + 1))
        if len(found) > most:
            return None
    return sorted(value for (value,) in found)


def _numbers(text: str) -> str:
    """The table of a text's values and their numbers."""
    return f"numbers of {text}"


def _shared(address: str) -> exp.Select:
    """The hashes of the addresses that several profiles have."""
    hashed = exp.func("HASH", column(address, "p"))
    many = exp.GT(this=exp.Count(this=exp.Star()), expression=small(1))
    query = select(named(hashed, "hash")).from_(table("people", "p"))
    return query.where(exp.not_(missing(column(address, "p")))).group_by(hashed.copy()).having(many)


def _query(
    view: View,
    profiles: Table,
    standings: Sequence[Standing],
    items: Mapping[str, Sequence[str]],
    texts: Iterable[str],
) -> exp.Select:
    """The roster, in the profiles' own order."""
    found: list[E] = []
    for name, type_ in profiles.items():
        if not type_.path:
            found.append(named(value(profiles, name, "p"), name) if type_.kind == "float" else column(name, "p"))
    found.append(column(HASH, "p"))
    query = select().from_(table("people", "p"))
    for address in view.features.addresses:
        beside = f"shared {address}"
        same = exp.EQ(this=exp.func("HASH", column(address, "p")), expression=column("hash", beside))
        query.join(table(beside, beside), on=same, join_type="left", copy=False)
        unknown = exp.If(this=missing(column(address, "p")), true=exp.null())
        shared = exp.Case(ifs=[unknown], default=exp.not_(missing(column("hash", beside))))
        found += [column(address, "p"), named(shared, shared_column(address))]
    key = view.project.profiles.key
    subject = as_key(column(key, "p"), profiles[key].kind, view.features.key_kind)
    for standing in standings:
        mine: dict[Level, E] = {"profile": subject, "address": column(standing.address, "p")}
        for level, answering in mine.items():
            side = standing.side(level)
            same = exp.EQ(this=column("subject", side), expression=answering.copy())
            query.join(table(side, side), on=same, join_type="left", copy=False)
        found += standing.folded()
    for name in texts:
        beside = _numbers(name)
        same = exp.EQ(this=value(profiles, name, "p"), expression=column("value", beside))
        query.join(table(beside, beside), on=same, join_type="left", copy=False)
        found.append(named(exp.Coalesce(this=column("number", beside), expressions=[small(0)]), numbers_column(name)))
    for name, values in items.items():
        pieces = enumerate(items_of(column(name, "p"), values))
        found += [named(bits, items_column(name, piece)) for piece, bits in pieces]
    return query.select(*found)


def _check_names(query: exp.Select, project: Project) -> None:
    """Raises SourceError where a column of the profiles has the name of one that is added, so that one is lost."""
    names = Counter(one.alias_or_name.lower() for one in query.selects)
    if twice := [name for name, times in names.items() if times > 1]:
        told = f'{project.profiles.source.location}: column "{twice[0]}" has a name that a roster needs'
        raise SourceError(f"{told}; rename it, or run without a roster")


def _check(backend: Backend, file: Path, profiles: Table, project: Project) -> None:
    """Raises SourceError where a column is of another kind than in the profiles, such as a number that Parquet has no
    room for."""
    found = backend.open_kept(RELATION, file)
    for name, type_ in profiles.items():
        if found.get(name) != type_:
            raise SourceError(
                f'{project.profiles.source.location}: column "{name}" ({type_}) would be {found.get(name)} in a roster;'
                " declare its type under columns, or leave it out of the source"
            )
