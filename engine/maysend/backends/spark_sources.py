"""Sources as Spark reads them: files and directories that the cluster sees, and tables of the session's catalog."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from functools import partial
from glob import glob
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkTypeError
from pyspark.sql import Column, DataFrame, SparkSession, functions, types

from ..columns import ColumnType, Kind
from ..errors import SourceError
from ..model import Source
from .csv_files import is_csv, read_header
from .duckdb import stamp_of
from .duckdb_columns import UNWRITTEN
from .spark_words import quoted

_KINDS: Mapping[type[types.DataType], Kind] = {
    **dict.fromkeys((types.ByteType, types.ShortType, types.IntegerType, types.LongType), "integer"),
    **dict.fromkeys((types.FloatType, types.DoubleType), "float"),
    **dict.fromkeys((types.StringType, types.CharType, types.VarcharType), "text"),
    types.BooleanType: "boolean",
    types.DateType: "date",
    types.TimestampNTZType: "timestamp",
    types.TimestampType: "instant",
}
_DECLARED: Mapping[str, str] = {
    "text": "STRING",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "decimal": "DECIMAL(28, 9)",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP_NTZ",
    "instant": "TIMESTAMP_LTZ",
    "list of text": "ARRAY<STRING>",
    "list of integer": "ARRAY<BIGINT>",
    "list of number": "ARRAY<DOUBLE>",
}
_MARKER = re.compile("_(SUCCESS|metadata|common_metadata|(committed|started)_.*)")
"""What Spark and those like it write beside data."""
_UNSIGNED = types.DecimalType(20, 0)  # Parquet's unsigned 64 bits
_JSON = (".json", ".jsonl", ".ndjson", ".json.gz")


def read(session: SparkSession, source: Source) -> DataFrame:
    """A source's rows, with the types that are declared.

    Raises SourceError where it is not there, or not as declared.
    """
    frame = _undeclared(session, source)
    if is_csv(source.path):
        frame = frame.select(*(_text(name, source) for name in frame.columns))
    missing = [name for name in source.columns if name not in frame.columns]
    if missing:
        raise SourceError(f'has no column "{missing[0]}", which "columns" declares')
    if not source.columns:
        return frame
    return frame.select(
        *(
            _as_declared(field, source.columns[field.name]) if field.name in source.columns else quoted(field.name)
            for field in frame.schema.fields
        )
    )


def _as_declared(field: types.StructField, declared: str) -> Column:
    """A column of the type that is declared, with what DuckDB makes of the stored one."""
    found = functions.col(quoted(field.name))
    match declared, field.dataType:
        case "integer", types.FloatType() | types.DoubleType():
            found = functions.rint(found)
        case "integer", types.DecimalType():
            found = functions.round(found)
        case "list of integer", types.ArrayType(elementType=types.FloatType() | types.DoubleType()):
            found = functions.transform(found, functions.rint)
        case "list of integer", types.ArrayType(elementType=types.DecimalType()):
            found = functions.transform(found, lambda item: functions.round(item))
        case "text" | "list of text", kind if _is_float(kind):
            raise SourceError(UNWRITTEN.format(field.name))
    return found.cast(_DECLARED[declared]).alias(field.name)


def _text(name: str, source: Source) -> Column:
    """A column of CSV, in which an empty text is a missing value, in quotes or not."""
    if source.columns.get(name, "").startswith("list"):
        raise SourceError(f'column "{name}" is a list, which Spark reads from no CSV; use Parquet or JSON')
    return functions.nullif(functions.col(quoted(name)), functions.lit("")).alias(name)


def _undeclared(session: SparkSession, source: Source) -> DataFrame:
    if source.table:
        return session.table(source.table)
    path = source.path
    if path.endswith(".sql"):
        raise SourceError("a .sql file is DuckDB's SQL; on Spark give a table or view: `source: table:catalog.name`")
    found = files_of(source)
    paths = [path] if not source.local else [uri(path)] if os.path.isdir(path) else list(map(uri, found))
    if is_csv(path):
        header = read_header(found) if source.local else None
        return session.read.options(
            header=True,
            sep=header.delimiter if header else ",",
            quote='"',
            escape='"',
            enforceSchema=False,
            mode="FAILFAST",
            multiLine=True,
        ).csv(paths)
    if path.endswith(_JSON):
        reader = session.read.options(mode="FAILFAST")
        fields = reader.json(paths).schema.fields
        return reader.schema(types.StructType([_as_text(field, source) for field in fields])).json(paths)
    options = {"mergeSchema": "true"} if len(paths) > 1 or "*" in path else {}
    if base := _base(path):
        options["basePath"] = uri(base) if source.local else base
    return session.read.options(**options).parquet(*paths)


def _as_text(field: types.StructField, source: Source) -> types.StructField:
    """A field of JSON whose type was guessed; where text is declared, it is read as it is written.

    Raises SourceError where that is a float.
    """
    written = {"text": types.StringType(), "list of text": types.ArrayType(types.StringType())}
    declared = written.get(source.columns.get(field.name, ""))
    if not declared:
        return field
    if _is_float(field.dataType):
        raise SourceError(UNWRITTEN.format(field.name))
    return types.StructField(field.name, declared)


def _is_float(kind: types.DataType) -> bool:
    """Whether a type is a float, or a list of them."""
    return isinstance(
        kind.elementType if isinstance(kind, types.ArrayType) else kind, types.FloatType | types.DoubleType
    )


def uri(path: str | Path) -> str:
    """A path of a file system that this machine and the workers share, whatever the cluster's default is."""
    return f"file://{path}"


def is_parquet(source: Source) -> bool:
    """Whether a source is files of Parquet that this machine sees."""
    return source.local and not is_csv(source.path) and not source.path.endswith((*_JSON, ".sql"))


def files_of(source: Source) -> list[str]:
    """The files of a path or glob that this machine sees, in order; none for a table, or what is elsewhere.

    Raises SourceError where there are none.
    """
    if not source.local:
        return []
    found = [source.path] if os.path.exists(source.path) else glob(source.path, recursive=True)
    found = [path for path in found if not _MARKER.fullmatch(os.path.basename(path))]
    if unread := [path for path in found if os.path.isfile(path) and _is_hidden(os.path.basename(path))]:
        raise SourceError(f"{unread[0]}: Spark reads no file whose name starts with _ or . and is silent; rename it")
    files = [file for path in found for file in (_inside(Path(path)) if os.path.isdir(path) else [path])]
    if not files:
        raise SourceError(f"{source.location}: there is no such file")
    return sorted(files)


def stamps(source: Source) -> Sequence[object]:
    """What tells a file from a later one of the same name."""
    found = []
    for file in files_of(source):
        found.append(stamp_of(file, source.location))
    return found


def own(session: SparkSession, files: Sequence[str]) -> DataFrame:
    """Parquet files that DuckDB wrote; without a job to find their columns, where Spark has the same types."""
    from pyarrow import parquet
    from pyspark.sql.pandas.types import from_arrow_schema

    reader = session.read
    with suppress(PySparkTypeError):
        reader = reader.schema(from_arrow_schema(parquet.read_schema(files[0]), prefer_timestamp_ntz=True))
    return reader.parquet(*map(uri, files))


def columns_of(schema: types.StructType) -> dict[str, ColumnType]:
    """A table's columns by name, and fields of struct columns under dotted names."""
    found: dict[str, ColumnType] = {}
    for field in schema.fields:
        found |= {name: type_ for name, type_ in _fields((field.name,), field.dataType) if name not in found}
    return found


def without_zones(frame: DataFrame) -> tuple[DataFrame, Any]:
    """The frame with its instants as times in UTC, and what makes a row a tuple in which they have their zone again.

    pyspark would give them in the zone of this process, and without it.
    """
    at = {place for place, field in enumerate(frame.schema.fields) if isinstance(field.dataType, types.TimestampType)}
    if not at:
        return frame, tuple
    names = [f"c{place}" for place in range(len(frame.columns))]
    renamed = frame.toDF(*names)
    plain = [functions.col(n).cast("timestamp_ntz") if i in at else functions.col(n) for i, n in enumerate(names)]
    return renamed.select(*plain), partial(_with_zones, at)


def _with_zones(at: set[int], row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(
        value.replace(tzinfo=UTC) if place in at and value is not None else value for place, value in enumerate(row)
    )


def _inside(directory: Path) -> list[str]:
    """A directory's data files."""
    return [
        str(file)
        for file in directory.rglob("*")
        if file.is_file() and not any(map(_is_hidden, file.relative_to(directory).parts))
    ]


def _is_hidden(name: str) -> bool:
    """Whether a name is that of no data, as Spark has it: ``_x`` and ``.x``, but not the partition ``_x=1``."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _base(path: str) -> str | None:
    """The directory under which ``name=value`` directories are columns; None where a path has none of them."""
    parts = path.split("/")
    first = next((place for place, part in enumerate(parts) if "=" in part or "*" in part or "?" in part), None)
    return "/".join(parts[:first]) if first is not None and first < len(parts) - 1 else None


def _fields(path: tuple[str, ...], kind: types.DataType) -> Iterable[tuple[str, ColumnType]]:
    at = path if len(path) > 1 else ()
    if isinstance(kind, types.ArrayType):
        yield ".".join(path), ColumnType("list", _kind(kind.elementType), at)
        return
    yield ".".join(path), ColumnType(_kind(kind), None, at)
    if isinstance(kind, types.StructType):
        for field in kind.fields:
            yield from _fields((*path, field.name), field.dataType)


def _kind(kind: types.DataType) -> Kind:
    if isinstance(kind, types.DecimalType):
        return "integer" if kind == _UNSIGNED else "decimal"
    return _KINDS.get(type(kind), "other")
