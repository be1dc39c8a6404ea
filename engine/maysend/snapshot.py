"""The answers in force for a batch run: a Parquet snapshot, the tail of what changed since, and both together.

The live tables are never read whole but for the first snapshot, and then in short parts that no writer waits for.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlglot import exp

from .addresses import normalized
from .backends.backend import Backend
from .backends.duckdb import DuckDB
from .columns import Table
from .errors import OutputError, SourceError
from .hookspecs import ChannelType
from .ledger import Ledger, Mark, Subject
from .model import SNAPSHOTS, Project, Source
from .output import publish, published
from .targeting.features import value
from .trees import cast, column, missing, named, table

COLUMNS: Mapping[str, str] = {
    "channel": "VARCHAR",
    "level": "VARCHAR",
    "subject": "VARCHAR",
    "group": "VARCHAR",
    "answer": "TINYINT",
    "suppressed": "BOOLEAN",
    "seq": "BIGINT",
}
"""The columns of answers, as ``AnswerRow`` names them, and their types."""

TAIL = 20_000
"""The changed rows from which on a run writes a new snapshot."""

_KEY = ("channel", "level", "subject", "group")
_FORMAT = 1
_SNAPSHOT, _LIVE, _TAIL, _ERASED = "answers snapshot", "answers live", "answers tail", "answers erased"


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What a snapshot is of, and the SHA-256 of its file."""

    format: int
    mark: Mark
    file: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Landed:
    """The relation that the tail goes over, and how far both together are."""

    base: str
    mark: Mark


def land(ledger: Ledger, backend: Backend, directory: Path, name: str, people: Sequence[exp.Query] = ()) -> Mark:
    """Make the answers in force readable as ``name`` in the backend; return how far the ledger is with them.

    The snapshot in ``directory`` is used where it is whole and of this ledger, and made anew where it is not. Where it
    cannot be written, the run goes on without it. ``people`` are queries for everybody whom the run asks about, in the
    columns of ``Subject``: whoever of them was erased has the no that is left.
    """
    local = backend.local
    landed = _land(ledger, local, directory)
    both, tail = _merged(landed.base), local.count(_TAIL)
    if landed.base == _LIVE or tail >= max(TAIL, local.count(landed.base) // 20):
        _write(local, both, directory, landed.mark)
        if not ledger.has(landed.mark):  # somebody was erased meanwhile
            forget(directory)
            return land(ledger, backend, directory, name, people)
    local.define(name, _with_erased(ledger, backend, both, people))
    backend.take(name)
    return landed.mark


def land_past(ledger: Ledger, backend: Backend, name: str, until: int, people: Sequence[exp.Query] = ()) -> int:
    """Make the answers in force after event ``until`` readable as ``name``; see ``land``."""
    backend.local.land(_LIVE, COLUMNS, ledger.answers_until(until))
    backend.local.define(name, _with_erased(ledger, backend, _all(_LIVE), people))
    backend.take(name)
    return until


def place(project: Project) -> Path:
    """The directory of a project's snapshots."""
    return project.root / (project.engine.snapshots if project.engine else SNAPSHOTS)


def forget_all(project: Project) -> None:
    """Remove what is in the directory of a project's snapshots, and in the one that it had before ``engine`` named
    another. Raises OutputError."""
    for directory in {place(project), project.root / SNAPSHOTS}:
        forget(directory)


def people(project: Project, channel_types: Mapping[str, ChannelType], profiles: Table) -> list[exp.Query]:
    """Queries for every profile of the opened source ``profiles``, and every address, on each channel."""
    queries: list[exp.Query] = []
    for channel in project.channels.values():
        if not {project.profiles.key, channel.address} <= profiles.keys():
            continue
        key, address = (cast(value(profiles, name, "p"), "text") for name in (project.profiles.key, channel.address))
        wanted = {"found profile": (key, ()), "found address": (address, channel_types[channel.type].address)}
        found = normalized(table("profiles", "p"), wanted).subquery("p")
        for level in ("profile", "address"):
            subject = column(f"found {level}", "p")
            chosen = [exp.Literal.string(channel.name), exp.Literal.string(level), subject]
            parts = [named(one, name) for one, name in zip(chosen, Subject._fields, strict=True)]
            present = exp.not_(missing(subject.copy()))
            queries.append(exp.select(*parts).distinct().from_(found.copy()).where(present))
    return queries


def forget(directory: Path) -> None:
    """Remove every snapshot, and the roster: somebody was erased."""
    try:
        for name in ("answers", "roster"):
            for file in (directory / f"{name}.json", *published(directory, name)):
                file.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{directory}: the snapshot cannot be removed: {error.strerror}") from None


def _with_erased(ledger: Ledger, backend: Backend, answers: exp.Query, people: Sequence[exp.Query]) -> exp.Query:
    """The answers, and the no that is left of whoever of ``people`` was erased."""
    if not people or not ledger.has_erased():
        return answers
    subjects = (Subject(*row) for query in people for row in backend.stream(query))
    backend.local.land(_ERASED, COLUMNS, ledger.erased(subjects))
    return exp.union(answers, _all(_ERASED), distinct=False)


def _land(ledger: Ledger, backend: DuckDB, directory: Path) -> _Landed:
    """Land the tail above the snapshot; or, where there is none, the live tables in short parts, and the tail above."""
    manifest = _read(directory, ledger)
    if manifest and _open(backend, directory / manifest.file):
        base, after = _SNAPSHOT, manifest.mark
    else:
        base, after = _LIVE, ledger.mark()
        backend.land(_LIVE, COLUMNS, ledger.all_answers())
    with ledger.tail(after.seq) as (mark, rows):
        backend.land(_TAIL, COLUMNS, rows)
    if mark.erased != after.erased:
        forget(directory)
        return _land(ledger, backend, directory)
    return _Landed(base, mark)


def _read(directory: Path, ledger: Ledger) -> _Manifest | None:
    """The newest snapshot, None where none can be trusted: missing, broken, another ledger's, before an erasure."""
    try:
        data = json.loads((directory / "answers.json").read_bytes())
        manifest = _Manifest(data["format"], Mark(**data["mark"]), data["file"], data["digest"])
        trusted = manifest.format == _FORMAT and _digest(directory / manifest.file) == manifest.digest
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return manifest if trusted and ledger.has(manifest.mark) else None


def _open(backend: DuckDB, file: Path) -> bool:
    try:
        return set(backend.open(_SNAPSHOT, Source(str(file), str(file)), watched=False)) == set(COLUMNS)
    except SourceError:
        return False


def _merged(base: str) -> exp.Query:
    """The base's rows that the tail does not have, and the tail's."""
    same = exp.and_(*(exp.EQ(this=column(key, "b"), expression=column(key, "t")) for key in _KEY))
    unchanged = exp.select(*(column(name, "b") for name in COLUMNS)).from_(table(base, "b"))
    return exp.union(unchanged.join(table(_TAIL, "t"), on=same, join_type="anti"), _all(_TAIL), distinct=False)


def _all(relation: str) -> exp.Select:
    return exp.select(*(column(name) for name in COLUMNS)).from_(table(relation))


def _write(backend: DuckDB, answers: exp.Query, directory: Path, mark: Mark) -> None:
    """Write the snapshot, then what it is of; whoever reads meanwhile finds one that is whole."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / f"answers-{mark.seq}-{os.getpid()}.parquet"
        # In the order of subjects, so that a few of them are found without reading the rest.
        columns = exp.select(*map(column, COLUMNS)).from_(answers.subquery("a"))
        backend.write(columns.order_by(column("subject"), column("channel"), column("group")), file)
        manifest = _Manifest(_FORMAT, mark, file.name, _digest(file))
        publish(directory, "answers", asdict(manifest) | {"mark": mark._asdict()})
    except (OSError, SourceError, OutputError):
        return


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
