"""Tables in parts: Parquet that DuckDB reads and writes on the workers, a task of Spark for each part.

A task reads one part and the few rows of small tables that it is given, and means what DuckDB means in one process. Its
file has a name of its own, and counts only where the task told it: a task may be run again, or twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from sqlglot import exp

from ..trees import column

if TYPE_CHECKING:
    import pyarrow

_GROUP = 122_880
"""The rows of a row group, as DuckDB writes and reads them: whole."""

_MOST = 20
"""The row groups of a part, at most."""

_ROW_BY_ROW = (exp.AggFunc, exp.Window, exp.Group, exp.Distinct, exp.Limit, exp.Offset, exp.SetOperation, exp.Explode)
_NUMBER = "file_row_number"


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a Parquet file: all, or those from ``first`` up to ``last``."""

    file: str
    first: int = 0
    last: int | None = None

    def query(self) -> exp.Select:
        arguments: list[exp.Expr] = [exp.Literal.string(self.file)]
        if self.last is None:
            return exp.select(exp.Star()).from_(exp.func("READ_PARQUET", *arguments, dialect="duckdb"), copy=False)
        numbered = exp.PropertyEQ(this=exp.to_identifier(_NUMBER), expression=exp.true())
        rows = exp.func("READ_PARQUET", *arguments, numbered, dialect="duckdb")
        within = exp.Between(
            this=column(_NUMBER), low=exp.Literal.number(self.first), high=exp.Literal.number(self.last)
        )
        own = exp.Star(except_=[exp.to_identifier(_NUMBER)])
        return exp.select(own).from_(rows, copy=False).where(within, copy=False)


def parts_of(file: Path, rows: int, workers: int) -> list[Part]:
    """A file of so many rows in parts: as few as can be, and all workers have as much to do."""
    groups = max(-(-rows // _GROUP), 1)
    rounds = -(-groups // (workers * _MOST))
    size = -(-groups // (workers * rounds)) * _GROUP
    return [Part(str(file), first, first + size - 1) for first in range(0, max(rows, 1), size)]


def tables_in(queries: Iterable[exp.Query]) -> set[str]:
    """The names of all tables that queries read."""
    return {found.name for query in queries for found in query.find_all(exp.Table)}


def row_by_row(query: exp.Query, of: str) -> bool:
    """Whether every row of a query comes from one of a table, which it reads once, whatever the other rows are."""
    if sum(found.name == of for found in query.find_all(exp.Table)) != 1 or query.find(*_ROW_BY_ROW):
        return False
    source: exp.Expr | None = query
    while isinstance(source, exp.Select):
        begun = source.args.get("from_")
        if not begun or any(join.side.upper() in ("RIGHT", "FULL") for join in source.args.get("joins") or ()):
            return False
        source = begun.this.this if isinstance(begun.this, exp.Subquery) else begun.this
    return isinstance(source, exp.Table) and source.name == of


class Work(TypedDict):
    """What a worker does for a part: ``tables`` are Arrow streams, ``parts`` a statement for each that makes it
    readable; ``before`` and ``after`` it others are run. All is DuckDB's SQL, and ``version`` that of this process.

    A plain dictionary, as all that goes to workers: they have DuckDB, but no maysend.
    """

    tables: Mapping[str, bytes]
    before: Sequence[str]
    parts: Sequence[str]
    after: Sequence[str]
    query: str
    version: str


def written(work: Work, directory: str) -> Callable[[Iterator[pyarrow.RecordBatch]], Iterator[pyarrow.RecordBatch]]:
    """What writes a query's rows, given the numbers of parts: a row for each, ``file`` and how many ``rows``."""
    opened = _opened(work)

    def tasks(numbers: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import pathlib
        import uuid

        import pyarrow

        for connection in opened(numbers):
            file = str(pathlib.Path(directory) / f"{uuid.uuid4().hex}.parquet")
            connection.sql(work["query"]).write_parquet(file, compression="snappy")
            ((rows,),) = connection.read_parquet(file).count("*").fetchall()
            yield pyarrow.RecordBatch.from_pydict({"file": [file], "rows": [rows]})

    return tasks


def gathered(work: Work) -> Callable[[Iterator[pyarrow.RecordBatch]], Iterator[pyarrow.RecordBatch]]:
    """What gives a query's rows back, given the numbers of parts: ``rows``, an Arrow stream for each."""
    opened = _opened(work)

    def tasks(numbers: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow

        for connection in opened(numbers):
            found, sink = connection.sql(work["query"]).to_arrow_table(), pyarrow.BufferOutputStream()
            with pyarrow.ipc.new_stream(sink, found.schema) as stream:
                stream.write_table(found)
            yield pyarrow.RecordBatch.from_pydict({"rows": [sink.getvalue().to_pybytes()]})

    return tasks


def _opened(work: Work) -> Callable[[Iterator[pyarrow.RecordBatch]], Iterator[Any]]:
    """A database for each number of a part, ready for the query."""

    def opened(numbers: Iterator[pyarrow.RecordBatch]) -> Iterator[Any]:
        import duckdb
        import pyarrow

        version = work["version"]
        if duckdb.__version__ != version:
            raise RuntimeError(f"<the workers have duckdb {duckdb.__version__}, and this machine has {version}>")
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                with duckdb.connect(config={"threads": 1}) as connection:
                    for name, rows in work["tables"].items():
                        connection.register(name, pyarrow.ipc.open_stream(rows).read_all())
                    for statement in (*work["before"], work["parts"][number], *work["after"]):
                        connection.execute(statement)
                    yield connection

    return opened
