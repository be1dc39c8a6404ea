"""Finding plugins by entry point, and collecting what they register. One that breaks is named; the rest works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from .errors import PluginError
from .hookspecs import ChannelType, FeedbackParser, Hooks, PageRenderer, SinkType

GROUP = "maysend"


@dataclass(frozen=True, slots=True)
class Loaded:
    """One entry point: its name, the distribution and version it comes from, and why it failed where it did."""

    name: str
    distribution: str
    version: str
    error: str | None = None


REGISTERED: Mapping[str, type] = {
    "register_channel_types": ChannelType,
    "register_sink_types": SinkType,
    "register_page_renderers": PageRenderer,
    "register_feedback_parsers": FeedbackParser,
}
"""Each hook, and what it returns a list of."""


@dataclass(frozen=True, slots=True)
class Plugins:
    """What is there to use. ``sources`` says of each thing registered, by its type and name, which plugin brought it."""

    loaded: tuple[Loaded, ...]
    registered: Mapping[str, Mapping[str, Any]]
    sources: Mapping[tuple[str, str], str]

    @property
    def channel_types(self) -> Mapping[str, ChannelType]:
        return self.registered["register_channel_types"]

    @property
    def sink_types(self) -> Mapping[str, SinkType]:
        return self.registered["register_sink_types"]

    @property
    def page_renderers(self) -> Mapping[str, PageRenderer]:
        return self.registered["register_page_renderers"]

    @property
    def feedback_parsers(self) -> Mapping[str, FeedbackParser]:
        return self.registered["register_feedback_parsers"]

    @property
    def failures(self) -> tuple[Loaded, ...]:
        return tuple(plugin for plugin in self.loaded if plugin.error)


def load(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load every entry point of the group ``maysend`` (or the given ones), ours first, and ask each what it registers.

    A plugin that cannot be loaded, breaks the contract of a hook or claims a name that is taken registers nothing.
    """
    found = entry_points(group=GROUP) if points is None else points
    loaded: list[Loaded] = []
    registered: dict[str, dict[str, Any]] = {hook: {} for hook in REGISTERED}
    sources: dict[tuple[str, str], str] = {}
    for point in sorted(found, key=lambda point: (_distribution(point) != "maysend", point.name)):
        error = None
        try:
            brought = _register(point)
            for hook, name in (
                (hook, name) for hook, things in brought.items() for name in things if name in registered[hook]
            ):
                kind = hook.removeprefix("register_").removesuffix("s").replace("_", " ")
                raise PluginError(f'{kind} "{name}" is registered by {sources[hook, name]} already')
            for hook, things in brought.items():
                registered[hook] |= things
                sources |= {(hook, name): point.name for name in things}
        except (Exception, SystemExit) as failure:  # whatever a third party's code raises, the rest must work
            error = str(failure) if isinstance(failure, PluginError) else f"{type(failure).__name__}: {failure}"
        version = point.dist.version if point.dist else ""
        loaded.append(Loaded(point.name, _distribution(point), version, " ".join(error.split()) if error else None))
    return Plugins(tuple(loaded), registered, sources)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"


def _register(point: EntryPoint) -> dict[str, dict[str, Any]]:
    """Call one plugin's hooks in a manager of its own, so that its failure stays its own: hook to name to thing."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Hooks)
    manager.register(point.load(), point.name)
    manager.check_pending()
    brought: dict[str, dict[str, Any]] = {}
    for hook, kind in REGISTERED.items():
        for result in getattr(manager.hook, hook)():
            if not isinstance(result, list) or not all(isinstance(item, kind) for item in result):
                raise PluginError(f"{hook} must return a list of {kind.__name__}, not {result!r:.80}")
            for item in result:
                if item.name in brought.setdefault(hook, {}):
                    raise PluginError(f'{hook} returns "{item.name}" twice')
                brought[hook][item.name] = item
    return brought
