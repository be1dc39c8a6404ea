"""Files of answers as rows of text, one at a time."""

from __future__ import annotations

import json
import mailbox
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..backends.csv_files import opened
from ..backends.duckdb import DuckDB
from ..errors import SourceError, did_you_mean
from .rows import COLUMNS, MISSHAPEN, Row


def read_csv(file: Path, needed: Sequence[str]) -> Iterator[Row]:
    """The rows of a CSV file (UTF-8, a header that has ``needed``, any delimiter that a source may have).

    Raises SourceError where it is none.
    """
    with opened(str(file)) as (header, rows):
        names = [name.strip() for name in header.names]
        check_columns(file, names, needed)
        for cells in rows:
            if cells:
                yield _row(names, cells)


def answers(file: Path) -> Iterator[Row]:
    """The rows of a CSV or Parquet file in the import format."""
    needed = ("channel", "status")
    if file.suffix != ".parquet":
        yield from read_csv(file, needed)
        return
    with DuckDB() as backend:
        names, rows = backend.read(file)
        check_columns(file, names, needed)
        for row in rows:
            yield {name: None if cell is None else str(cell) for name, cell in zip(names, row, strict=True)}


def records(file: Path) -> Iterator[Mapping[str, Any]]:
    """The records of another service's export: rows of CSV, lines of JSON, or the one list in a JSON document.

    A JSON document is read whole; lines are read one by one.
    """
    if file.suffix not in (".json", ".jsonl", ".ndjson"):
        yield from read_csv(file, ())
        return
    try:
        with file.open(encoding="utf-8-sig") as lines:
            if file.suffix == ".json":
                yield from _listed(json.load(lines))
            else:
                yield from (json.loads(line) for line in lines if line.strip())
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SourceError(f"{file}: is not JSON: {error}") from None


def mails(file: Path) -> Iterator[tuple[str, bytes]]:
    """The mails of a file, of a mailbox (``.mbox``) or of a directory's files, each with what to call it."""
    try:
        if file.suffix == ".mbox":
            file.open("rb").close()
            box = mailbox.mbox(file, create=False)
            for number, key in enumerate(box.iterkeys(), 1):
                yield f"mail {number}", box.get_bytes(key)
            return
        for one in sorted(filter(Path.is_file, file.iterdir())) if file.is_dir() else [file]:
            yield one.name, one.read_bytes()
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}") from None


def _listed(data: Any) -> list[Mapping[str, Any]]:
    """The list of records, wherever a service's envelope puts it."""
    if isinstance(data, list):
        return data
    for envelope in ("Contacts", "data", "events", "results", "d", "records"):
        if isinstance(data, dict) and envelope in data:
            return _listed(data[envelope])
    return [data]


def check_columns(file: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    """Raise SourceError where a column is missing, named twice, or (in the import format) unknown."""
    for name in needed:
        if name not in names:
            raise SourceError(f'{file}: has no column "{name}"{did_you_mean(name, names, few="it has")}')
    for place, name in enumerate(names):
        if name in names[:place]:
            raise SourceError(f'{file}: has two columns named "{name}"')
        if "status" in needed and name not in COLUMNS:
            raise SourceError(f'{file}: has a column "{name}" that answers do not have{did_you_mean(name, COLUMNS)}')


def _row(header: list[str], cells: list[str]) -> Row:
    row: dict[str, str | None] = dict(zip(header, cells, strict=False))
    if len(cells) != len(header):
        row[MISSHAPEN] = f"has {len(cells)} cells where the header has {len(header)}"
    return row
