"""``maysend check-unsubscribe``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..conformance import Check, check_link, check_message, is_link
from ..errors import MaysendError, UnknownNameError
from .options import json_option, print_json


@click.command()
@click.argument("url", required=False)
@click.option(
    "--message",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An e-mail (.eml): its headers are checked, and its link.",
)
@json_option
def command(url: str | None, message: Path | None, as_json: bool) -> None:
    """Check any system's unsubscribe link (or that of an e-mail) as mail programs and scanners use it.

    This unsubscribes whom the link was sent to: take one that was sent to you. Exit code 1 where a check fails.
    """
    if (url is None) == (message is None):
        raise click.UsageError("give a link, or an e-mail with --message")
    if url is not None and not is_link(url):
        raise UnknownNameError(f"{url}: is not a link; give one that starts with https://")
    checks: list[Check] = []
    if message:
        url, checks = check_message(message.read_bytes())
        if url is None:
            raise MaysendError(f"{message}: has no HTTPS link in List-Unsubscribe")
    assert url
    checks += check_link(url)
    if as_json:
        print_json({"passed": all(check.passed for check in checks), "checks": [asdict(check) for check in checks]})
    else:
        _show(checks)
    sys.exit(0 if all(check.passed for check in checks) else 1)


def _show(checks: list[Check]) -> None:
    table = Table("", "check", "seen", box=None, pad_edge=False)
    for check in checks:
        table.add_row(Text("ok", "green") if check.passed else Text("FAILED", "red"), check.check, check.detail)
    Console(highlight=False, markup=False).print(table)
    failed = sum(not check.passed for check in checks)
    click.echo(f"{len(checks) - failed} of {len(checks)} checks passed", err=True)
