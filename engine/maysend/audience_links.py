"""The links of a whole audience, as columns that an e-mail service can merge into its messages; on all cores."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlglot import exp

from . import links
from .backends.csv_files import is_csv
from .backends.duckdb import DuckDB
from .links import Places
from .model import Campaign, Project, Source
from .output import replaced
from .trees import cast, column, named, select

ROWS = 122_880
"""How many people's links are sealed at a time: a row group of the audience's file, so that none is read twice."""

_PARTS = 2
"""A process is started for no fewer parts: its start takes about as long as one."""

_PROFILE, _ADDRESS, _SEALED = "profile", "address", "token"
_TOKEN = "{token}"  # noqa: S105 - the place of a token in a text
_QUOTE, _TWO = '"', '""'
_PARQUET: Mapping[str, str | int] = {
    "compression": "zstd",
    "compression_level": 1,
    "string_dictionary_page_size_limit": 1024,
}
"""Tokens have no pattern and none is there twice: to look longer for one, or for a dictionary, finds nothing."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What every process needs to write links: the audience's file, and what seals them."""

    audience: Path
    key: str
    rows: int
    campaign: Campaign
    keys: Sequence[bytes]
    test: bool


def write_links(
    project: Project,
    campaign: Campaign,
    keys: Sequence[bytes],
    audience: Path,
    out: Path,
    *,
    headers: bool = True,
    test: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> int:
    """Write the audience's rows with columns for their links to ``out``, and return how many there are.

    ``audience`` is what ``evaluate --out`` wrote: the key column and the normalized ``address``. ``out`` is Parquet, or
    CSV by its ending. ``headers`` says whether the messages are e-mails, with headers. ``progress`` is told how many
    rows are done, and of how many. Raises SourceError and OutputError.
    """
    templates = _urls(links.places(project.settings))
    if headers:
        templates |= {
            "list_unsubscribe": f"<{templates['unsubscribe_url']}>",
            "list_unsubscribe_post": links.ONE_CLICK,
            "list_id": links.list_id(project, campaign),
        }
    key = project.profiles.key
    with DuckDB() as backend, replaced(out) as written, tempfile.TemporaryDirectory(prefix="maysend-") as directory:
        kinds = backend.open("audience", _file(audience))
        if is_csv(str(audience)):
            audience = Path(directory) / "audience.parquet"
            backend.write(select(column(key), column(_ADDRESS)).from_("audience"), audience)
        ((rows,),) = backend.rows(select(exp.Count(this=exp.Star())).from_("audience"))
        job = _Job(audience, key, ROWS, campaign, keys, test)
        for done, _ in enumerate(_seal_parts(job, range(0, max(rows, 1), ROWS), Path(directory)), 1):
            progress(min(done * ROWS, rows), rows)
        declared = {_PROFILE: "integer"} if kinds[key].kind == "integer" else {}
        backend.open("sealed", Source(directory, f"{directory}/*.csv", declared))
        filled = (named(_filled(text), name) for name, text in templates.items())
        query = select(named(column(_PROFILE), key), column(_ADDRESS), *filled).from_("sealed")
        backend.write(query, written, parquet=_PARQUET)
    return int(rows)


def _urls(places: Places) -> dict[str, str]:
    """The columns that every channel has, as texts with a place for the token."""
    return {"unsubscribe_url": places.group_page(_TOKEN), "preferences_url": places.preference_template}


def _seal_parts(job: _Job, starts: range, directory: Path) -> Iterator[None]:
    """Seal each part of the audience into a file of its own, named so that they sort; yield after each."""
    seal = partial(_seal_part, job)
    files = [directory / f"{start:015}.csv" for start in starts]
    processes = min(os.cpu_count() or 1, len(starts) // _PARTS)
    if processes < 2:
        yield from map(seal, starts, files)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(seal, starts, files)


def _seal_part(job: _Job, start: int, file: Path) -> None:
    """Write the part of the audience from ``start`` on, with its tokens, as CSV.

    Each column comes as one text, and lines are put together here: rows, and ``csv``, cost nearly as much as the seals.
    """
    seal = links.sealer(job.campaign, job.keys, test=job.test).seal
    with DuckDB(threads=1) as backend:  # threads would mix the rows of a list
        backend.open("audience", _file(job.audience))
        people = select(named(cast(column(job.key), "text"), _PROFILE), column(_ADDRESS)).from_("audience")
        part = people.limit(job.rows).offset(start).subquery("part")
        ((profiles, addresses),) = backend.rows(select(_together(_PROFILE), _together(_ADDRESS)).from_(part))
    with file.open("w", encoding="utf-8", newline="") as written:
        written.write(f"{_PROFILE},{_ADDRESS},{_SEALED}\n")
        written.writelines(
            f'"{profile.replace(_QUOTE, _TWO)}","{address.replace(_QUOTE, _TWO)}",{seal(profile, address)}\n'
            for profile, address in zip(json.loads(profiles), json.loads(addresses), strict=True)
        )


def _file(path: Path) -> Source:
    return Source(str(path), str(path))


def _together(name: str) -> exp.Expr:
    """All of a column's texts, in their order, as JSON."""
    texts = exp.Anonymous(this="LIST", expressions=[exp.func("COALESCE", column(name), exp.Literal.string(""))])
    return exp.Anonymous(this="TO_JSON", expressions=[exp.func("COALESCE", texts, exp.Array())])


def _filled(template: str) -> exp.Expr:
    """A text with the row's token in its place."""
    before, place, after = template.partition(_TOKEN)
    if not place:
        return exp.Literal.string(template)
    return exp.Concat(expressions=[exp.Literal.string(before), column(_SEALED), exp.Literal.string(after)])
