"""The real command line, and a real server, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from maysend import cli
from serving import Server, serving, write

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def maysend() -> Run:
    """Run ``maysend ARGUMENTS`` in ``cwd``; a code other than ``code``, or a traceback, fails the test."""

    def run(*arguments: object, cwd: Path, code: int = 0, env: dict[str, str] | None = None) -> Any:
        program = Path(sys.executable).with_name("maysend")
        done = subprocess.run(
            [program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, env=os.environ | (env or {})
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def maysend_json(maysend: Run) -> Callable[..., Any]:
    """Run ``maysend ARGUMENTS --json`` and return what it printed."""
    return lambda *arguments, **options: json.loads(maysend(*arguments, "--json", **options).stdout)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """What ``maysend`` does, in this process: the same ``main``, the same exit codes and output, without the start."""

    def run(*arguments: object, cwd: Path, code: int = 0) -> Any:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["maysend", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert (ended.value.code or 0) == code, f"exit code {ended.value.code}\n{said.out}\n{said.err}"
        assert "Traceback" not in said.err, said.err
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    return run


@pytest.fixture
def here_json(here: Run) -> Callable[..., Any]:
    """What ``maysend ARGUMENTS --json`` prints, in this process."""
    return lambda *arguments, **options: json.loads(here(*arguments, "--json", **options).stdout)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``maysend serve`` over the project of ``serving``, for all tests of a module."""
    root = tmp_path_factory.mktemp("served")
    ledger = f"sqlite:///{root}/ledger.db"
    write(root, ledger)
    with serving(root, ledger) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client
