"""A file of events, one JSON line each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from glob import escape
from io import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO

from maysend import CloudEvent, SinkType, hookimpl

_ROTATE_AT = 100 * 1024 * 1024
_SETTINGS = {
    "path": {
        "type": "string",
        "minLength": 1,
        "format": "path",
        "examples": ["events.jsonl"],
        "description": "The file to append to, one CloudEvent a line.",
    },
    "rotate_at": {
        "type": "integer",
        "minimum": 1,
        "default": _ROTATE_AT,
        "description": "The size in bytes at which the file is set aside as `<path>.1`, `<path>.2`, and so on.",
    },
}


@hookimpl
def register_sink_types() -> list[SinkType]:
    """Appends to a file, and is done only once the disk has it."""
    return [SinkType(name="jsonl", open=JsonLines, settings=_SETTINGS, required=("path",))]


class JsonLines:
    """An open file. What a crash left of a last line is cut off: its event comes again."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._path = Path(settings["path"])
        self._rotate_at: int = settings.get("rotate_at", _ROTATE_AT)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._open()

    def deliver(self, events: Sequence[CloudEvent]) -> None:
        if self._file.tell() >= self._rotate_at:
            self._rotate()
        self._file.write(b"".join(event.body + b"\n" for event in events))
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _open(self) -> BinaryIO:
        is_new = not self._path.exists()
        file = self._path.open("ab+")
        _cut_broken_line(file)
        if is_new:
            self._sync_directory()
        return file

    def _rotate(self) -> None:
        self._file.close()
        aside = self._path.parent.glob(f"{escape(self._path.name)}.*")
        ends = (file.name.rpartition(".")[2] for file in aside)
        newest = max((int(end) for end in ends if end.isdecimal()), default=0)
        self._path.rename(f"{self._path}.{newest + 1}")
        self._file = self._open()

    def _sync_directory(self) -> None:
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _cut_broken_line(file: BinaryIO) -> None:
    size = file.seek(0, SEEK_END)
    end = size
    while end:
        start = max(0, end - 65536)
        file.seek(start)
        if (found := file.read(end - start).rfind(b"\n")) >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        file.truncate(end)
    file.seek(0, SEEK_END)
