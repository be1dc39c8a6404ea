"""A ``.sql`` file as a source: one SELECT, parsed, that reads files of declared folders and nothing else."""

from __future__ import annotations

from pathlib import Path

import sqlglot
from sqlglot import exp

from ..errors import SourceError
from ..model import Source

_READERS: dict[type[exp.Expr] | str, str] = {
    exp.ReadParquet: "read_parquet",
    exp.ReadCSV: "read_csv",
    "read_csv_auto": "read_csv_auto",
    "read_json": "read_json",
    "read_json_auto": "read_json_auto",
    "read_ndjson": "read_ndjson",
}
_CHANGING = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.Rand, exp.Uuid)
_CHANGING_NAMES = frozenset(("now", "today", "random", "gen_random_uuid", "uuid", "getenv", "transaction_timestamp"))


def read_query(source: Source) -> exp.Query:
    """The file's SELECT, with the paths it reads made absolute.

    Raises SourceError where it is not one SELECT, reads outside the declared folders, or is not the same each time.
    """
    try:
        text = Path(source.path).read_text(encoding="utf-8")
        statements = [statement for statement in sqlglot.parse(text, dialect="duckdb") if statement]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{source.location}: cannot be read: {error}") from None
    except sqlglot.errors.ParseError as error:
        first = error.errors[0]
        raise SourceError(
            f"{source.location}:{first.get('line')}:{first.get('col')}: {first.get('description')}"
        ) from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise SourceError(f"{source.location}: must hold one SELECT and nothing else")
    query = statements[0]
    _refuse_what_changes(query, source)
    _bind_files(query, source)
    return query


def read_paths(source: Source) -> list[str]:
    """The paths and globs that the file's SELECT reads, absolute. Raises SourceError as ``read_query`` does."""
    found: dict[str, None] = {}
    for table in read_query(source).find_all(exp.Table):
        inside = table.this
        if not isinstance(inside, exp.Identifier):
            found |= dict.fromkeys(path.name for path in _paths(inside))
        elif "." in table.name:
            found[table.name] = None
    return list(found)


def _refuse_what_changes(query: exp.Query, source: Source) -> None:
    for node in query.walk():
        name = node.name.lower() if isinstance(node, exp.Anonymous) else type(node).__name__
        if isinstance(node, _CHANGING) or name in _CHANGING_NAMES:
            raise SourceError(f"{source.location}: {node.sql('duckdb')} is not the same each time; a source must be")


def _bind_files(query: exp.Query, source: Source) -> None:
    """Every table is a name of the query's own (WITH), or a file of a declared folder."""
    own = {cte.alias_or_name for cte in query.find_all(exp.CTE)}
    for table in list(query.find_all(exp.Table)):
        inside = table.this
        if isinstance(inside, exp.Identifier):
            if table.name in own and not table.db:
                continue
            if not table.db and "." in table.name:
                table.set("this", exp.to_identifier(_allowed(table.name, source), quoted=True))
                continue
        elif type(inside) in _READERS or (isinstance(inside, exp.Anonymous) and inside.name.lower() in _READERS):
            for path in _paths(inside):
                path.set("this", _allowed(path.name, source))
            continue
        raise SourceError(
            f"{source.location}: reads {table.sql('duckdb')}; only files of the declared folders may be read"
        )


def _paths(reader: exp.Expr) -> list[exp.Literal]:
    """The path of a reading function, or each in its list."""
    first = reader.expressions[0] if isinstance(reader, exp.Anonymous) else reader.this
    several = first.expressions if isinstance(first, exp.Array) else [first]
    paths = [path for path in several if isinstance(path, exp.Literal) and path.is_string]
    if len(paths) != len(several) or not paths:
        raise SourceError(f"{reader.sql('duckdb')}: a path must be written out as text")
    return paths


def _allowed(path: str, source: Source) -> str:
    """A path made absolute, if a declared folder holds it."""
    root = Path(source.root)
    absolute = (root / path).resolve()
    for folder in source.folders:
        if absolute.is_relative_to((root / folder).resolve()):
            return str(absolute)
    folders = ", ".join(source.folders) or "none"
    raise SourceError(f'{source.location}: reads "{path}", outside the declared folders ({folders})')
