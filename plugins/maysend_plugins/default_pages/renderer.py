"""Templates, catalogues, colours and logo put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from babel import Locale
from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
    pass_context,
)
from jinja2.runtime import Context
from markupsafe import Markup

from maysend import Page, PageSettings, PluginError, Switch

from . import catalogues
from .colours import style

_STYLE = "style.css"
_SWITCHES = (Switch("a", "A", "About A", True), Switch("b", "B", "", False))
_SAMPLES = (
    Page(kind="group", language=catalogues.FALLBACK, address="a", groups=_SWITCHES),
    Page(kind="group", language=catalogues.FALLBACK, test=True),
    Page(kind="left", language=catalogues.FALLBACK, groups=_SWITCHES),
    Page(kind="left", language=catalogues.FALLBACK, address="a"),
    Page(kind="preferences", language=catalogues.FALLBACK, address="a", groups=_SWITCHES, saved=True),
    Page(kind="invalid", language=catalogues.FALLBACK),
    Page(kind="unavailable", language=catalogues.FALLBACK),
    Page(kind="unavailable", language=catalogues.FALLBACK, saved=True),
)
"""Pages that every template is tried out with."""


class TemplateRenderer:
    """Renders ``templates/<kind>.html``, or the project's ``pages/<kind>.html`` where there is one.

    A template of the project's may build on ours as ``default/<name>.html``.
    """

    languages: Sequence[str]
    files: Mapping[str, bytes]

    def __init__(self, settings: PageSettings) -> None:
        ours = PackageLoader(__package__)
        loader = ChoiceLoader([FileSystemLoader(settings.root / "pages"), ours, PrefixLoader({"default": ours})])
        # A changed template is for the next renderer, which tries it out: this one goes on with those it has.
        self._environment = Environment(
            loader=loader,
            autoescape=True,
            auto_reload=False,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._catalogues = catalogues.load()
        self._environment.globals |= {"_": self._translate, "title": settings.title}
        self.languages = tuple(self._catalogues)
        styles = self._source(_STYLE) + style(settings.pages.get("colours", {}))
        self.files = files = {_STYLE: styles.encode()}
        self._environment.globals["styles"] = settings.static + _STYLE
        self._environment.globals["logo"] = _logo(settings, files)
        for page in _SAMPLES:
            self._try_out(page)

    def render(self, page: Page) -> str:
        locale = Locale.parse(page.language, sep="-")
        template = self._environment.get_template(f"{page.kind}.html")
        return template.render(page=page, language=page.language, direction=locale.text_direction)

    @pass_context
    def _translate(self, context: Context, message: str, **values: Any) -> Markup:
        """The message in the page's language; ``values`` take the places named in braces, escaped."""
        return Markup(self._catalogues[context["language"]].get(message, message)).format(**values)  # noqa: S704 - ours

    def _try_out(self, page: Page) -> None:
        """Find a project's broken template now, while the last good one can still stay."""
        try:
            self.render(page)
        except TemplateSyntaxError as error:
            raise PluginError(f"pages/{error.name}:{error.lineno}: {error.message}") from None
        except Exception as error:  # whatever a template makes of a page
            raise PluginError(f"pages/{page.kind}.html: {error}") from None

    def _source(self, name: str) -> str:
        assert self._environment.loader
        try:
            return self._environment.loader.get_source(self._environment, name)[0]
        except (TemplateError, OSError, ValueError) as error:
            raise PluginError(f"pages/{name}: cannot be read: {error}") from None


def _logo(settings: PageSettings, files: dict[str, bytes]) -> str:
    """Where the logo is: as declared where it is a URL, else a file of the project's among ours; empty for none."""
    logo = settings.pages.get("logo", "")
    if not logo or logo.startswith("https://"):
        return str(logo)
    try:
        name = Path(logo).name
        files[name] = (settings.root / logo).read_bytes()
        return settings.static + name
    except OSError as error:
        raise PluginError(f"project.yaml: pages.logo: {logo} cannot be read: {error.strerror}") from None
