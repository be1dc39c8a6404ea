"""``maysend resubscribe``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import choosing
from .options import choice_options, json_option, load, project_option


@click.command()
@choice_options
@json_option
@project_option
def command(root: Path, as_json: bool, **choice: Any) -> None:
    """Record that somebody returns to CHANNEL, or to one group of it."""
    choosing.record(load(root), choosing.Choice(**choice), subscribed=True, as_json=as_json)
