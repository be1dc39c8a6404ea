"""Pages in a record shop's own look, for maysend: ``pages: {renderer: record_sleeve}``."""

from maysend import PageRenderer, hookimpl

from .sleeve import RecordSleeve


@hookimpl
def register_page_renderers() -> list[PageRenderer]:
    """A sleeve, and a record that peeks out of it."""
    return [PageRenderer(name="record_sleeve", open=RecordSleeve)]
