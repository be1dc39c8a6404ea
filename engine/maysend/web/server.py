"""The server: one process over SQLite or PostgreSQL, or several over PostgreSQL."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from uvicorn.supervisors import Multiprocess

from .. import delivery, garbage, loader, plugins, tokens
from ..declarations import meaning
from ..errors import InvalidProjectError, MaysendError
from ..ledger import Ledger, open_ledger
from ..model import Project
from ..moments import Clock
from . import reloading
from .app import create
from .metrics import MULTIPROCESS
from .reloading import Reloader
from .site import Site, open_site

T = TypeVar("T")

_ROOT = "MAYSEND_PROJECT"
_SERVED = "MAYSEND_SERVED"
"""The environment variable that tells workers which ledger is served."""
_OTHER_LEDGER = "project.yaml names another ledger; restart the server to use it"
_GRACE = 20
"""Seconds that requests under way have to end in."""

_log = logging.getLogger("maysend")


def serve(root: Path, host: str, port: int, workers: int) -> None:
    """Serve the project in ``root`` until a signal ends it; what was acknowledged is committed.

    Raises MaysendError where it cannot start.
    """
    os.environ[_ROOT] = str(root)
    if workers > 1:
        if load(root).ledger.startswith("sqlite"):
            raise MaysendError(f"{workers} workers cannot share an SQLite ledger; use PostgreSQL, or one worker")
        os.environ.setdefault(MULTIPROCESS, tempfile.mkdtemp(prefix="maysend-metrics-"))
    app = create_app()
    with _listening(host, port) as listening:
        name, number = listening.getsockname()[:2]
        said = f"serving {app.state.site.project.title} at http://{name}:{number}"
        if workers == 1:
            server = uvicorn.Server(_config(app))
            for caught in (signal.SIGINT, signal.SIGTERM):
                signal.signal(caught, lambda *_: _end(server))
            _log.info(said)
            server.run([listening])
        else:
            app.state.ledger.close()
            os.environ[_SERVED] = _fingerprint(app.state.site.project)
            _log.info(said)
            Multiprocess(_config("maysend.web.server:create_app", workers=workers), [listening]).run()


def _end(server: uvicorn.Server) -> None:
    """What a signal means before uvicorn listens to it, and after: end well, with exit code 0."""
    server.should_exit = True


def create_app() -> Starlette:
    """The application of the project whose directory the environment names in MAYSEND_PROJECT.

    Raises MaysendError where its declarations, ledger or keys do not allow it.
    """
    _set_up_logging()
    root, found, keys = Path(os.environ[_ROOT]), plugins.load(), tokens.keys_from_environment()

    def begin() -> tuple[Project, Ledger, Site]:
        project = load(root)
        if os.environ.get(_SERVED, _fingerprint(project)) != _fingerprint(project):
            raise MaysendError(_OTHER_LEDGER)
        ledger = open_ledger(project.ledger, root)
        try:
            return project, ledger, open_site(project, found, ledger, keys)
        except BaseException:
            ledger.close()
            raise

    def reload() -> None:
        fresh = load(root)
        if fresh.ledger != project.ledger:
            raise MaysendError(_OTHER_LEDGER)
        before, app.state.site = app.state.site.project, open_site(fresh, found, ledger, keys)
        if fresh.settings.get("sinks") != before.settings.get("sinks"):
            app.state.delivery.stop()
            app.state.delivery = delivery.start(fresh, found, ledger)
        garbage.settle()

    # What changes from here on is taken in, also while the ledger is opened, and upgraded.
    reloader = Reloader(root, reload, lambda outcome: app.state.metrics.reloads.labels(outcome).inc())
    project, ledger, site = _patiently(begin) if _SERVED in os.environ else begin()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        app.state.delivery = delivery.start(project, found, ledger)
        reloader.start()
        garbage.settle()
        try:
            yield
        finally:
            await run_in_threadpool(reloader.stop)
            await run_in_threadpool(app.state.delivery.stop)
            await run_in_threadpool(ledger.close)

    app = create(site, ledger, lifespan)
    return app


def _patiently(begin: Callable[[], T]) -> T:
    """What ``begin`` returns, for a worker that takes another's place: tried until it can be had, while the others go
    on with what they have. A signal ends it at once."""
    said = ""
    with _signals_as_they_were():
        while True:
            try:
                return begin()
            except MaysendError as error:
                reason = str(error)
            if reason != said:
                _log.error("a worker waits for declarations that can be served\n%s", reason)
                said = reason
            time.sleep(reloading.SECONDS)


@contextmanager
def _signals_as_they_were() -> Iterator[None]:
    """uvicorn's handlers only tell the server, which is not there yet."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {caught: signal.signal(caught, signal.SIG_DFL) for caught in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for caught, handler in before.items():
            signal.signal(caught, handler)


def _fingerprint(project: Project) -> str:
    """Tells ledgers apart, and tells no password."""
    return hashlib.sha256(project.ledger.encode()).hexdigest()


def load(root: Path) -> Project:
    """The declarations as ``validate --offline`` accepts them. Raises InvalidProjectError."""
    project, problems = loader.check(root, plugins.load())
    if project:
        found, _ = meaning.offline_problems(project, Clock(datetime.now(UTC), ZoneInfo(project.timezone)))
        problems += found
    if problems or not project:
        raise InvalidProjectError(problems)
    return project


def _config(app: Starlette | str, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=workers,
        log_config=None,
        access_log=False,  # a path holds a token
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=_GRACE,
    )


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise MaysendError(f"cannot listen at {host}:{port}: {error.strerror or error}") from None


def _set_up_logging() -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
