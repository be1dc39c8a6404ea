"""``maysend schema``: the JSON Schema of a kind of declaration, for editors and for people."""

from __future__ import annotations

import click

from ..errors import UnknownNameError, did_you_mean
from ..schemas import KINDS, schema
from .options import print_json


@click.command()
@click.argument("kind", metavar=f"[{'|'.join(KINDS)}]")
def command(kind: str) -> None:
    """Print the JSON Schema (draft 2020-12) of a kind of declaration.

    A channel may hold more keys than its schema says: the settings of its channel type.
    """
    if kind not in KINDS:
        raise UnknownNameError(f'there is no kind of declaration "{kind}"{did_you_mean(kind, KINDS)}')
    print_json(schema(kind))
