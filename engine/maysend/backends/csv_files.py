"""CSV sources: every file's header, read before DuckDB does, so that nothing about a file is guessed.

A header decides the delimiter and the columns' order; left to itself, DuckDB samples rows, takes a stray quote for
text, and reads the second file of a glob by the positions of the first.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ..errors import SourceError, did_you_mean

_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Header:
    delimiter: str
    names: tuple[str, ...]


def is_csv(path: str) -> bool:
    return path.endswith((".csv", ".csv.gz", ".tsv"))


def read_header(files: Iterable[str]) -> Header:
    """The header that all files have.

    Raises SourceError where one has none, names a column twice, or has others than the first, or in another order.
    """
    first, *others = sorted(files)
    header = _header(first)
    for file in others:
        if (found := _header(file)) != header:
            raise SourceError(f"{file}: {_difference(header, found)} {first}")
    return header


@contextmanager
def opened(file: str) -> Iterator[tuple[Header, Iterator[list[str]]]]:
    """A file's header, and its rows as they come; the file is read once, so that it may be a pipe.

    Raises SourceError where it cannot be read, is not CSV, names no columns or one twice.
    """
    open_text = gzip.open if file.endswith(".gz") else open
    try:
        with open_text(Path(file), "rt", encoding="utf-8-sig", newline="") as lines:
            line = lines.readline()
            delimiter = "\t" if file.endswith(".tsv") else max(_DELIMITERS, key=line.count)
            rows = csv.reader(chain([line], lines), delimiter=delimiter, strict=True)
            yield Header(delimiter, _names(file, next(rows, []))), rows
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror or error}") from None
    except EOFError:
        raise SourceError(f"{file}: cannot be read: it was cut off") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{file}: is not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except csv.Error as error:
        raise SourceError(f"{file}:{rows.line_num}: is not CSV: {error}") from None


def _header(file: str) -> Header:
    with opened(file) as (header, _):
        return header


def _names(file: str, names: list[str]) -> tuple[str, ...]:
    if not any(names):
        raise SourceError(f"{file}: is empty; its first line must name the columns")
    for place, name in enumerate(names):
        if name in names[:place]:
            raise SourceError(f'{file}: has two columns named "{name}"')
    return tuple(names)


def _difference(header: Header, found: Header) -> str:
    """What the second header has otherwise, up to the name of the first's file."""
    for name in header.names:
        if name not in found.names:
            return f'has no column "{name}"{did_you_mean(name, found.names, few="it has")}, unlike'
    for name in found.names:
        if name not in header.names:
            return f'has a column "{name}", unlike'
    return "has its columns in another order than" if header.names != found.names else "has another delimiter than"
