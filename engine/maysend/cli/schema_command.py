"""``maysend schema``: the JSON Schema of a kind of declaration or event, for editors and for people."""

from __future__ import annotations

import click

from ..errors import UnknownNameError, did_you_mean
from ..schemas import EVENTS, KINDS, schema
from .options import print_json


@click.command()
@click.argument("kind", metavar=f"[{'|'.join((*KINDS, *EVENTS))}]")
def command(kind: str) -> None:
    """Print the JSON Schema (draft 2020-12) of a kind of declaration, or of an event's data.

    A channel may hold more keys than its schema says: the settings of its channel type.
    """
    if kind not in (known := (*KINDS, *EVENTS)):
        raise UnknownNameError(f'there is no kind of declaration "{kind}"{did_you_mean(kind, known)}')
    print_json(schema(kind))
