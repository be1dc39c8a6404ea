"""Names as Spark reads them, and what Spark says of broken data as one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.errors import PySparkException

from ..errors import SourceError

_CALLING = re.compile(r"\AAn error occurred while calling [^\n]*\n: ")
_CLASS = re.compile(r"\[([A-Z][A-Z0-9_.]+)\] ")
_MISSING = ("PATH_NOT_FOUND", "TABLE_OR_VIEW_NOT_FOUND")
_LACKING = re.compile(r"No module named '(duckdb|pyarrow|pandas|numpy)[.']")
_TOLD = re.compile(r"RuntimeError: <(.+)>")
_UNSEEN = re.compile(r"No files found that match the pattern \"([^\"]+)\"")
_FILE = re.compile(r"(?:file:|hdfs:|s3a:|abfss?:|gs:)/*[^\s'\"),]*")


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


@contextmanager
def errors(where: str | None = None) -> Iterator[None]:
    """Raises SourceError, which starts with ``where``, for what Spark raises within."""
    try:
        yield
    except PySparkException as error:
        said = line(error)
        raise SourceError(f"{where}: {said}" if where else said) from None
    except Exception as error:
        if type(error).__module__.startswith(("py4j.", "grpc")):
            said = line(error)
            raise SourceError(f"{where}: {said}" if where else said) from None
        raise


def line(error: Exception) -> str:
    """Spark's message as one line: the reason, without its class, its stack, or a place in SQL that nobody wrote."""
    text = _CALLING.sub("", str(error))
    if "OutOfMemoryError" in text or "Not enough memory to build and broadcast" in text:
        return "Spark has too little memory; `settings` give it more (spark.driver.memory, spark.executor.memory)"
    if found := _LACKING.search(text):
        return (
            f"the workers' Python has no {found[1]}, which reading a roster needs; install duckdb and pyarrow there and"
            " name that Python in `settings` as spark.pyspark.python, or to a Spark Connect server as PYSPARK_PYTHON"
        )
    if found := _TOLD.search(text):
        return found[1]
    if found := _UNSEEN.search(text):
        return f"the workers do not see {found[1]}; it must be where all of them can read it"
    if any(name in text for name in _MISSING):
        return "there is no such file or table"
    if "FileNotFoundException" in text or "FAILED_READ_FILE.FILE_NOT_EXIST" in text:
        found = _FILE.search(text)
        return f"the workers do not see {found[0] if found else 'a file'}; it must be where all of them can read it"
    if "is not a Parquet file" in text or "CANNOT_READ_FILE_FOOTER" in text:
        return "is not a whole Parquet file; was it cut off?"
    found = _CLASS.search(text)
    said = text[found.end() :] if found else text
    first = re.split(r"\n|; line \d| SQLSTATE| == SQL", said.strip())[0]
    return " ".join(first.split()) or type(error).__name__
