"""The pages as they come with maysend: plain semantic HTML, one style sheet, no script."""

from maysend import PageRenderer, PageSettings, Renderer, hookimpl


@hookimpl
def register_page_renderers() -> list[PageRenderer]:
    """Jinja templates that a project may override file by file in its directory ``pages/``."""
    return [PageRenderer(name="default", open=_open)]


def _open(settings: PageSettings) -> Renderer:
    from .renderer import TemplateRenderer

    return TemplateRenderer(settings)
