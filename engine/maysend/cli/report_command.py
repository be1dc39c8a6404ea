"""``maysend report``"""

from __future__ import annotations

from pathlib import Path

import click

from .. import plugins, report, runner
from ..output import write_text
from .options import as_of_option, json_option, load, moment, print_json, progress, project_option, talk


@click.command()
@click.argument("campaigns", nargs=-1, metavar="[CAMPAIGN]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="The file to write; one that is there is replaced.",
)
@as_of_option
@json_option
@project_option
def command(campaigns: tuple[str, ...], out: Path, as_of: str | None, as_json: bool, root: Path) -> None:
    """Write one HTML file about every campaign (or those named), for people to read, send on and print.

    It shows each campaign's waterfall, whom campaigns share, how many of them each person would get, what was sent, and
    who said yes and no over time. It needs no network, no scripts and no other file; the charts need
    pip install 'maysend[report]'. With --json the same numbers are printed, and no file is written.
    """
    project = load(root)
    chosen = runner.chosen(project, campaigns)
    if not as_json:
        report.check_extra()
    with progress() as told, runner.opened(project, moment(as_of, project), plugins.load(), progress=told) as run:
        found = report.gather(run, chosen)
        if not as_json:
            told("drawing")
            text = report.page(found, project)
    if as_json:
        print_json(found.as_json())
        return
    write_text(out, text)
    talk().print(f"Wrote {out}.", highlight=False, markup=False, soft_wrap=True)
