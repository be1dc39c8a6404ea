"""``make bench``: measure, compare, and say whether the goals hold."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from . import report
from .agreement import DisagreementError, compare, compare_ids, compare_row
from .measuring import FailedError, hold_to_threads
from .rows import POSTGRES, SIDES, Row, Scene, rows

ROWS = ("hundred", "one", "policies", "thousand", "events", "audiences", "explain", "start", "tenfold")
OTHERS = ("ledger", "pages", "spark")
GROWING = ("spark",)
"""Those that are measured at more than ``FULL`` profiles where more are asked for."""
COMPARED = {"hundred", "one", "policies", "events", "audiences"}
"""The rows with several sides that find the same."""
FULL = 10_000_000
ROOT = Path(__file__).parents[2]


@click.command()
@click.option("--profiles", type=click.IntRange(min=1_000), default=1_000_000, show_default=True)
@click.option(
    "--rows",
    "chosen",
    multiple=True,
    type=click.Choice([*ROWS, *OTHERS, "all"]),
    help="Default: all but tenfold and spark.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--without", multiple=True, type=click.Choice(sorted(SIDES)), help="Leave a side out.")
@click.option("--in-postgres", type=click.IntRange(min=1, max=100), default=5, show_default=True, metavar="CAMPAIGNS")
@click.option("--memory", metavar="SIZE", help="The most memory maysend may use, as in evaluate --memory.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=ROOT / ".bench",
    help="Where the tables are kept.  [default: .bench]",
)
@click.option(
    "--json",
    "file",
    type=click.Path(path_type=Path),
    help="Write what was measured here.  [default: DATA/PROFILES.json]",
)
@click.option(
    "--write", is_flag=True, help="Write docs/benchmarks.md, with the rows measured before as they are in --json."
)
def main(
    profiles: int,
    chosen: tuple[str, ...],
    rounds: int,
    without: tuple[str, ...],
    in_postgres: int,
    memory: str | None,
    data: Path,
    file: Path | None,
    write: bool,
) -> None:
    """Measure maysend beside hand-written queries on the same data, and say whether the goals hold."""
    hold_to_threads()
    data.mkdir(parents=True, exist_ok=True)
    scene = Scene(data.resolve(), profiles, in_postgres, memory)
    absent = dict.fromkeys(without, "left out") | {
        name: why for name in SIDES if (why := _missing(name)) and name not in without
    }
    names = [*ROWS, *OTHERS] if "all" in chosen else list(chosen) or [*ROWS[:-1], *OTHERS[:-1]]
    about = report.conditions(
        profiles, rounds, f"PYTHONPATH=tests python -m benchmarks {' '.join(sys.argv[1:])}".strip()
    )
    console = Console(width=None if sys.stdout.isatty() else 150)
    file = file or data / f"{profiles}.json"
    told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    _tell(f"load average {os.getloadavg()[0]:.1f}: anything else that runs here is measured too")
    try:
        if COMPARED & set(names):
            _tell("comparing the sides key by key")
            compare_ids(scene.directory, absent)
        for name in names:
            if name in OTHERS:
                told[name] = {"found": _other(console, name, scene)}
            else:
                result = _measured(rows(scene, absent)[name](), rounds)
                report.show(console, result)
                told[name] = result.as_json()
            told[name]["conditions"] = about
            told = {row: told[row] for row in (*ROWS, *OTHERS) if row in told}
            file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    except (DisagreementError, FailedError) as error:
        click.echo(f"benchmark stopped: {error}", err=True)
        sys.exit(1)
    if write:
        (ROOT / "docs/benchmarks.md").write_text(report.page(told), encoding="utf-8")


def _measured(row: Row, rounds: int) -> report.Result:
    """The sides compared, then measured in turn; in each round they must find the same again."""
    times: dict[str, list[Any]] = {side.name: [] for side in row.contenders}
    with row.ready():
        _tell(f"{row.name}: comparing")
        compare_row(row)
        for number in range(rounds):
            found: dict[object, dict[str, Any]] = {}
            for side in row.contenders:
                _tell(f"{row.name}: round {number + 1} of {rounds}, {side.name}")
                measured = side.measure()
                times[side.name].append(measured.times(side.times))
                if side.asked and measured.found:
                    found.setdefault((side.asked.directory, side.asked.kind), {})[side.name] = measured.found
            for question in found.values():
                compare(question)
    return report.Result(row, times)


def _other(console: Console, name: str, scene: Scene) -> dict[str, object]:
    """What a benchmark of its own measures."""
    _tell(name)
    scale = scene.profiles / FULL
    found: dict[str, object] = import_module(f".{name}", __package__).measure(
        scene.directory, scale if name in GROWING else min(1.0, scale)
    )
    console.print(f"[bold]{name}[/bold]")
    for key, value in found.items():
        console.print(f"  {key}: {report.line(value)}")
    console.print()
    return found


def _missing(name: str) -> str | None:
    """Why a side cannot be measured here, None where it can."""
    package = {POSTGRES: "psycopg"}.get(name, SIDES[name].partition(".")[0])
    if not find_spec(package):
        return f"{package} is not installed"
    if name != POSTGRES:
        return None
    from .sides import postgres  # not everywhere is there a psycopg

    return postgres.unreachable()


def _tell(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
