"""The rows of the table: what is measured beside what, and the goals."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from .generate import AS_OF, make_ledger, make_people, make_roster, make_tables
from .measuring import MAYSEND, Measured, measure_command, measure_side
from .projects import Kind, answers_of, make_project
from .sides import Asked

SCAN, QUERIES, POLARS, CHDB, POSTGRES = "scan", "DuckDB", "Polars", "chDB", "PostgreSQL"
QUERY_ONCE, POLARS_ONCE, CHDB_ONCE = "DuckDB, one statement", "Polars, one select", "chDB, one statement"
MAYSEND_, ANEW = "maysend", "maysend, no roster"
SIDES = {
    MAYSEND_: "maysend.each",
    ANEW: "maysend.anew",
    QUERIES: "duckdb.each",
    POLARS: "polars.each",
    CHDB: "chdb.each",
    POSTGRES: "postgres.each",
    SCAN: "duckdb.scan",
    QUERY_ONCE: "duckdb.at_once",
    POLARS_ONCE: "polars.at_once",
    CHDB_ONCE: "chdb.at_once",
}


@dataclass(frozen=True, slots=True)
class Contender:
    """A side, or a command; ``asked`` is what a side's answer is compared by, and ``times`` scales its time up."""

    name: str
    measure: Callable[[], Measured]
    asked: Asked | None = None
    side: str = ""
    times: float = 1


@dataclass(frozen=True, slots=True)
class Goal:
    """``of`` takes at most ``limit`` times as long as ``over``; or, with ``faster``, at least so many times less.

    With several in ``over``, the fastest of them counts.
    """

    of: str
    over: tuple[str, ...]
    limit: float
    faster: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """``note`` says what a reader must know; ``gigabytes`` is the most memory (GiB) that the last contender may hold."""

    name: str
    title: str
    contenders: list[Contender]
    goals: list[Goal]
    note: str = ""
    gigabytes: float | None = None
    ready: Callable[[], AbstractContextManager[None]] = field(default=nullcontext)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the data is, how many profiles, and how much of the slow sides is measured."""

    directory: Path
    profiles: int
    in_postgres: int = 5
    memory: str | None = None

    def ask(self, kind: Kind, *, folded: bool = True) -> Asked:
        """A kind's campaigns over tables that are made where they are missing; ``folded`` as other sides need them."""
        asked = Asked(self.directory / str(self.profiles), self.profiles, kind, memory=self.memory)
        make_tables(asked.directory, self.profiles)
        make_ledger(asked.directory, self.profiles, answers_of(kind))
        if folded:
            make_people(asked.directory, self.profiles, answers_of(kind))
        make_roster(make_project(asked.directory, kind, self.profiles), self.memory)
        return asked


def rows(scene: Scene, absent: dict[str, str]) -> dict[str, Callable[[], Row]]:
    """Every row by name; ``absent`` maps the sides that cannot be measured here to why."""
    return {
        "hundred": lambda: _hundred(scene, absent),
        "one": lambda: _one(scene),
        "policies": lambda: _beside_queries(
            scene, "policies", "with answers of addresses, duplicates, caps and draws", 10
        ),
        "thousand": lambda: _thousand(scene),
        "events": lambda: _beside_queries(
            scene, "events", "with event conditions in half of the campaigns, 3 events a profile", 5
        ),
        "audiences": lambda: _audiences(scene),
        "tenfold": lambda: _tenfold(scene),
        "explain": lambda: _explain(scene),
        "start": lambda: _start(scene),
    }


def _side(name: str, asked: Asked, label: str = "", times: float = 1) -> Contender:
    side = SIDES[name]
    return Contender(label or name, lambda: measure_side(side, asked), asked, side, times)


def _hundred(scene: Scene, absent: dict[str, str]) -> Row:
    asked = scene.ask("hundred")
    fewer = replace(asked, limit=scene.in_postgres)
    sides = [_side(name, fewer if name == POSTGRES else asked) for name in SIDES if name not in absent]
    if POSTGRES not in absent:
        scaled = len(asked.campaigns) / scene.in_postgres
        sides = [replace(side, times=scaled) if side.name == POSTGRES else side for side in sides]
    command = [
        MAYSEND,
        "--project",
        str(asked.project),
        "evaluate",
        "--no-audiences",
        "--json",
        "--as-of",
        f"{AS_OF:%Y-%m-%d}",
    ]
    sides.append(Contender("maysend evaluate", lambda: measure_command(command)))
    named = {side.name for side in sides}
    goals = [
        Goal(MAYSEND_, (QUERIES,), 15, faster=True),
        Goal(MAYSEND_, (POLARS,), 10, faster=True),
        Goal(MAYSEND_, (CHDB,), 10, faster=True),
        Goal(MAYSEND_, (POSTGRES,), 100, faster=True),
        Goal(MAYSEND_, tuple(name for name in (QUERY_ONCE, POLARS_ONCE, CHDB_ONCE) if name in named), 3, faster=True),
        Goal(MAYSEND_, (SCAN,), 10),
    ]
    notes = [
        "Stages until group_unsubscribed, statuses folded beforehand: maysend reads its roster, others a table of people.",
        f"`{ANEW}` normalizes and folds in the run; `maysend evaluate` is the whole command, with start and all stages.",
        f"PostgreSQL is loaded and indexed before, and measured on {scene.in_postgres} campaigns: its time is scaled to 100.",
        "Its memory is the client's alone.",
        *(f"Not measured: {name} ({why})." for name, why in absent.items()),
    ]
    row = Row(
        "hundred",
        "100 campaigns",
        sides,
        [goal for goal in goals if set(goal.over) <= named and goal.over],
        " ".join(notes),
    )
    return row if POSTGRES in absent else replace(row, ready=lambda: in_postgres(fewer))


def in_postgres(asked: Asked) -> AbstractContextManager[None]:
    """The tables loaded into PostgreSQL, until the end."""
    from .sides import postgres  # not everywhere is there a psycopg

    return postgres.loaded(asked)


def _one(scene: Scene) -> Row:
    one, hundred = scene.ask("one"), scene.ask("hundred")
    sides = [
        _side(MAYSEND_, one, "maysend, one"),
        _side(QUERIES, one, "DuckDB, one"),
        _side(MAYSEND_, hundred, "maysend, hundred"),
    ]
    goals = [Goal("maysend, one", ("DuckDB, one",), 2), Goal("maysend, hundred", ("maysend, one",), 2)]
    return Row("one", "One campaign alone", sides, goals)


def _beside_queries(scene: Scene, kind: Kind, title: str, limit: float) -> Row:
    asked = scene.ask(kind)
    goals = [Goal(MAYSEND_, (QUERIES,), limit, faster=True)]
    return Row(kind, f"100 campaigns, {title}", [_side(MAYSEND_, asked), _side(QUERIES, asked)], goals)


def _thousand(scene: Scene) -> Row:
    sides = [_side(MAYSEND_, scene.ask("hundred"), "100"), _side(MAYSEND_, scene.ask("thousand"), "1,000")]
    return Row("thousand", "From 100 to 1,000 campaigns", sides, [Goal("1,000", ("100",), 6)])


def _audiences(scene: Scene) -> Row:
    asked = replace(scene.ask("hundred"), what="files")
    goals = [Goal(MAYSEND_, (QUERIES,), 2.5, faster=True)]
    return Row(
        "audiences",
        "Audiences of 100 campaigns as Parquet, with addresses, in key order",
        [_side(MAYSEND_, asked), _side(QUERIES, asked)],
        goals,
    )


def _tenfold(scene: Scene) -> Row:
    more = replace(scene, profiles=10 * scene.profiles)
    names = [f"{one.profiles:,} profiles" for one in (scene, more)]
    asked = [one.ask("hundred", folded=False) for one in (scene, more)]
    sides = [_side(MAYSEND_, one, name) for one, name in zip(asked, names, strict=True)]
    return Row(
        "tenfold", "100 campaigns, ten times the profiles", sides, [Goal(names[1], (names[0],), 11)], gigabytes=8
    )


def _explain(scene: Scene) -> Row:
    asked = scene.ask("one", folded=False)
    sides = [
        Contender("maysend explain", lambda: measure_side("explaining.explain", asked)),
        Contender("DuckDB look-up", lambda: measure_side("explaining.look_up", asked)),
    ]
    return Row("explain", "explain of one profile, warm, in process", sides, [Goal(sides[0].name, (sides[1].name,), 2)])


_BARE = """
import click
@click.group()
def bare():
    "A bare program."
@bare.command()
def one():
    "A command."
bare()
"""
_READ = """
import pathlib, sys, yaml
for file in pathlib.Path(sys.argv[1]).rglob("*.yaml"):
    yaml.load(file.read_bytes(), yaml.CSafeLoader)
"""


def _start(scene: Scene) -> Row:
    declared = replace(scene, profiles=1_000).ask("declarations", folded=False).project
    many = sum(1 for _ in declared.rglob("*.yaml"))
    sides = [
        _command("maysend --help", [MAYSEND, "--help"]),
        _command("bare click", [sys.executable, "-c", _BARE, "--help"]),
        _command("maysend validate", [MAYSEND, "--project", str(declared), "validate"]),
        _command("maysend validate --offline", [MAYSEND, "--project", str(declared), "validate", "--offline"]),
        _command("PyYAML", [sys.executable, "-c", _READ, str(declared)]),
    ]
    goals = [
        Goal("maysend --help", ("bare click",), 3),
        Goal("maysend validate", ("PyYAML",), 5),
        Goal("maysend validate --offline", ("PyYAML",), 5),
    ]
    note = (
        "Whole processes. `validate` also looks at data and ledger; `--offline` reads the files alone, as PyYAML does."
    )
    return Row("start", f"Starting; validating {many:,} declarations", sides, goals, note)


def _command(name: str, arguments: list[str]) -> Contender:
    return Contender(name, lambda: measure_command(arguments, times=3))
