"""DuckDB: sources as views, plans as temporary tables, results as files. With duckdb_columns.py
the only module that imports duckdb."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from time import perf_counter
from typing import Any
from uuid import uuid4

import duckdb
from sqlglot import exp

from ..columns import NUMBERS, Table
from ..errors import MaysendError, OutputError, SourceError
from ..model import Source
from .csv_files import is_csv, read_header
from .duckdb_columns import DECLARED, as_written, check_declared, table_of, texts_of
from .duckdb_statements import AS_WRITTEN, STATEMENTS, attach, copied, identifier, projected, temporary
from .failures import converted_column, line
from .queries import read_paths, read_query

_SETTINGS = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
VERSION = duckdb.__version__
_JSON = (".json", ".jsonl", ".ndjson", ".json.gz")
_NULL = "\\N"
_PARQUET = {"compression": "zstd"}
_CSV: Mapping[str, Any] = {"auto_detect": False, "quotechar": '"', "escapechar": '"'}
_ROWS = "rows"


class DuckDB:
    """One in-memory database for one run; temporary data spills to disk. Use as a context manager."""

    kept_as = ".duckdb"

    def __init__(self, memory: str | None = None, threads: int | None = None) -> None:
        beside = Path(tempfile.gettempdir()) / f"maysend-{os.getpid()}-{uuid4().hex}"
        settings: dict[str, Any] = {**_SETTINGS, "temp_directory": str(beside)}
        if threads:
            settings["threads"] = threads
        if memory:
            settings["memory_limit"] = memory
        self._connection = duckdb.connect(config=settings)
        self._opened: dict[str, tuple[Source, Sequence[object]]] = {}
        self.spent: dict[str, float] = {}
        """Seconds, by the temporary table that they made; ``file`` is for those written."""
        for statement in STATEMENTS:
            self._connection.execute(statement)

    def __enter__(self) -> DuckDB:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def open(self, name: str, source: Source, *, watched: bool = True) -> Table:
        """Make a source readable as ``name``; its columns by name. ``check_sources`` looks at those ``watched``.

        Raises SourceError where files are missing, broken, or not as declared.
        """
        if not source.local:
            raise SourceError(f"{source.location}: is not a file here; declare `engine: {{type: spark}}` to read it")
        try:
            if watched:
                self.watch(name, source)
            relation = self._relation(source)
            missing = [column for column in source.columns if column not in relation.columns]
            if missing:
                raise SourceError(f'{source.location}: has no column "{missing[0]}", which "columns" declares')
            check_declared(relation, source)
            if declared := {**texts_of(relation), **source.columns}:
                relation = relation.project(", ".join(projected(name, declared) for name in relation.columns))
            relation.create_view(name, replace=True)
            return table_of(relation)
        except duckdb.OutOfMemoryException as error:
            raise self._error(error) from None
        except duckdb.Error as error:
            text = str(error)
            if "No files found" in text or "No such file" in text:
                raise SourceError(f"{source.location}: there is no such file") from None
            raise SourceError(self._located(line(text), source)) from None
        except SourceError as error:
            raise SourceError(self._located(str(error), source)) from None

    def watch(self, name: str, source: Source) -> Sequence[object]:
        """Have ``check_sources`` look at a source; what tells its files from any later ones."""
        if not source.local:
            return ()
        self._opened[name] = (source, self._stamps(source))
        return self._opened[name][1]

    def stamp(self, name: str) -> Sequence[object]:
        """What tells the files of an opened source from any later ones."""
        return self._opened[name][1]

    def settle(self, but: Container[str] = ()) -> None:
        """Read every source that is no Parquet once, into a temporary table, for all the queries to come."""
        for name, (source, _) in self._opened.items():
            if name in but or not (is_csv(source.path) or source.path.endswith((".sql", *_JSON))):
                continue
            landed = f"{name} as read"
            self._connection.execute("RESET disabled_optimizers")
            try:
                self.create(landed, exp.select("*").from_(identifier(name)))
            finally:
                self._connection.execute(AS_WRITTEN)
            self.view(name, exp.select("*").from_(identifier(landed)))

    def check_sources(self) -> None:
        """Raises SourceError where a file is not what it was when it was opened: then nothing read is of one piece."""
        for source, stamps in self._opened.values():
            if self._stamps(source) != stamps:
                raise SourceError(f"{source.location}: changed while it was read; run again when it is complete")

    def inputs(self) -> dict[str, list[str]]:
        """The files of every source that was opened and is watched, by the location that declares it."""
        return {source.location: self._files(source) for source, _ in self._opened.values()}

    def create(self, name: str, query: exp.Query) -> None:
        """Keep a query's rows as a temporary table, replacing one of that name."""
        with self._timed(name):
            self._run(temporary("TABLE", name, query))

    def create_few(self, tables: Iterable[tuple[str, exp.Query]]) -> None:
        """The same for queries of few rows, each while the text of the next is written: such a query is fastest where
        nobody tries to make it faster."""

        def create(name: str, text: str) -> None:
            with self._timed(name):
                self._execute(text)

        self._connection.execute("PRAGMA disable_optimizer")
        try:
            with ThreadPoolExecutor(1) as beside:
                running: Future[None] | None = None
                for name, query in tables:
                    text = temporary("TABLE", name, query).sql("duckdb", copy=False)
                    if running:
                        running.result()
                    running = beside.submit(create, name, text)
                if running:
                    running.result()
        finally:
            self._connection.execute("PRAGMA enable_optimizer")

    def each(self, name: str, query: exp.Query, *, first: Mapping[str, exp.Query]) -> None:
        """Keep a query's rows, and those that it needs ``first``: all is one part."""
        for needed, made in first.items():
            self.create(needed, made)
        self.create(name, query)

    @contextmanager
    def _attached(self, file: Path, name: exp.Identifier) -> Iterator[None]:
        """A new database file, whole once the block has ended."""
        try:
            self._connection.execute(attach(file, name).sql("duckdb"))
        except duckdb.Error as error:
            raise self._unwritten(file, error) from None
        try:
            yield
        finally:
            self._run(exp.Detach(this=name))

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = perf_counter()
        yield
        self.spent[name] = self.spent.get(name, 0) + perf_counter() - started

    def define(self, name: str, query: exp.Query) -> None:
        """Name a query, that runs whenever it is read."""
        self._run(exp.Create(this=identifier(name), kind="VIEW", expression=query, replace=True))

    def stream(self, query: exp.Query) -> Iterator[tuple[Any, ...]]:
        """A query's rows as they come; to be read before the next query is run."""
        return self._fetched(self._run(query))

    def view(self, name: str, query: exp.Query) -> None:
        """Give a query a name."""
        self._run(temporary("VIEW", name, query))

    def rows(self, query: exp.Query) -> list[tuple[Any, ...]]:
        return list(self.stream(query))

    def in_order(self, name: str, column: str) -> bool:
        """Whether every value of a column is greater than the one read before it; then each is there once."""
        before = exp.Window(this=exp.Anonymous(this="LAG", expressions=[exp.column(column, quoted=True)]))
        read = exp.select(exp.alias_(exp.column(column, quoted=True), "own"), exp.alias_(before, "before"))
        own, last = exp.column("own"), exp.column("before")
        wrong = exp.or_(exp.LTE(this=own, expression=last), exp.Is(this=own.copy(), expression=exp.Null()))
        query = exp.select("1").from_(read.from_(identifier(name)).subquery("r")).where(wrong).limit(1)
        return not self.rows(query)

    def land(self, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> None:
        """Keep rows as a temporary table; ``columns`` maps name to a type (``BIGINT``, ``VARCHAR``, ``BOOLEAN``…)."""
        with tempfile.TemporaryDirectory(prefix="maysend-") as directory:
            file = Path(directory) / "rows.csv"
            with file.open("w", encoding="utf-8", newline="") as out:
                writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
                writer.writerows([_NULL if value is None else value for value in row] for row in rows)
            relation = self._connection.read_csv(
                str(file),
                header=False,
                columns=dict(columns),
                delimiter=",",
                na_values=_NULL,
                **_CSV,
            )
            relation.create_view("landing", replace=True)
            self.create(name, exp.select("*").from_("landing"))

    def packed(self, name: str) -> bytes:
        """A relation's rows as a stream of Arrow."""
        import pyarrow  # not every DuckDB has one beside it

        query = exp.select("*").from_(identifier(name))
        found, sink = self._connection.sql(query.sql("duckdb")).to_arrow_table(), pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, found.schema) as stream:
            stream.write_table(found)
        return bytes(sink.getvalue().to_pybytes())

    def unpack(self, name: str, parts: Sequence[bytes]) -> None:
        """Keep the rows of streams of Arrow as a temporary table."""
        import pyarrow

        rows = pyarrow.concat_tables([pyarrow.ipc.open_stream(part).read_all() for part in parts])
        self._connection.register("unpacking", rows)
        self.create(name, exp.select("*").from_("unpacking"))
        self._connection.unregister("unpacking")

    def open_files(self, name: str, files: Sequence[str]) -> None:
        """Make Parquet files readable as one, in place of a table that had the name."""
        before = exp.Table(this=identifier(name), db=exp.to_identifier("temp"))
        self._run(exp.Drop(tables=[before], kind="TABLE", exists=True))
        self._connection.read_parquet(list(files)).create_view(name, replace=True)

    def count(self, name: str) -> int:
        """How many rows a relation has."""
        ((count,),) = self.rows(exp.select(exp.Count(this=exp.Star())).from_(identifier(name)))
        return int(count)

    @property
    def local(self) -> DuckDB:
        return self

    def take(self, name: str) -> None:
        """Nothing: it is here already."""

    def write(self, query: exp.Query, file: Path, *, parquet: Mapping[str, str | int] = _PARQUET) -> None:
        """Write a query's rows to a Parquet or CSV file, by its ending, in the query's order.

        ``parquet`` are the options of DuckDB's ``COPY`` to a Parquet file.
        """
        try:
            with self._timed("file"):
                if file.suffix == ".csv":
                    self._connection.sql(query.sql("duckdb")).write_csv(str(file), header=True)
                else:
                    self._connection.execute(copied(query, file, {"format": "parquet", **parquet}).sql("duckdb"))
        except duckdb.Error as error:
            raise self._unwritten(file, error) from None

    def keep(self, query: exp.Query, file: Path) -> int:
        """Write a query's rows to a file that ``open_kept`` reads, in the query's order; how many there are.

        Raises OutputError where the file cannot be written.
        """
        beside = exp.to_identifier(f"kept {token_hex(4)}", quoted=True)
        create = exp.Create(this=exp.Table(this=identifier(_ROWS), db=beside.copy()), kind="TABLE", expression=query)
        with self._attached(file, beside), self._timed("file"):
            ((count,),) = self._run(create).fetchall()
        return int(count)

    def open_kept(self, name: str, file: Path) -> Table:
        """Make the rows that ``keep`` wrote readable as ``name``, for as long as the run lasts; their columns by name.

        Raises SourceError where the file is no such file.
        """
        beside = exp.to_identifier(f"kept {name}", quoted=True)
        self._run(attach(file, beside, read_only=True))
        self.view(name, exp.select("*").from_(exp.Table(this=identifier(_ROWS), db=beside)))
        return table_of(self._connection.table(identifier(name).sql("duckdb")))

    def read(self, path: Path) -> tuple[list[str], Iterable[tuple[Any, ...]]]:
        """A Parquet file's column names, and its rows as they come."""
        try:
            cursor = self._connection.cursor()
            relation = cursor.read_parquet(str(path))
            relation.create_view("reading", replace=True)
            return list(relation.columns), self._fetched(cursor.execute(exp.select("*").from_("reading").sql("duckdb")))
        except duckdb.Error as error:
            raise SourceError(self._located(line(str(error)), Source(str(path), str(path)))) from None

    def _relation(self, source: Source) -> duckdb.DuckDBPyRelation:
        path = source.path
        if is_csv(path):
            header = read_header(self._files(source))
            return self._connection.read_csv(
                path,
                header=True,
                columns={name: DECLARED[source.columns.get(name, "text")] for name in header.names},
                delimiter=header.delimiter,
                strict_mode=True,
                **_CSV,
            )
        if path.endswith(".sql"):
            return self._connection.sql(read_query(source).sql("duckdb"))
        if path.endswith(_JSON):
            guessed = self._connection.read_json(path)
            return self._connection.read_json(path, columns=as_written(guessed, source))
        self.check_columns(source, self._files(source))
        return self._connection.read_parquet(path, union_by_name=True, hive_partitioning=True)

    def _files(self, source: Source) -> list[str]:
        """The files of a path or glob; a ``.sql`` file and those it reads. Raises SourceError where there are none."""
        files = []
        for path in (source.path, *(read_paths(source) if source.path.endswith(".sql") else ())):
            found = self._connection.execute("SELECT file FROM glob(?)", [path]).fetchall()
            if not found:
                raise SourceError(f"{source.location if path == source.path else path}: there is no such file")
            files += [str(file) for (file,) in found]
        return sorted(files)

    def _stamps(self, source: Source) -> Sequence[object]:
        """What tells a file from a later one of the same name."""
        return [stamp_of(file, source.location) for file in self._files(source)]

    def check_columns(self, source: Source, files: Sequence[str]) -> None:
        """The Parquet files of a source have the same columns, of types that compare alike.

        Raises SourceError where they have not.
        """
        if len(files) < 2:
            return
        tables = {file: table_of(self._connection.read_parquet(file, hive_partitioning=False)) for file in files}
        first = tables[files[0]]
        for file, table in tables.items():
            for name in {**first, **table}:
                if name not in table or name not in first:
                    lacks, has = (file, files[0]) if name not in table else (files[0], file)
                    raise SourceError(self._located(f'{lacks}: has no column "{name}", unlike {has}', source))
                if (one := first[name]) != (other := table[name]) and not {one.kind, other.kind} <= NUMBERS:
                    told = f'{file}: column "{name}" is of type {other}, and {one} in {files[0]}'
                    raise SourceError(self._located(told, source))

    def _run(self, query: exp.Expr) -> Any:
        return self._execute(query.sql("duckdb", copy=False))

    def _execute(self, text: str) -> Any:
        try:
            return self._connection.execute(text)
        except duckdb.Error as error:
            raise self._error(error) from None

    def _fetched(self, result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
        try:
            while rows := result.fetchmany(10_000):
                yield from rows
        except duckdb.Error as error:
            raise self._error(error) from None

    def _error(self, error: duckdb.Error) -> MaysendError:
        text, said = str(error), line(str(error))
        if isinstance(error, duckdb.OutOfMemoryException):
            return MaysendError(said)
        self.check_sources()
        sources = [source for source, _ in self._opened.values()]
        if column := converted_column(text):
            declaring = [source.location for source in sources if column in source.columns]
            said = f"{' or '.join(dict.fromkeys(declaring)) or 'a source'}: {said}"
        return SourceError(self._located(said, *sources))

    def _unwritten(self, file: Path, error: duckdb.Error) -> MaysendError:
        if str(file) not in str(error):
            return self._error(error)
        return OutputError(f"{file.name}: cannot be written: {line(str(error)).rpartition(': ')[2]}")

    def _located(self, said: str, *sources: Source) -> str:
        """A message with the sources' files as declared, and not by their absolute paths."""
        for source in sources:
            if source.path.endswith(f"/{source.location}"):
                said = said.replace(source.path.removesuffix(source.location), "")
        return said


def stamp_of(file: str, location: str) -> tuple[object, ...]:
    """What tells a file from a later one of the same name. Raises SourceError where it cannot be looked at."""
    try:
        stat = os.stat(file)
    except OSError as error:
        raise SourceError(f"{location}: {file} cannot be read: {error.strerror}") from None
    return os.path.realpath(file), stat.st_ino, stat.st_size, stat.st_mtime_ns
