"""``maysend keys``."""

from __future__ import annotations

import click

from .. import tokens
from .options import json_option, print_json


@click.group()
def command() -> None:
    """Make and list the keys that seal links."""


@command.command("new")
def new() -> None:
    """Print one line, MAYSEND_KEYS=…, with a fresh key, to put in the environment.

    To rotate, put the fresh key before the old ones, comma-separated: the newest seals, and all open. A key that goes
    takes the links with it that it sealed.
    """
    click.echo(f"{tokens.VARIABLE}={tokens.new_key()}")


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Show the fingerprints of the keys in the environment, newest first, and never a key."""
    keys = [
        {"fingerprint": tokens.fingerprint(key), "seals": place == 0}
        for place, key in enumerate(tokens.keys_from_environment())
    ]
    if as_json:
        print_json({"keys": keys})
        return
    for key in keys:
        click.echo(f"{key['fingerprint']}  {'seals and opens' if key['seals'] else 'opens'}")
