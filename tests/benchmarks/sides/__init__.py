"""One file a side: how each answers the same campaigns. ``Found`` and ``Asked`` are what all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..projects import Campaign, Kind, answers_of, draw_campaigns

THREADS = 2
"""How many threads each side may use."""

What = Literal["counts", "checks", "ids", "files"]


@dataclass(frozen=True, slots=True)
class Found:
    """One campaign's audience: how many are ``left`` after each stage, the audience itself first.

    ``who`` tells those left at the end from others: the sum of their checks, or their keys; None where not asked for.
    """

    left: tuple[int, ...]
    who: int | tuple[int, ...] | None = None

    @classmethod
    def of(cls, row: Sequence[Any], what: What) -> Found:
        """From a row of counts (NULL: none), and behind them what ``what`` asks for."""
        if what == "checks":
            return cls(_counts(row[:-1]), int(row[-1] or 0))
        if what == "ids":
            return cls(_counts(row[:-1]), tuple(sorted(map(int, row[-1] or ()))))
        return cls(_counts(row))


@dataclass(frozen=True, slots=True)
class Asked:
    """The tables of ``profiles`` profiles in ``directory``, and which campaigns over them; only the first ``limit``.

    ``what`` is what a side finds out: the ``counts`` of each campaign's stages alone, or with them a number for each
    audience (``checks``), or all its keys (``ids``); or it writes them to ``out`` (``files``). ``memory`` limits maysend.
    """

    directory: Path
    profiles: int
    kind: Kind
    what: What = "counts"
    limit: int | None = None
    memory: str | None = None

    @property
    def campaigns(self) -> list[Campaign]:
        return draw_campaigns(self.kind, self.profiles)[: self.limit]

    @property
    def project(self) -> Path:
        return self.directory / "projects" / self.kind

    @property
    def people(self) -> Path:
        return self.directory / "people" / f"{answers_of(self.kind)}.parquet"

    def out(self, side: str) -> Path:
        return self.directory / "out" / side


def named(asked: Asked, rows: Sequence[Sequence[Any]]) -> dict[str, Found]:
    """Each campaign's row."""
    return {campaign.name: Found.of(row, asked.what) for campaign, row in zip(asked.campaigns, rows, strict=True)}


def split(asked: Asked, row: Sequence[Any]) -> dict[str, Found]:
    """One row with all campaigns' columns behind each other."""
    width = len(row) // len(asked.campaigns)
    return named(asked, [row[start : start + width] for start in range(0, len(row), width)])


def _counts(values: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(value or 0) for value in values)
