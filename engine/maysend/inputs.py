"""What a run read: the SHA-256 of every source's files, worked out beside the queries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from .errors import SourceError


class Inputs:
    """Digests of files, each read once on a thread of its own (hashing leaves Python to the others).

    Use as a context manager.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._thread = ThreadPoolExecutor(1, "maysend-digests")
        self._sources: dict[str, tuple[str, ...]] = {}
        self._digests: dict[str, Future[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def add(self, sources: Mapping[str, Iterable[str]]) -> None:
        """Begin with the files of ``sources``, by the location that declares them."""
        for location, files in sources.items():
            self._sources[location] = tuple(files)
            for file in self._sources[location]:
                if file not in self._digests:
                    self._digests[file] = self._thread.submit(_digest, Path(file))

    def found(self) -> list[dict[str, Any]]:
        """Every source and its files, in order; waits for those that are still read."""
        return [
            {
                "source": location,
                "files": [{"file": self._shown(file), "sha256": self._digests[file].result()} for file in files],
            }
            for location, files in sorted(self._sources.items())
        ]

    def _shown(self, file: str) -> str:
        path = Path(file)
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else file


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}") from None
