"""Sorting more than memory holds: sorted runs on disk, merged."""

from __future__ import annotations

import heapq
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import IO, TypeVar

from ..errors import OutputError

T = TypeVar("T")

RUN = 50_000
"""How many items are in memory at a time."""

_BLOCK = 200  # items that are read back together, of each run


def sort(items: Iterable[tuple[int, int, T]], run: int = RUN) -> Iterator[tuple[int, int, T]]:
    """The items by their first two numbers, which are unique together; temporary files are gone at the end.

    Raises OutputError where these cannot be written.
    """
    iterator = iter(items)
    try:
        with ExitStack() as files:
            runs: list[Iterator[tuple[int, int, T]]] = []
            while some := sorted(islice(iterator, run), key=_place):
                runs.append(_read(_written(files.enter_context(tempfile.TemporaryFile()), some)))
            yield from heapq.merge(*runs, key=_place)
    except OSError as error:
        raise OutputError(
            f"{tempfile.gettempdir()}: no temporary file can be written there: {error.strerror}"
        ) from None


def _place(item: tuple[int, int, T]) -> tuple[int, int]:
    return item[:2]


def _written(file: IO[bytes], items: list[tuple[int, int, T]]) -> IO[bytes]:
    for some in chunks(items, _BLOCK):
        pickle.dump(some, file, pickle.HIGHEST_PROTOCOL)
    file.seek(0)
    return file


def _read(file: IO[bytes]) -> Iterator[tuple[int, int, T]]:
    while True:
        try:
            yield from pickle.load(file)  # noqa: S301 - written by this process, into a file that no one else can open
        except EOFError:
            return


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of ``size``; the last may be shorter."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
