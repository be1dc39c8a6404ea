"""The two stores: opening them safely, telling what is wrong with them, and bringing them up to date."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    column,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
    table,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from ..errors import LedgerError, LedgerMissingError
from .glance import SCHEMA
from .statements import run

BUSY_SECONDS = 30
"""How long an append waits for another process's lock before it gives up."""

TURN_SECONDS = 0.002
"""How often it looks for SQLite's lock meanwhile."""

RETRY_SECONDS = 15
"""How long an append waits for a server that went away."""

CACHE_KIB = 32 * 1024
"""What SQLite keeps in memory a connection, so that an import does not write a page many times a transaction."""

_LOCK = 0x6D617973  # "mays"
_PLAIN: Mapping[type, Callable[[Any], Any]] = {type(None): lambda value: value, bool: int, bytes: bytes}
"""What SQLite's driver takes as it is, but only after a long search for an adapter, unless there is one."""

_ADVICE = "restore it from a backup, or, where nobody has answered yet, run `maysend init`"

T = TypeVar("T")
_FIXED = (
    (3, 44, 6),
    (3, 50, 7),
)  # SQLite branches that received the fix of the WAL-reset bug; everything from 3.51.3 has it


def connect(url: str, root: Path, *, create: bool) -> Engine:
    """An engine for ``url``, whose relative SQLite path starts at ``root``; nothing is opened yet.

    Raises LedgerError where the URL is of no known store, or its file is missing and ``create`` is false.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise LedgerError(
            "ledger: is not a URL; write sqlite:///.maysend/ledger.db or postgresql://host/database"
        ) from None
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(_sqlite_file(parsed, root, create=create))
        case "postgresql":
            return _postgresql(parsed)
        case other:
            raise LedgerError(f'ledger: "{other}" is no store; use sqlite or postgresql')


def name_of(engine: Engine) -> str:
    """How people are told of a ledger: its path, or its URL without the password."""
    if engine.dialect.name == "sqlite":
        return str(engine.url.database)
    return engine.url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)


@contextmanager
def clear_errors(engine: Engine) -> Iterator[None]:
    """Turn what a database driver raises into one line that says what to do."""
    try:
        yield
    except SQLAlchemyError as error:
        raise LedgerError(f"ledger {name_of(engine)}: {_explain(error)}") from error


def prepare(engine: Engine, *, create: bool) -> None:
    """Check that the database holds a ledger this program understands; make or upgrade it where that is safe.

    Raises LedgerError where it is missing (and ``create`` is false), another program's, or newer.
    """
    with clear_errors(engine), engine.connect() as connection:
        found = _schema(connection)
        strangers = engine.dialect.name == "sqlite" and not found and bool(inspect(connection).get_table_names())
    if strangers:
        raise LedgerError(f"ledger {name_of(engine)}: is another program's database; name another file")
    if not found and not create:
        is_file = engine.dialect.name == "sqlite"
        raise LedgerMissingError(f"ledger {name_of(engine)}: {'is empty' if is_file else 'is missing'}; {_ADVICE}")
    if found and found > SCHEMA:
        raise LedgerError(
            f"ledger {name_of(engine)}: is at schema {found}, newer than this maysend ({SCHEMA}); upgrade maysend"
        )
    if found != SCHEMA:
        _migrate(engine)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one moment of the ledger, whatever is written meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other writer runs beside, so that the order of ``seq`` is the order of commits."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        lock(connection)
        yield connection


def outlast(write: Callable[[bool], T]) -> T:
    """Try ``write`` again for as long as a server that went away may need to come back.

    It is told whether an earlier try may have been committed without anyone hearing of it.
    """
    deadline = time.monotonic() + RETRY_SECONDS
    tried = False
    while True:
        try:
            return write(tried)
        except DBAPIError as error:
            if not _is_lost(error) or time.monotonic() > deadline:
                raise
        tried = True
        time.sleep(0.2)


def lock(connection: Connection) -> None:
    """Wait for the writers' lock of PostgreSQL; SQLite took its own when the transaction began."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.set_config("lock_timeout", f"{BUSY_SECONDS}s", True)))
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK, func.hashtext(func.current_schema()))))


def forget(engine: Engine) -> None:
    """See to it that what was just erased leaves SQLite's files too; PostgreSQL forgets when it vacuums."""
    if engine.dialect.name == "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def sqlite_journal(version: tuple[int, ...] | None = None) -> tuple[str, str]:
    """The journal mode that is safe with a version of the SQLite library (default: the one in use), and why.

    SQLite 3.7.0 to 3.51.2 can lose committed work where a checkpoint runs beside a writer (the WAL-reset bug).
    """
    version = version or tuple(sqlite_module().sqlite_version_info)
    if version >= (3, 51, 3) or any(version[:2] == fixed[:2] and version >= fixed for fixed in _FIXED):
        return "WAL", "it has the fix of the WAL-reset bug"
    return "TRUNCATE", "it has the WAL-reset bug, fixed in 3.51.3"


def sqlite_version() -> str:
    return str(sqlite_module().sqlite_version)


def sqlite_module() -> Any:
    """``pysqlite3``, which carries a recent SQLite, where it is installed; else Python's own."""
    return import_module("pysqlite3.dbapi2") if find_spec("pysqlite3") else sqlite3


def _sqlite_file(url: URL, root: Path, *, create: bool) -> Path:
    if not url.database or url.database == ":memory:":
        raise LedgerError("ledger: needs a file, as in sqlite:///.maysend/ledger.db")
    file = root / url.database
    if not create and not file.exists():
        raise LedgerMissingError(f"ledger {file}: is missing; {_ADVICE}")
    try:
        if create:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    except OSError as error:
        raise LedgerError(f"ledger {file}: cannot be made: {error.strerror}") from None
    return file


def _sqlite(file: Path) -> Engine:
    module = sqlite_module()
    mode, _ = sqlite_journal()
    for kind, as_it_is in _PLAIN.items():
        module.register_adapter(kind, as_it_is)

    def open_file() -> Any:
        address = f"file:{quote(str(file))}?mode=rw"  # never make a file here: a missing ledger is no empty one
        return module.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    engine = create_engine(URL.create("sqlite", database=str(file)), module=module, creator=open_file, max_overflow=60)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        if connection.execute("PRAGMA journal_mode").fetchone()[0].upper() != mode:
            connection.execute(f"PRAGMA journal_mode={mode}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes"):
            _take_turn(connection)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _take_turn(connection: Connection) -> None:
    """Begin to write, as soon as no other process does.

    SQLite itself would look for the lock ten times a second, and be late each time that others write without a pause.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    run(connection, "PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                run(connection, "BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                if "database is locked" not in str(error.orig) or time.monotonic() > deadline:
                    raise
            time.sleep(TURN_SECONDS)
    finally:
        run(connection, f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


def _postgresql(url: URL) -> Engine:
    try:
        engine = create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, max_overflow=60)
    except ModuleNotFoundError:
        raise LedgerError("ledger: PostgreSQL needs its driver; run `pip install 'maysend[postgres]'`") from None

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.commit()

    return engine


def _is_lost(error: DBAPIError) -> bool:
    """Whether the server went away or is not back yet: PostgreSQL's classes 08 (connection) and 57P (shutting down)."""
    if not isinstance(error, OperationalError) or isinstance(error.orig, sqlite_module().Error):
        return False
    code = getattr(error.orig, "sqlstate", None)
    return code is None or code.startswith(("08", "57P"))


def _schema(connection: Connection) -> str | None:
    if not inspect(connection).has_table("maysend_schema"):
        return None
    return connection.execute(select(table("maysend_schema", column("version_num")).c.version_num)).scalar_one_or_none()


_MIGRATING = Lock()
"""Alembic keeps what it works on in a module: one thread at a time."""


def _migrate(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    with _MIGRATING, clear_errors(engine), writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _explain(error: SQLAlchemyError) -> str:
    told = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
    for sign, meaning in _SIGNS.items():
        if sign in told:
            return meaning
    return told or type(error).__name__


_HELD = f"is held by another process for more than {BUSY_SECONDS} seconds; nothing was recorded, try again"
_SIGNS = {
    "database is locked": _HELD,
    "lock timeout": _HELD,
    "readonly database": "cannot be written (read-only file or directory); nothing was recorded",
    "unable to open database file": "cannot be opened or its directory cannot be written; check the permissions",
    "disk is full": "the disk is full; nothing was recorded, make room and try again",
    "disk I/O error": "the disk reports an error; nothing was recorded, check the disk and try again",
    "file is not a database": "is no SQLite database; restore it from a backup",
    "database disk image is malformed": "is damaged; restore it from a backup",
    "Connection refused": "the database server does not answer; start it, or correct the URL",
}
