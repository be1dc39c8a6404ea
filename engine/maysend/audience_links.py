"""The links of a whole audience, as columns that an e-mail service can merge into its messages; on all cores."""

from __future__ import annotations

import csv
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from sqlglot import exp

from . import links
from .backends.duckdb import DuckDB
from .links import Places
from .model import Campaign, Project, Source
from .output import replaced
from .trees import cast, named

ROWS = 50_000
"""How many people's links one process writes at a time."""

_ADDRESS, _SEALED = "address", "token"
_TOKEN = "{token}"  # noqa: S105 - the place of a token in a text


@dataclass(frozen=True, slots=True)
class _Job:
    """What every process needs to write links: the audience's file, and what seals them."""

    audience: Path
    key: str
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
    job = _Job(audience, project.profiles.key, campaign, keys, test)
    with DuckDB() as backend, replaced(out) as written, tempfile.TemporaryDirectory(prefix="maysend-") as directory:
        kinds = backend.open("audience", Source(str(audience), str(audience)))
        ((rows,),) = backend.rows(exp.select(exp.Count(this=exp.Star())).from_("audience"))
        for done, _ in enumerate(_seal_parts(job, range(0, max(rows, 1), ROWS), Path(directory)), 1):
            progress(min(done * ROWS, rows), rows)
        integer = kinds[job.key].kind == "integer"
        sealed = Source(directory, f"{directory}/*.csv", {job.key: "integer"} if integer else {})
        backend.open("sealed", sealed)
        columns = (named(_filled(text), name) for name, text in templates.items())
        backend.write(exp.select(_column(job.key), _column(_ADDRESS), *columns).from_("sealed"), written)
    return int(rows)


def _urls(places: Places) -> dict[str, str]:
    """The columns that every channel has, as texts with a place for the token."""
    return {"unsubscribe_url": places.group_page(_TOKEN), "preferences_url": places.preference_template}


def _seal_parts(job: _Job, starts: range, directory: Path) -> Iterator[int]:
    """Seal each part of the audience into a file of its own, named so that they sort; yield each as it is done."""
    if len(starts) == 1:
        yield _seal_part(job, 0, directory / "0.csv")
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        parts = [pool.submit(_seal_part, job, start, directory / f"{start:015}.csv") for start in starts]
        for part in as_completed(parts):
            yield part.result()


def _seal_part(job: _Job, start: int, file: Path) -> int:
    """Seal the tokens of ``ROWS`` rows of the audience from ``start`` on, and return ``start``."""
    seal = links.sealer(job.campaign, job.keys, test=job.test).seal
    with DuckDB(threads=1) as backend, file.open("w", encoding="utf-8", newline="") as written:
        backend.open("audience", Source(str(job.audience), str(job.audience)))
        rows = exp.select(cast(_column(job.key), "text"), _column(_ADDRESS)).from_("audience")
        writer = csv.writer(written, quoting=csv.QUOTE_ALL)
        writer.writerow((job.key, _ADDRESS, _SEALED))
        found = backend.rows(rows.limit(ROWS).offset(start))
        writer.writerows((profile, address, seal(profile, address)) for profile, address in found)
    return start


def _column(name: str) -> exp.Column:
    return exp.column(name, quoted=True)


def _filled(template: str) -> exp.Expression:
    """A text with the row's token in its place."""
    before, place, after = template.partition(_TOKEN)
    if not place:
        return exp.Literal.string(template)
    return exp.Concat(expressions=[exp.Literal.string(before), _column(_SEALED), exp.Literal.string(after)])
