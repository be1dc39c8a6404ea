"""The directory that a run and its workers share; what is in it is seen by all of them, or said not to be."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from time import time

from pyspark.sql import SparkSession

from ..errors import OutputError
from .duckdb import DuckDB
from .spark_sources import uri
from .spark_words import errors

KEPT = {"mapreduce.fileoutputcommitter.marksuccessfuljobs": "false"}
"""How Spark writes: no empty file beside, that says it is done."""

_OWN = re.compile("spark-[0-9a-f]{16}")
_LEFT_OVER = 7 * 24 * 3600  # seconds
_SEEN = "seen"
_PROBED = 8
"""Tasks that write one row each, to see whether what they write is seen."""


class Shared:
    """A run's own directory under ``shared``; those of runs that were killed long ago are removed.

    Raises OutputError where it cannot be made.
    """

    def __init__(self, shared: Path, local: DuckDB) -> None:
        self._local, self._checked = local, False
        try:
            for left in shared.glob("spark-*"):
                if not _OWN.fullmatch(left.name):  # such as Spark's own
                    continue
                with suppress(FileNotFoundError):  # another run may remove it
                    if left.stat().st_mtime < time() - _LEFT_OVER:
                        shutil.rmtree(left, ignore_errors=True)
            self._directory = shared / f"spark-{token_hex(8)}"
            self._directory.mkdir(parents=True)
        except OSError as error:
            raise OutputError(f"{shared}: cannot be written: {error.strerror}") from None

    def fresh(self, suffix: str = "") -> Path:
        """A path in it that nothing has yet."""
        return self._directory / f"{token_hex(8)}{suffix}"

    def remove(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def check(self, session: SparkSession) -> None:
        """Once a run: this machine sees what workers write. Else it stays where they are, and Spark says nothing.

        Raises OutputError.
        """
        if not self._checked:
            probe = self.fresh()
            with errors():
                session.range(0, _PROBED, 1, _PROBED).write.options(**KEPT).parquet(uri(probe))
            if self.rows_in(probe) != _PROBED:
                told = "this machine does not see what the workers wrote there; it must be shared"
                raise OutputError(f"{self._directory.parent}: {told}")
            shutil.rmtree(probe, ignore_errors=True)
            self._checked = True

    def rows_in(self, *directories: Path) -> int:
        """How many rows the Parquet files have that this machine sees in some directories, here or elsewhere."""
        if not (files := [str(file) for directory in directories for file in directory.glob("*.parquet")]):
            return 0
        self._local.open_files(_SEEN, files)
        return self._local.count(_SEEN)
