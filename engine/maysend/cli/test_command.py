"""``maysend test``: the project's own cases, and how much of the declarations they hold."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from .. import cases, plugins
from ..declarations import meaning
from ..errors import InvalidProjectError, MaysendError, UnknownNameError
from ..explain import Explanation
from .options import CHECKS, json_option, load, print_json, progress, project_option

_EXPLAINED = 20
"""The failing cases that are explained check by check; more would be scrolled past."""


@click.command()
@click.option("-k", "chosen", metavar="TEXT", help="Only cases with this text in their file or name.")
@click.option("--offline", is_flag=True, help="Look at no data, not even for the types of columns.")
@click.option("--mutate", is_flag=True, help="Also say which conditions could change without any case noticing.")
@click.option(
    "--fail-under",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="With --mutate: exit with 1 where fewer of the mutations are noticed.",
)
@json_option
@project_option
def command(
    chosen: str | None, offline: bool, mutate: bool, fail_under: float | None, as_json: bool, root: Path
) -> None:
    """Run the cases in tests/*.yaml: made-up people, and who of them may be sent what.

    Neither data nor ledger is needed. The types of columns are those that project.yaml declares, else those of the
    source where it can be opened, else what the cases and conditions say. Exits with 1 where a case fails. --mutate
    leaves out, turns round or moves one condition at a time, and lists each change that no case notices; it never
    fails but with --fail-under.
    """
    if fail_under is not None and not mutate:
        raise click.UsageError("--fail-under is about mutations: it needs --mutate")
    started = time.monotonic()
    project, loaded = load(root), plugins.load()
    read = cases.read(project, loaded, offline=offline)
    problems = [*read.problems, *meaning.problems(project, read.tables.catalog(project), read.clock)]
    if problems:
        raise InvalidProjectError(problems)
    if not read.cases:
        raise MaysendError(f"{cases.FOLDER}/ holds no case; docs/testing.md shows one")
    wanted = [one for one in read.cases if not chosen or chosen.lower() in f"{one.file}: {one.name}".lower()]
    if not wanted:
        raise UnknownNameError(f'no case has "{chosen}" in its file or name')
    settings = cases.Settings(project, loaded, read.tables)
    with progress() as told:
        told("running cases")
        results = cases.run(settings, wanted)
        failed = [result for result in results if result.differences]
        whys = {id(result): cases.explained(settings, result) for result in failed[:_EXPLAINED]}
        found = None
        if mutate and not failed:
            told("mutating declarations")
            found = cases.mutate(settings, wanted)
    if as_json:
        print_json(_as_json(results, whys, read.tables.inferred) | ({"mutations": found.as_json()} if found else {}))
    else:
        _show(results, whys, time.monotonic() - started)
        if found:
            _show_mutations(found)
    if read.tables.inferred:
        guessed = ", ".join(read.tables.inferred)
        click.echo(f'Types taken from the cases; declare them under "columns" in project.yaml: {guessed}', err=True)
    if mutate and failed:
        click.echo("No mutations are tried where a case fails.", err=True)
    under = found is not None and fail_under is not None and found.percent < fail_under
    if under and found:
        click.echo(
            f"{found.percent:.1f} % of the mutations were noticed; --fail-under asks for {fail_under:g} %", err=True
        )
    sys.exit(1 if failed or under else 0)


Whys = dict[int, dict[cases.Difference, Explanation]]


def _show(results: Sequence[cases.Result], whys: Whys, seconds: float) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for file, several in groupby(results, key=lambda result: result.case.file):
        of_file = list(several)
        passed = sum(not result.differences for result in of_file)
        console.print(f"{file}: {passed} of {len(of_file)} passed", style=None if passed == len(of_file) else "bold")
        for result in of_file:
            if result.differences:
                console.print(f"  ✗ {result.case.name} ({result.case.file}:{result.case.line})", style="red")
            for difference in result.differences:
                _show_difference(console, difference, whys.get(id(result), {}).get(difference))
    failed = sum(bool(result.differences) for result in results)
    cases_ = f"{len(results):,} case{'' if len(results) == 1 else 's'}"
    console.print(f"{cases_}: {len(results) - failed:,} passed, {failed:,} failed in {seconds:.1f} s")


def _show_difference(console: Console, difference: cases.Difference, why: Explanation | None) -> None:
    what = "segment " if difference.expectation.is_segment else ""
    expected, got = difference.expected.replace("_", " "), difference.got.replace("_", " ")
    console.print(f"    {what}{difference.expectation.name}, profile {difference.profile}")
    console.print(f"      - expected {expected}")
    console.print(f"      + got      {got}")
    checks = why.checks[:1] if why and difference.expectation.is_segment else why.checks if why else ()
    for check in checks:
        console.print(f"        {'✓' if check.passed else '✗'} {CHECKS[check.check]}: {check.detail}")


def _show_mutations(found: cases.Mutations) -> None:
    click.echo(f"\n{found.noticed:,} of {found.total:,} mutations noticed")
    for survivor in found.survivors:
        click.echo(str(survivor))
    for file in found.untested:
        click.echo(f"{file}: no case looks at it")


def _as_json(results: Sequence[cases.Result], whys: Whys, inferred: Sequence[str]) -> dict[str, Any]:
    shown = []
    for result in results:
        differences = [
            {
                "segment" if one.expectation.is_segment else "campaign": one.expectation.name,
                "line": one.expectation.line,
                "profile": one.profile,
                "expected": one.expected,
                "got": one.got,
                "checks": why.as_json()["checks"] if (why := whys.get(id(result), {}).get(one)) else [],
            }
            for one in result.differences
        ]
        case = result.case
        shown.append(
            {
                "file": case.file,
                "line": case.line,
                "name": case.name,
                "passed": not differences,
                "differences": differences,
            }
        )
    failed = sum(not case["passed"] for case in shown)
    return {"passed": len(shown) - failed, "failed": failed, "cases": shown, "inferred": list(inferred)}
