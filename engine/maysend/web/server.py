"""The server: one process over SQLite or PostgreSQL, or several over PostgreSQL."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from .. import loader, plugins, tokens
from ..errors import InvalidProjectError, MaysendError
from ..ledger import open_ledger
from ..model import Project
from .app import create
from .metrics import MULTIPROCESS
from .reloading import Reloader
from .site import open_site

_ROOT = "MAYSEND_PROJECT"
_GRACE = 20
"""Seconds that requests under way have to end in."""

_log = logging.getLogger("maysend")


def serve(root: Path, host: str, port: int, workers: int) -> None:
    """Serve the project in ``root`` until a signal ends it; what was acknowledged is committed.

    Raises MaysendError where it cannot start.
    """
    project = _load(root)
    tokens.keys_from_environment()
    if workers > 1 and project.ledger.startswith("sqlite"):
        raise MaysendError(f"{workers} workers cannot share an SQLite ledger; use PostgreSQL, or one worker")
    os.environ[_ROOT] = str(root)
    config = uvicorn.Config(
        "maysend.web.server:create_app",
        factory=True,
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE,
        lifespan="on",
    )
    create_app_once = create_app() if workers == 1 else None
    with _listening(host, port) as listening:
        where = listening.getsockname()
        _log.warning("serving %s at http://%s:%d (Ctrl-C ends it)", project.title, where[0], where[1])
