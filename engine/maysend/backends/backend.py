"""What a run needs of the engine it runs on, and which one that is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from sqlglot import exp

from ..columns import Table
from ..errors import MaysendError
from ..model import SNAPSHOTS, Project, Source
from ..targeting.engine import Engine
from .duckdb import DuckDB

if TYPE_CHECKING:
    from pyspark.sql import SparkSession as SparkSession  # for runner.py too, which has no door to it


class Backend(Engine, Protocol):
    """An engine of plans that also opens sources, takes rows in, and writes files.

    ``local`` is DuckDB in this process, which reads the ledger for every engine. ``spent`` has the seconds that some of
    its tables took, and ``kept_as`` is how the names of files end that it keeps.
    """

    kept_as: str

    spent: dict[str, float]

    @property
    def local(self) -> DuckDB: ...

    def open(self, name: str, source: Source, *, watched: bool = True) -> Table:
        """Make a source readable as ``name``; its columns by name. ``check_sources`` looks at those ``watched``.

        Raises SourceError where it is missing, broken, or not as declared.
        """

    def keep(self, query: exp.Query, file: Path) -> int:
        """Write the rows that a query of ``local`` finds to a file that ``open_kept`` reads; how many there are."""

    def open_kept(self, name: str, file: Path) -> Table:
        """Make a file readable that ``keep`` wrote, where this machine and the engine see it; its columns by name."""

    def watch(self, name: str, source: Source) -> Sequence[object]:
        """Have ``check_sources`` look at a source that need not be opened; what tells its files from any later ones, or
        nothing where none is here. Raises SourceError where it is missing."""

    def settle(self, but: Container[str] = ()) -> None:
        """Called when every source is open: what is slow to read twice is read once, all ``but`` some."""

    def check_sources(self) -> None:
        """Raises SourceError where a source is not what it was when it was opened."""

    def inputs(self) -> dict[str, list[str]]:
        """The files of every source that was opened, watched and is on this machine, by declared location."""

    def define(self, name: str, query: exp.Query) -> None:
        """Name a query, that runs whenever it is read."""

    def stream(self, query: exp.Query) -> Iterator[tuple[Any, ...]]:
        """A query's rows as they come; to be read before the next query is run."""

    def in_order(self, name: str, column: str) -> bool:
        """Whether every value of a column is known to be greater than the one before it; then each is there once."""

    def land(self, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> None:
        """Keep rows under a name; ``columns`` maps name to a type as DuckDB calls it."""

    def take(self, name: str) -> None:
        """Make a relation of ``local`` readable here, under its name."""

    def write(self, query: exp.Query, file: Path) -> None:
        """Write a query's rows to a Parquet or CSV file, by its ending, in the query's order."""


@runtime_checkable
class Partitioning(Protocol):
    """A backend that writes audiences together, a directory for each campaign."""

    def write_partitioned(self, query: exp.Query, by: str, values: Iterable[str], directory: Path) -> dict[str, str]:
        """Write rows to ``directory/<by>=<value>/`` for each of ``values``, ordered by ``by`` and the first column;
        what tells each value's rows from others."""


@contextmanager
def connect(
    project: Project,
    *,
    memory: str | None = None,
    session: SparkSession | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Iterator[Backend]:
    """The engine that ``project.yaml`` declares, or the Spark session given; DuckDB where there is neither.

    Raises MaysendError where it cannot be reached, or what it needs is not installed.
    """
    declared = project.engine
    if not declared and session is None:
        with DuckDB(memory) as local:
            yield local
        return
    try:
        with warnings.catch_warnings(action="ignore"):  # pyspark's on versions of pandas, which is not used
            from . import spark, spark_sessions
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        raise MaysendError(f"engine: Spark needs {missing}; run `pip install 'maysend[spark]'`") from None
    shared = (project.root / (declared.snapshots if declared else SNAPSHOTS)).absolute()
    if session is not None:
        with spark.Spark(spark_sessions.of_its_own(session), shared, memory) as given:
            yield given
        return
    assert declared
    with spark_sessions.session(declared, told) as started, spark.Spark(started, shared, memory) as own:
        yield own
