"""What was measured, as a table for people, as JSON, and as a page of docs/."""

from __future__ import annotations

import inspect
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from .measuring import Measured
from .rows import Goal, Row
from .sides import THREADS

_PACKAGES = ("maysend", "duckdb", "polars", "chdb", "psycopg")


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, and the least and the most of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))

    def as_json(self) -> dict[str, float]:
        return {"median": self.median, "min": self.least, "max": self.most}


@dataclass(frozen=True, slots=True)
class Result:
    """A row, and what each of its contenders took, round by round."""

    row: Row
    rounds: Mapping[str, Sequence[Measured]]

    def seconds(self, name: str) -> list[float]:
        return [one.seconds for one in self.rounds[name]]

    def peak(self, name: str) -> int:
        return max(one.peak for one in self.rounds[name])

    def ratio(self, goal: Goal) -> Spread:
        """How many times as long (or with ``faster``, how many times less) ``of`` took as ``over``, round by round."""
        over = min(goal.over, key=lambda name: median(self.seconds(name)))
        pairs = zip(self.seconds(goal.of), self.seconds(over), strict=True)
        return Spread.of([theirs / mine if goal.faster else mine / theirs for mine, theirs in pairs])

    def holds(self, goal: Goal) -> bool:
        ratio = self.ratio(goal).median
        return ratio >= goal.limit if goal.faster else ratio <= goal.limit

    def goals(self) -> list[tuple[str, str, bool]]:
        """Each goal in words, what was measured, and whether it holds."""
        found = []
        for goal in self.row.goals:
            ratio = self.ratio(goal)
            over = goal.over[0] if len(goal.over) == 1 else f"the best of {', '.join(goal.over)}"
            limit = f"at least {goal.limit:g}x faster than" if goal.faster else f"at most {goal.limit:g}x"
            measured = f"{ratio.median:.3g}x ({ratio.least:.3g} to {ratio.most:.3g})"
            found.append((f"{goal.of}: {limit} {over}", measured, self.holds(goal)))
        if self.row.gigabytes:
            last = self.row.contenders[-1].name
            peak = self.peak(last) / 2**30
            found.append((f"{last}: within {self.row.gigabytes:g} GiB", f"{peak:.2f} GiB", peak <= self.row.gigabytes))
        return found

    def as_json(self) -> dict[str, Any]:
        sides = [
            {"name": name, "seconds": Spread.of(self.seconds(name)).as_json(), "peak_bytes": self.peak(name)}
            for name in self.rounds
        ]
        goals = [{"goal": goal, "measured": measured, "holds": holds} for goal, measured, holds in self.goals()]
        return {"title": self.row.title, "note": self.row.note, "sides": sides, "goals": goals}


def _lines(row: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """A line a contender: its name, the median, the spread, memory, and the median as times the first's."""
    first = row["sides"][0]["seconds"]["median"]
    found = []
    for side in row["sides"]:
        spread = side["seconds"]
        range_ = f"{_shown(spread['min'])} to {_shown(spread['max'])}"
        memory, times = f"{side['peak_bytes'] / 2**20:,.0f} MiB", f"{spread['median'] / first:.3g}x"
        found.append((side["name"], _shown(spread["median"]), range_, memory, times))
    return found


def conditions(profiles: int, rounds: int, command: str) -> dict[str, str]:
    """Where, when and with what a run measures."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory; every side has {THREADS} threads",
        "versions": ", ".join(f"{name} {found}" for name, found in _versions())
        + f", Python {platform.python_version()}",
        "size": f"{profiles:,} profiles, medians of {rounds} rounds, the sides in turn in each",
        "command": command,
    }


def show(console: Console, result: Result) -> None:
    """A row as a table, and its goals."""
    table = Table(title=result.row.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right")
    for line in _lines(result.as_json()):
        table.add_row(*line)
    console.print(table)
    if result.row.note:
        console.print(result.row.note, style="dim")
    for goal, measured, holds in result.goals():
        console.print(
            f"  {'✓' if holds else '✗'} {goal}: {measured}", style="green" if holds else "red", highlight=False
        )
    console.print()


def page(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """docs/benchmarks.md: every row, and under what ``conditions`` it was measured where these are not the first's."""
    about = next(iter(rows.values()))["conditions"]
    parts = [
        _INTRODUCTION,
        *(f"- {name}: {f'`{text}`' if name == 'command' else text}" for name, text in about.items()),
        "",
    ]
    for name, row in rows.items():
        own = row["conditions"]
        other = [f"{key} {own[key]}" for key in ("date", "size") if own[key] != about[key]]
        parts += [f"## {row.get('title') or name.capitalize()}", ""]
        if own["command"] != about["command"]:
            told = ", ".join([f"`{own['command']}`", *other])
            parts += [f"Measured by itself: {told}.", ""]
        parts += _row(row) if "sides" in row else _other(name, row)
    return "\n".join(parts)


def _row(row: Mapping[str, Any]) -> list[str]:
    """Contenders, and goals."""
    return [
        f"| | {' | '.join(_HEADINGS)} |",
        "|---|--:|--:|--:|--:|",
        *(f"| {' | '.join(line)} |" for line in _lines(row)),
        "",
        *([row["note"], ""] if row["note"] else []),
        "| goal | measured | holds |",
        "|---|---|---|",
        *(f"| {goal['goal']} | {goal['measured']} | {'yes' if goal['holds'] else '**no**'} |" for goal in row["goals"]),
        "",
    ]


def _other(name: str, row: Mapping[str, Any]) -> list[str]:
    """What a benchmark of its own found."""
    found = [f"| `{key}` | {line(value)} |" for key, value in row["found"].items()]
    return [_explained(name), "", "| | |", "|---|---|", *found, ""]


def _explained(name: str) -> str:
    """What a benchmark of its own measures, in the words of its docstring."""
    return (inspect.getdoc(import_module(f".{name}", __package__).measure) or "").replace("``", "`")


def line(value: object) -> str:
    """A number as it is, several as one line, a table in brackets in it."""
    if not isinstance(value, Mapping):
        return str(value)
    return ", ".join(
        f"{key} ({line(inner)})" if isinstance(inner, Mapping) else f"{key} {inner}" for key, inner in value.items()
    )


_HEADINGS = ("median", "spread", "memory", "times the first")
_INTRODUCTION = """# Benchmarks

Written by `make bench` with `WRITE=1`. Data and campaigns are drawn (`tests/benchmarks/`), the same each time: campaigns of
two to six conditions over seven columns of text, numbers, dates and lists, under all, any or some of 20 groups. Every other
side reads the statuses folded beforehand, and maysend its roster. Before anything is timed, the sides' audiences are
compared, key by key over 20,000 profiles and by a checksum over all. Where the time goes, and why a goal does not hold,
is in [architecture](architecture.md#where-the-time-goes).
"""


def _versions() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text(encoding="utf-8").splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
