"""Finding plugins by entry point, and collecting what they register. One that breaks is named; the rest works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from .errors import PluginError
from .hookspecs import ChannelType, Hooks

GROUP = "maysend"


@dataclass(frozen=True, slots=True)
class Loaded:
    """One entry point: its name, the distribution and version it comes from, and why it failed where it did."""

    name: str
    distribution: str
    version: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Plugins:
    """What is there to use. ``sources`` says of each channel type which plugin brought it."""

    loaded: tuple[Loaded, ...]
    channel_types: Mapping[str, ChannelType]
    sources: Mapping[str, str]

    @property
    def failures(self) -> tuple[Loaded, ...]:
        return tuple(plugin for plugin in self.loaded if plugin.error)


def load(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load every entry point of the group ``maysend`` (or the given ones), by name, and ask each what it registers."""
    found = entry_points(group=GROUP) if points is None else points
    loaded: list[Loaded] = []
    types: dict[str, ChannelType] = {}
    sources: dict[str, str] = {}
    for point in sorted(found, key=lambda point: (_distribution(point) != "maysend", point.name)):
        error = None
        try:
            for channel_type in _channel_types(point):
                if channel_type.name in types:
                    raise PluginError(f'channel type "{channel_type.name}" is registered by {sources[channel_type.name]} already')
                types[channel_type.name] = channel_type
                sources[channel_type.name] = point.name
        except (Exception, SystemExit) as failure:  # whatever a third party's code raises, the rest must work
            error = str(failure) if isinstance(failure, PluginError) else f"{type(failure).__name__}: {failure}"
        version = point.dist.version if point.dist else ""
        loaded.append(Loaded(point.name, _distribution(point), version, " ".join(error.split()) if error else None))
    return Plugins(tuple(loaded), types, sources)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"


def _channel_types(point: EntryPoint) -> list[ChannelType]:
    """Register one plugin in a manager of its own, so that its failure stays its own, and call its hook."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Hooks)
    manager.register(point.load(), point.name)
    manager.check_pending()
    results: list[Any] = manager.hook.register_channel_types()
    for result in results:
        if not isinstance(result, list) or not all(isinstance(item, ChannelType) for item in result):
            raise PluginError(f"register_channel_types must return a list of ChannelType, not {result!r:.80}")
    return [item for result in results for item in result]
