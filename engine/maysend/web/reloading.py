"""Declarations that change while the server runs: taken in where they are valid, left aside where they are not."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from ..errors import MaysendError
from ..loader import FOLDERS, PROJECT_FILE

SECONDS = 1.0
"""How often files are looked at."""

AGAIN = 30.0
"""Seconds until what could not be taken in is tried again: what kept it out may lie outside of these files."""

_PAGES = "pages"
_log = logging.getLogger("maysend")


class Reloader:
    """A thread that calls ``reload`` after declarations or page templates under ``root`` have changed and come to rest.

    ``reload`` raises MaysendError where what is there now cannot be served.
    """

    def __init__(self, root: Path, reload: Callable[[], None], told: Callable[[str], None] = lambda _: None) -> None:
        self._root, self._reload, self._told = root, reload, told
        self._stop = Event()
        self._seen = dict[str, tuple[int, int]]()
        with suppress(OSError):  # whoever reads the declarations says why
            self._seen = self._look()
        self._refused, self._again = "", math.inf
        self._thread = Thread(target=self._run, name="maysend-reload", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        before = self._seen
        while not self._stop.wait(SECONDS):
            try:
                now = self._look()
            except OSError as error:  # a disk far away may be gone for a while
                _log.error("the declarations cannot be read; serving the last valid ones: %s", error)
                continue
            if now == before and (now != self._seen or time.monotonic() > self._again):
                self._take_in(changed=now != self._seen)
                self._seen = now
            before = now

    def _take_in(self, *, changed: bool) -> None:
        try:
            self._reload()
        except Exception as error:  # nothing that happens here may keep the next change from being taken in
            self._again = time.monotonic() + AGAIN
            if changed or str(error) != self._refused:
                self._refuse(error)
        else:
            self._refused, self._again = "", math.inf
            self._told("taken")
            _log.info("took in changed declarations")

    def _refuse(self, error: Exception) -> None:
        self._refused = str(error)
        self._told("refused")
        if isinstance(error, MaysendError):
            _log.error("the declarations have problems; serving the last valid ones\n%s", error)
        else:
            _log.error("the declarations cannot be taken in; serving the last valid ones", exc_info=error)

    def _look(self) -> dict[str, tuple[int, int]]:
        """Each file's size and time of change."""
        return {file.path: (stat.st_size, stat.st_mtime_ns) for file in self._files() if (stat := _stat(file))}

    def _files(self) -> Iterator[os.DirEntry[str]]:
        inside = [Path(folder) for folder, _, _ in os.walk(self._root / _PAGES)]
        for folder in (self._root, *(self._root / name for name in FOLDERS), *inside):
            try:
                with os.scandir(folder) as entries:
                    yield from (
                        entry
                        for entry in entries
                        if entry.name == PROJECT_FILE or (folder != self._root and entry.is_file())
                    )
            except (FileNotFoundError, NotADirectoryError):
                continue


def _stat(file: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None
