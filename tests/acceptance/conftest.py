"""The real command line, as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
