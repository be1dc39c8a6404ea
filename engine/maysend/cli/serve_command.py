"""``maysend serve``."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import MaysendError
from .options import project_option


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="The port; 0 takes a free one."
)
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes; more than one needs PostgreSQL."
)
@project_option
def command(root: Path, host: str, port: int, workers: int) -> None:
    """Serve the unsubscribe and preference pages, one-click, the JSON API and feedback.

    Changed declarations are taken in while it runs; where they have problems, the last valid ones stay. MAYSEND_KEYS
    holds the keys of links (`maysend keys new`).
    """
    try:
        from ..web.server import serve
    except ModuleNotFoundError as error:
        raise MaysendError(
            f"serve needs {(error.name or '').partition('.')[0]}; run `pip install 'maysend[server]'`"
        ) from None
    serve(root, host, port, workers)
