"""What plans need of the engine they run on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from sqlglot import exp


class Engine(Protocol):
    """What a plan needs of a backend. Relations it may read: ``profiles``, ``answers``, ``events <name>``."""

    def create(self, name: str, query: exp.Query) -> None:
        """Keep a query's rows as a temporary table, replacing one of that name."""

    def create_few(self, tables: Iterable[tuple[str, exp.Query]]) -> None:
        """The same for queries of few rows, by name, which are not worth a good plan; each while the next is made, so
        that nothing may be asked of the engine to make it."""

    def each(self, name: str, query: exp.Query, *, first: Mapping[str, exp.Query]) -> None:
        """Keep what a query finds in each part of a large table, where that is in parts; whoever reads it puts the
        parts together. ``first`` are tables that it reads, of the same part."""

    def view(self, name: str, query: exp.Query) -> None:
        """Give a query a name."""

    def rows(self, query: exp.Query) -> list[tuple[Any, ...]]: ...
