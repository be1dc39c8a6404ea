"""Programs from npm that tests run: installed once, into a cache outside the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "maysend-tests"


def package(name: str, version: str) -> Path:
    """The directory of an installed package; skips where there is no npm, or no registry that has it."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("there is no npm")
    place = CACHE / f"{name}-{version}"
    found = place / "node_modules" / name
    if not found.is_dir():
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", place, f"{name}@{version}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode:
            shutil.rmtree(place, ignore_errors=True)
            pytest.skip(f"npm cannot install {name}: {done.stderr.strip().splitlines()[-1:]}")
    return found
