"""Audiences that can never have anyone: two lines of the declarations that cannot both be true."""

from __future__ import annotations

from collections.abc import Iterator

from .errors import Problem
from .model import Project


def contradictions(project: Project) -> Iterator[Problem]:
    yield from ()
