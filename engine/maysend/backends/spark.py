"""Spark: sources as views, a plan's tables as Parquet, audiences as Parquet partitioned by campaign.

A table of a plan is files in a directory that every worker sees, so that what a plan reads twice is computed once, a
worker that is lost takes nothing with it, and no query drags along how its tables were made.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from pyspark.sql import DataFrame, SparkSession, functions
from sqlglot import exp

from ..columns import Table
from ..errors import OutputError, SourceError
from ..model import Source
from ..trees import table
from .duckdb import VERSION, DuckDB
from .duckdb_statements import STATEMENTS
from .spark_dialect import MaysendSpark
from .spark_parts import Part, Work, gathered, parts_of, row_by_row, tables_in, written
from .spark_shared import KEPT, Shared
from .spark_sources import columns_of, files_of, is_parquet, own, read, stamps, uri, without_zones
from .spark_words import errors, quoted

_SETTINGS: Mapping[str, str] = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.groupByOrdinal": "true",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.variable.substitute": "false",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.autoBroadcastJoinThreshold": "1m",  # ten times that may be 3 M answers: too many for a driver
}
_KEEPING = "keeping"
_FEW = _HERE = 500_000
"""So many rows at most go to every worker, or are kept in this process."""
_WRITTEN = {**KEPT, "compression": "zstd"}


class Spark:
    """A run in a session that is the run's alone. ``shared`` is a directory that this machine and the workers see; the
    run has one of its own in it, removed at the end.

    Use as a context manager.
    """

    kept_as = ".parquet"

    def __init__(self, session: SparkSession, shared: Path, memory: str | None = None) -> None:
        self.local = DuckDB(memory)
        self.spent: dict[str, float] = {}
        self._session = session
        self._shared = Shared(shared, self.local)
        self._tables: dict[str, Path] = {}
        self._here: set[str] = set()
        self._parts: dict[str, list[Part]] = {}
        self._views: dict[str, exp.Query] = {}
        self._brought: set[str] = set()
        self._opened: dict[str, tuple[Source, Sequence[object]]] = {}
        for name, setting in _SETTINGS.items():
            if session.conf.get(name) != setting:  # one that is deprecated is warned of
                session.conf.set(name, setting)

    def __enter__(self) -> Spark:
        return self

    def __exit__(self, *_: object) -> None:
        self.local.__exit__(*_)
        self._shared.remove()

    def open(self, name: str, source: Source, *, watched: bool = True) -> Table:
        """Make a source readable as ``name``; its columns by name. ``check_sources`` looks at those ``watched``.

        Raises SourceError where files or tables are missing, broken, or not as declared.
        """
        with errors(source.location):
            if watched:
                self.watch(name, source)
            if is_parquet(source):
                self.local.check_columns(source, files_of(source))
            frame = read(self._session, source)
            frame.createOrReplaceTempView(quoted(name))
            return columns_of(frame.schema)

    def settle(self, but: Container[str] = ()) -> None:
        """Nothing: what is read twice is cached already."""

    def check_sources(self) -> None:
        """Raises SourceError where a file is not what it was when it was opened: then nothing read is of one piece."""
        for source, before in self._opened.values():
            if stamps(source) != before:
                raise SourceError(f"{source.location}: changed while it was read; run again when it is complete")

    def inputs(self) -> dict[str, list[str]]:
        """The files of every source that this machine sees, by the location that declares it; none of another."""
        return {source.location: files_of(source) for source, _ in self._opened.values()}

    def watch(self, name: str, source: Source) -> Sequence[object]:
        """Have ``check_sources`` look at a source; what tells its files from any later ones, nothing where none is
        here."""
        self._opened[name] = (source, stamps(source))
        return self._opened[name][1]

    def keep(self, query: exp.Query, file: Path) -> int:
        """Write the rows that a query of ``local`` finds to a Parquet file; how many there are."""
        self.local.write(query, file)
        self.local.open_files(_KEEPING, [str(file)])
        return self.local.count(_KEEPING)

    def open_kept(self, name: str, file: Path) -> Table:
        """Make a file readable that ``keep`` wrote: to the workers, part by part."""
        found = self.local.open(name, Source(str(file), str(file)), watched=False)
        self._replaced(name)
        self._parts[name] = parts_of(file, self.local.count(name), _at_once(self._session))
        return found

    def create(self, name: str, query: exp.Query) -> None:
        """Keep a query's rows under a name, in no order: here where all that it reads is here, else part by part where
        it looks at rows one by one, else as Spark finds them."""
        asked, of = tables_in([query]), self._in_parts([query])
        started = perf_counter()
        self._replaced(name)
        if asked <= self._here:
            self.local.create(name, query)
            self._here.add(name)
        elif of and row_by_row(query, of):
            self._write_parts(name, query, of)
        else:
            self._write(name, query)
        self.spent[name] = self.spent.get(name, 0) + perf_counter() - started

    def create_few(self, tables: Iterable[tuple[str, exp.Query]]) -> None:
        """The same for queries of few rows."""
        for name, query in tables:
            if tables_in([query]) <= self._here:
                self._replaced(name)
                self.local.create_few([(name, query)])
                self._here.add(name)
            else:
                self.create(name, query)

    def each(self, name: str, query: exp.Query, *, first: Mapping[str, exp.Query]) -> None:
        """Keep what a query finds in each part of a table, put together here; or in the whole, where it is no parts."""
        of = self._in_parts([*first.values(), query], made=first.keys())
        if not of:
            for needed, made in first.items():
                self.create(needed, made)
            self.create(name, query)
            return
        started = perf_counter()
        self._replaced(name)
        found = self._tasks(gathered(self._work(query, of, first)), "rows binary", of)
        self.local.unpack(name, [bytes(row[0]) for row in found])
        self._here.add(name)
        self.spent[name] = self.spent.get(name, 0) + perf_counter() - started

    def view(self, name: str, query: exp.Query) -> None:
        """Give a query a name."""
        asked, of = tables_in([query]), self._in_parts([query])
        self._replaced(name)
        if asked <= self._here:
            self.local.view(name, query)
            self._here.add(name)
        elif of and row_by_row(query, of):
            self.local.view(name, query)
            self._views[name] = query.copy()
        else:
            self._frame(query).createOrReplaceTempView(quoted(name))

    define = view

    def rows(self, query: exp.Query) -> list[tuple[Any, ...]]:
        """A query's rows; found here, where all that it reads is files that this machine sees."""
        if tables_in([query]) <= {*self._here, *self._parts, *self._views}:
            return self.local.rows(query)
        frame, plain = without_zones(self._frame(query))
        with errors():
            return [plain(row) for row in frame.collect()]

    def stream(self, query: exp.Query) -> Iterator[tuple[Any, ...]]:
        """A query's rows as they come."""
        frame, plain = without_zones(self._frame(query))
        with errors():
            for row in frame.toLocalIterator(prefetchPartitions=True):
                yield plain(row)

    def in_order(self, name: str, column: str) -> bool:  # noqa: ARG002 - DuckDB looks
        """Never: the rows of a cluster have no order."""
        return False

    def land(self, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> None:
        """Keep rows under a name; ``columns`` maps name to a type as DuckDB calls it."""
        self.local.land(name, columns, rows)
        self.take(name)

    def take(self, name: str) -> None:
        """Read a relation of ``local`` under its name; workers get it when they are asked about it."""
        self._replaced(name)
        self._here.add(name)

    def write(self, query: exp.Query, file: Path) -> None:
        """Write a query's rows to one Parquet or CSV file, by its ending, in the order of the first column."""
        query.set("order", None)
        frame = self._frame(query).repartition(1)
        frame = frame.sortWithinPartitions(quoted(frame.columns[0]))
        beside = self._shared.fresh()
        with errors(file.name):
            if file.suffix == ".csv":
                frame.write.options(**KEPT, header=True).csv(uri(beside))
            else:
                frame.write.options(**_WRITTEN).parquet(uri(beside))
        try:
            (part,) = beside.glob("part-*")
            shutil.move(part, file)
        except ValueError:
            raise OutputError(f"{beside}: this machine does not see what the workers wrote there") from None
        except OSError as error:
            raise OutputError(f"{file.name}: cannot be written: {error.strerror}") from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def write_partitioned(self, query: exp.Query, by: str, values: Iterable[str], directory: Path) -> dict[str, str]:
        """Write a query's rows to ``directory/<by>=<value>/``, Parquet files in the rows' order, in one job; a file
        without rows for each of ``values`` that has none.

        Returns for each value what tells its rows from others, whatever the files: their number and two sums of hashes.
        """
        frame = self._frame(query)
        rest = [name for name in frame.columns if name != by]
        hashed = functions.xxhash64(*map(quoted, rest))
        several = (functions.count("*"), functions.bit_xor(hashed), functions.sum(hashed.cast("decimal(20,0)")))
        with errors(directory.name):
            ordered = frame.orderBy(quoted(by), quoted(rest[0]))
            ordered.write.options(**_WRITTEN).partitionBy(by).mode("append").parquet(uri(directory))
            sums = frame.groupBy(quoted(by)).agg(*several).collect()
            found = {value: f"{count}:{xor & (1 << 64) - 1:016x}:{total}" for value, count, xor, total in sums}
            for value in values:
                if value not in found:
                    found[value] = "0"
                    nobody = frame.drop(by).limit(0)
                    nobody.write.options(**_WRITTEN).parquet(uri(directory / f"{by}={value}"))
        for checksum in directory.rglob(".*.crc"):
            checksum.unlink()
        rows = sum(int(told.partition(":")[0]) for told in found.values())
        if self._shared.rows_in(*(directory / f"{by}={value}" for value in found)) != rows:
            raise OutputError(f"{directory.name}: this machine does not see all that workers wrote; it must be shared")
        return found

    def plan_of(self, query: exp.Query) -> str:
        """Spark's own plan of a query, as its EXPLAIN FORMATTED prints it."""
        with errors():
            ((found,),) = self._session.sql(f"EXPLAIN FORMATTED {query.sql(MaysendSpark)}").collect()
            return str(found)

    def _frame(self, query: exp.Query) -> DataFrame:
        for name in tables_in([query]):
            self._bring(name)
        text = query.sql(MaysendSpark, copy=False)
        with errors():
            return self._session.sql(text)

    def _bring(self, name: str) -> None:
        """Make readable to Spark what is kept here, or in parts."""
        if name in self._brought or name not in {*self._here, *self._parts, *self._views}:
            return
        self._brought.add(name)
        if name in self._views:
            self._frame(self._views[name].copy()).createOrReplaceTempView(quoted(name))
            return
        files = sorted({part.file for part in self._parts.get(name, ())})
        few = name in self._here and self.local.count(name) <= _FEW
        if name in self._here:
            file = self._shared.fresh(".parquet")
            self.local.write(exp.select(exp.Star()).from_(table(name)), file)
            files = [str(file)]
        with errors():
            frame = own(self._session, files)
            (functions.broadcast(frame) if few else frame).createOrReplaceTempView(quoted(name))

    def _replaced(self, name: str) -> None:
        """Forget what had a name until now."""
        self._here.discard(name)
        self._brought.discard(name)
        self._parts.pop(name, None)
        self._views.pop(name, None)

    def _write(self, name: str, query: exp.Query) -> None:
        """Keep the rows that Spark finds."""
        if not query.args.get("limit"):
            query.set("order", None)
        self._shared.check(self._session)
        frame = self._frame(query)
        directory = self._shared.fresh()
        before, self._tables[name] = self._tables.get(name), directory
        with errors():
            frame.write.options(**KEPT).parquet(uri(directory))
            self._session.read.schema(frame.schema).parquet(uri(directory)).createOrReplaceTempView(quoted(name))
        if before is not None:
            shutil.rmtree(before, ignore_errors=True)

    def _in_parts(self, queries: Sequence[exp.Query], made: Container[str] = ()) -> str | None:
        """The one table in parts that queries read, beside few rows that are kept here, and what they have ``made``."""
        asked = {name for name in tables_in(queries) if name not in made}
        others = asked - self._here
        if len(others) != 1 or not others <= {*self._parts, *self._views}:
            return None
        return others.pop() if all(self.local.count(name) <= _FEW for name in asked & self._here) else None

    def _work(self, query: exp.Query, of: str, first: Mapping[str, exp.Query]) -> Work:
        """What to do for each part of a table, or of what a view looks at."""
        views = [(name, "VIEW", made) for name, made in self._seen_through(of)]
        base = of
        while base in self._views:
            (base,) = tables_in([self._views[base]]) - self._here
        asked = tables_in([query, *first.values(), *(made for _, _, made in views)]) & self._here - first.keys()
        landed = {name: f"arrow {name}" for name in sorted(asked)}
        tables = [(name, "TABLE", exp.select(exp.Star()).from_(table(packed))) for name, packed in landed.items()]
        return Work(
            tables={packed: self.local.packed(name) for name, packed in landed.items()},
            before=[*STATEMENTS, *(_created(*one) for one in tables)],
            parts=[_created(base, "VIEW", part.query()) for part in self._parts[base]],
            after=[_created(*one) for one in (*views, *((name, "TABLE", made) for name, made in first.items()))],
            query=query.sql("duckdb"),
            version=VERSION,
        )

    def _seen_through(self, name: str) -> list[tuple[str, exp.Query]]:
        """The views between a name and the table in parts that it is of, the table's own first."""
        if name not in self._views:
            return []
        (of,) = tables_in([self._views[name]]) - self._here
        return [*self._seen_through(of), (name, self._views[name])]

    def _write_parts(self, name: str, query: exp.Query, of: str) -> None:
        """Keep a query's rows as a file for each part; here, where they are few."""
        query.set("order", None)
        directory = self._shared.fresh()
        directory.mkdir()
        before, self._tables[name] = self._tables.get(name), directory
        found = self._tasks(written(self._work(query, of, {}), str(directory)), "file string, rows bigint", of)
        files = sorted(row["file"] for row in found)
        self.local.open_files(name, files)
        if sum(row["rows"] for row in found) <= _HERE:
            self._here.add(name)
        else:
            self._parts[name] = [Part(file) for file in files]
        if before is not None:
            shutil.rmtree(before, ignore_errors=True)

    def _tasks(self, work: Callable[[Any], Any], columns: str, of: str) -> list[Any]:
        """Have workers do something for every part of a table."""
        while of in self._views:
            (of,) = tables_in([self._views[of]]) - self._here
        many = len(self._parts[of])
        with errors():
            return list(self._session.range(0, many, 1, many).mapInArrow(work, columns).collect())


def _created(name: str, kind: str, query: exp.Query) -> str:
    """A statement of DuckDB that gives a query's rows a name."""
    return exp.Create(this=exp.to_identifier(name, quoted=True), kind=kind, expression=query).sql("duckdb")


def _at_once(session: SparkSession) -> int:
    """How many tasks run at the same time; a session of Spark Connect does not say it."""
    with suppress(AttributeError):
        return int(session.sparkContext.defaultParallelism)
    with errors():
        return session.range(1 << 20).select(functions.spark_partition_id()).distinct().count()
