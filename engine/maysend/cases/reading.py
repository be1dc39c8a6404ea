"""The files of ``tests/`` as cases, or every problem in them: of shape, of names that lead nowhere, of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from .. import documents
from ..declarations.shapes import Shapes
from ..documents import Document
from ..errors import Problem, did_you_mean
from ..events import Fact
from ..importing.rows import RowReader
from ..model import Project
from ..moments import Clock
from ..plugins import Plugins
from ..where import Path as KeyPath
from .tables import PROFILES, SENDS, Row, Tables, event_of, lists, sources, stored, tables

FOLDER = "tests"
_NEVER = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What a case expects of a campaign, or of a segment, whose members are ``included``; keys are text.

    ``included`` are exactly those that are in, None where it does not say; ``excluded`` maps key to reason.
    """

    name: str
    included: frozenset[str] | None
    excluded: Mapping[str, str]
    is_segment: bool
    line: int


@dataclass(frozen=True, slots=True)
class Case:
    """Rows by table (as ``tables.sources`` names them), answers, the files of lists, and what is expected."""

    file: str
    line: int
    name: str
    as_of: datetime
    rows: Mapping[str, Sequence[Row]]
    facts: Sequence[Fact]
    lists: Mapping[str, Sequence[Row]]
    expected: Sequence[Expected]
    keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class Read:
    """What the files of ``tests/`` hold: the cases without problems, and every problem, sorted."""

    cases: Sequence[Case]
    problems: Sequence[Problem]
    tables: Tables
    clock: Clock


def read(project: Project, plugins: Plugins, *, offline: bool) -> Read:
    """Read every case of a project. With ``offline``, no source is opened to learn the types of its columns."""
    shapes = Shapes(plugins)
    whole: list[Document] = []
    problems: list[Problem] = []
    for file in _files(project.root):
        document, wrong = documents.read(file, f"{FOLDER}/{file.name}")
        if document:
            wrong += shapes.problems("test", document)
        problems += wrong
        whole += [document] if document and not wrong else []
    clock = Clock(_NEVER, ZoneInfo(project.timezone))
    rows: dict[str, list[Row]] = {}
    for document in whole:
        for case in document.data["cases"]:
            for name, _, given in _tables_of(case):
                rows.setdefault(name, []).extend(given)
    types = tables(project, rows, clock, offline=offline)
    found: list[Case] = []
    for document in whole:
        reader = _Reader(project, plugins, document, types, clock)
        read_cases = [reader.case(index) for index in range(len(document.data["cases"]))]
        problems += reader.problems
        found += [] if reader.problems else [case for case in read_cases if case]
    return Read(found, sorted(set(problems)), types, clock)


def _files(root: Path) -> list[Path]:
    return sorted(file for file in (root / FOLDER).glob("*.yaml") if file.is_file() and not file.name.startswith("."))


def _tables_of(case: Mapping[str, Any]) -> Iterator[tuple[str, KeyPath, Sequence[Row]]]:
    """The tables a case fills: name, place in the case, and rows."""
    yield PROFILES, ("profiles",), case["profiles"]
    for name, rows in case.get("events", {}).items():
        yield f"event {name}", ("events", name), rows
    if "sends" in case:
        yield SENDS, ("sends",), case["sends"]


class _Reader:
    """One file's cases."""

    def __init__(self, project: Project, plugins: Plugins, document: Document, types: Tables, clock: Clock) -> None:
        self.project, self.document, self.tables, self.clock = project, document, types, clock
        self.facts = RowReader(project, plugins.channel_types, _NEVER)
        self.problems: list[Problem] = []

    def case(self, index: int) -> Case | None:
        at: KeyPath = ("cases", index)
        data = self.document.at(at)
        if not (as_of := self._as_of(data, at)):
            return None
        keys = self._keys(data, at)
        rows = {name: self._rows(name, (*at, *place), given) for name, place, given in _tables_of(data)}
        self._check_profiles(data, at, keys)
        facts = [
            fact for number in range(len(data.get("answers", ()))) if (fact := self._fact(at, number, as_of, keys))
        ]
        expected = [*self._campaigns(data, at, keys), *self._segments(data, at, keys)]
        if not data.get("expect") and not data.get("members"):
            self._problem(at, f'"{data["name"]}" expects nothing; say who is in under "expect" or "members"')
        files = {
            source: self._list(source, (*at, "lists", source), given) for source, given in data.get("lists", {}).items()
        }
        line = self.document.line((*at, "name"))
        return Case(self.document.file, line, data["name"], as_of, rows, facts, files, expected, keys)

    def _problem(self, path: KeyPath, message: str, *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, message, key=key))

    def _unknown(self, path: KeyPath, what: str, name: str, known: Any) -> bool:
        if name in known:
            return False
        self._problem(path, f'unknown {what} "{name}"{did_you_mean(name, known)}', key=True)
        return True

    def _as_of(self, data: Mapping[str, Any], at: KeyPath) -> datetime | None:
        path = (*at, "as_of") if "as_of" in data else ("as_of",)
        text = data.get("as_of", self.document.data.get("as_of"))
        if text is None:
            self._problem((*at, "name"), f'"{data["name"]}" needs "as_of", here or at the top of the file')
            return None
        try:
            return self.clock.read(text)
        except ValueError as error:
            self._problem(path, str(error))
            return None

    def _keys(self, data: Mapping[str, Any], at: KeyPath) -> list[str]:
        key, found = self.project.profiles.key, []
        for index, row in enumerate(data["profiles"]):
            value, path = row.get(key), (*at, "profiles", index)
            if isinstance(value, bool) or not isinstance(value, int | str):
                self._problem(path, f'a profile needs its key, "{key}"')
            elif str(value) in found:
                self._problem((*path, key), f'profile "{value}" is there already')
            else:
                found.append(str(value))
        return found

    def _rows(self, table: str, path: KeyPath, given: Sequence[Row]) -> list[Row]:
        """The rows as they land; a column that the table lacks, or a value unlike its type, is a problem."""
        if table not in self.tables.types:
            if table == SENDS:
                self._problem(path, 'project.yaml declares no table of sends, under "sends"', key=True)
            else:
                self._unknown(path, "event", event_of(table), self.project.events)
            return []
        types = self.tables.types[table]
        found: list[Row] = []
        for index, row in enumerate(given):
            landed: dict[str, Any] = {}
            for name, value in row.items():
                place = (*path, index, name)
                if name not in types:
                    location = dict(sources(self.project))[table].location
                    told = did_you_mean(name, types, few="it has")
                    self._problem(place, f'{location} has no column "{name}"{told}', key=True)
                    continue
                try:
                    landed[name] = stored(value, types[name], self.clock)
                except ValueError as error:
                    self._problem(place, f'"{name}" {error}')
            found.append(landed)
        return found

    def _check_profiles(self, data: Mapping[str, Any], at: KeyPath, keys: Sequence[str]) -> None:
        """What somebody did or was sent is of a profile of the case."""
        columns = {f"event {name}": event.profile for name, event in self.project.events.items()}
        if self.project.sends:
            columns[SENDS] = self.project.sends.profile
        for table, place, rows in _tables_of(data):
            if table not in columns:
                continue
            for index, row in enumerate(rows):
                if (whose := row.get(columns[table])) is None:
                    self._problem((*at, *place, index), f'needs "{columns[table]}": the profile whose it is')
                else:
                    self._profile((*at, *place, index, columns[table]), str(whose), keys)

    def _profile(self, path: KeyPath, key: str, keys: Sequence[str], *, of_key: bool = False) -> bool:
        if key in keys:
            return True
        self._problem(path, f'the case has no profile "{key}"{did_you_mean(key, keys)}', key=of_key)
        return False

    def _fact(self, at: KeyPath, number: int, as_of: datetime, keys: Sequence[str]) -> Fact | None:
        path = (*at, "answers", number)
        row = {name: str(value) for name, value in self.document.at(path).items()}
        if "channel" not in row:
            if len(self.project.channels) > 1:
                channels = ", ".join(sorted(self.project.channels))
                self._problem(path, f'there are several channels; add "channel" with one of {channels}')
                return None
            row["channel"] = next(iter(self.project.channels), "")
        if "profile" in row and not self._profile((*path, "profile"), row["profile"], keys):
            return None
        try:
            return self.facts.fact(self.facts.answer({"occurred_at": as_of.isoformat()} | row))
        except ValueError as error:
            self._problem(path, str(error))
            return None

    def _list(self, source: str, path: KeyPath, given: Sequence[Row]) -> list[Row]:
        used = [leaf.source for leaf in lists(self.project)]
        self._unknown(path, "list", source, used)
        return [{name: str(value) for name, value in row.items() if value is not None} for row in given]

    def _campaigns(self, data: Mapping[str, Any], at: KeyPath, keys: Sequence[str]) -> Iterator[Expected]:
        for name, said in data.get("expect", {}).items():
            path = (*at, "expect", name)
            if self._unknown(path, "campaign", name, self.project.campaigns):
                continue
            included = said.get("included")
            self._check_keys((*path, "included"), included or (), keys)
            excluded = dict(said.get("excluded", {}))
            for key in excluded:
                if self._profile((*path, "excluded", key), key, keys, of_key=True) and key in map(str, included or ()):
                    self._problem((*path, "excluded", key), f'"{key}" is among the included, too', key=True)
            who = None if included is None else frozenset(map(str, included))
            yield Expected(name, who, excluded, is_segment=False, line=self.document.problem(path, "", key=True).line)

    def _segments(self, data: Mapping[str, Any], at: KeyPath, keys: Sequence[str]) -> Iterator[Expected]:
        for name, members in data.get("members", {}).items():
            path = (*at, "members", name)
            if self._unknown(path, "segment", name, self.project.segments):
                continue
            self._check_keys(path, members, keys)
            line = self.document.problem(path, "", key=True).line
            yield Expected(name, frozenset(map(str, members)), {}, is_segment=True, line=line)

    def _check_keys(self, path: KeyPath, given: Sequence[Any], keys: Sequence[str]) -> None:
        for index, key in enumerate(given):
            self._profile((*path, index), str(key), keys)
