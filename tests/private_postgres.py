"""A PostgreSQL server of a test's own, that it may kill and start again."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, reached at ``url``."""

    programs: Path
    directory: Path
    port: int
    owner: str | None

    @property
    def url(self) -> str:
        return f"postgresql://maysend@127.0.0.1:{self.port}/postgres"

    def restart(self) -> None:
        """End it at once, as a crash would, and start it again; it recovers from its log."""
        self._call("pg_ctl", "restart", "-m", "immediate", "-w", "-D", "data", "-l", "log")

    def start(self) -> None:
        self._call("initdb", "--no-sync", "-A", "trust", "-U", "maysend", "-D", "data")
        with (self.directory / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n")
        self._call("pg_ctl", "start", "-w", "-D", "data", "-l", "log")

    def stop(self) -> None:
        self._call("pg_ctl", "stop", "-m", "immediate", "-w", "-D", "data")

    def _call(self, program: str, *arguments: str) -> None:
        """PostgreSQL refuses to run as root, and then runs as its ``owner``."""
        who = (
            {}
            if self.owner is None
            else {"user": self.owner, "group": pwd.getpwnam(self.owner).pw_gid, "extra_groups": []}
        )
        done = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            **who,
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def running() -> Iterator[Server]:
    """A new and empty server, stopped and removed at the end; skips the test where there are no programs for one."""
    programs = _programs()
    if programs is None:
        pytest.skip("no programs of a PostgreSQL server (pg_ctl, initdb) are installed")
    owner = _owner() if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="maysend-postgres-", ignore_cleanup_errors=True) as directory:
        if owner:
            shutil.chown(directory, owner)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = Server(programs, Path(directory), port, owner)
        try:
            server.start()
            yield server
        finally:
            with suppress(AssertionError):
                server.stop()


def _programs() -> Path | None:
    found = [Path(program).resolve().parent for name in ("pg_ctl", "initdb") if (program := shutil.which(name))]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in found if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


def _owner() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in names:
            return name
    pytest.skip("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
