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
_CHANGING = (
    exp.CurrentTimestamp,
    exp.CurrentDate,
    exp.CurrentTime,
    exp.Localtimestamp,
    exp.Localtime,
    exp.Rand,
    exp.Uuid,
    exp.TableSample,
)
_CHANGING_NAMES = frozenset(
    [
        "ago",
        "current_connection_id",
        "current_date",
        "current_localtime",
        "current_localtimestamp",
        "current_query",
        "current_query_id",
        "current_transaction_id",
        "gen_random_uuid",
        "get_current_time",
        "get_current_timestamp",
        "getenv",
        "now",
        "pg_conf_load_time",
        "pg_postmaster_start_time",
        "random",
        "today",
        "transaction_timestamp",
        "txid_current",
        "uuid",
        "uuidv4",
        "uuidv7",
    ]
)
_READ_FROM = (exp.Table, exp.Query, exp.Values, exp.Unnest, exp.Lateral, exp.Pivot)
"""What a query may read from: their tables are looked at. A function, or SUMMARIZE, could read any file."""


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
        elif _is_path(table.name):
            found[table.name] = None
    return list(found)


def _refuse_what_changes(query: exp.Query, source: Source) -> None:
    for node in query.walk():
        if _changes(node):
            raise SourceError(f"{source.location}: {node.sql('duckdb')} is not the same each time; a source must be")


def _changes(node: exp.Expr) -> bool:
    """Whether a part of a query depends on when it is run, by whom, or on chance."""
    if not isinstance(node, exp.Anonymous):
        return isinstance(node, _CHANGING)
    name = node.name.lower()
    return name in _CHANGING_NAMES or (name == "age" and len(node.expressions) < 2)


def _bind_files(query: exp.Query, source: Source) -> None:
    """Every table is a name of the query's own (WITH), or a file of a declared folder."""
    for cte in query.find_all(exp.CTE):
        if _is_path(cte.alias):
            raise SourceError(f'{source.location}: WITH "{cte.alias}" reads like a file; give it another name')
    for place in query.find_all(exp.From, exp.Join, exp.Lateral, exp.Subquery):
        if not isinstance(place.this, _READ_FROM):
            raise _refused(place.this, source)
    for table in list(query.find_all(exp.Table)):
        inside = table.this
        if isinstance(inside, exp.Identifier):
            if not table.db and _is_path(table.name):
                table.set("this", exp.to_identifier(_allowed(table.name, source), quoted=True))
                continue
            if not table.db and _is_own(table):
                continue
        elif type(inside) in _READERS or (isinstance(inside, exp.Anonymous) and inside.name.lower() in _READERS):
            for path in _paths(inside):
                path.set("this", _allowed(path.name, source))
            continue
        raise _refused(table, source)


def _is_path(name: str) -> bool:
    """Whether DuckDB may take a table's name for a file's."""
    return "." in name or "/" in name


def _is_own(table: exp.Table) -> bool:
    """Whether a table is named by a WITH that it sees: of a query around it, before the part that it stands in."""
    inside: exp.Expr = table
    while around := inside.parent:
        if isinstance(around, exp.With):
            before = around.expressions[: (inside.index or 0) + bool(around.recursive)]
        else:
            own = around.args.get("with_")
            before = own.expressions if own and own is not inside else []
        if any(cte.alias == table.name for cte in before):
            return True
        inside = around
    return False


def _refused(read: exp.Expr, source: Source) -> SourceError:
    return SourceError(f"{source.location}: reads {read.sql('duckdb')}; only files of the declared folders may be read")


def _paths(reader: exp.Expr) -> list[exp.Literal]:
    """The path of a reading function, or each in its list."""
    first = reader.this if isinstance(reader, exp.ReadCSV) else reader.expressions[0]
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
