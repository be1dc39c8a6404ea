"""Finding plugins by entry point, and collecting what they register. One that breaks is named; the rest works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from threading import Thread
from typing import Any

import pluggy

from .errors import PluginError
from .hookspecs import ChannelType, Command, FeedbackParser, Hooks, PageRenderer, SinkType

GROUP = "maysend"
LOAD_SECONDS = 10.0
"""How long a plugin may take to be imported and to say what it brings."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One entry point: its name, the distribution and version it comes from, and why it failed where it did."""

    name: str
    distribution: str
    version: str
    error: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({' '.join((self.distribution, self.version)).strip()})"


REGISTERED: Mapping[str, type] = {
    "register_channel_types": ChannelType,
    "register_sink_types": SinkType,
    "register_page_renderers": PageRenderer,
    "register_feedback_parsers": FeedbackParser,
    "register_commands": Command,
}
"""Each hook, and what it returns a list of."""


@dataclass(frozen=True, slots=True)
class Plugins:
    """What is there to use. ``sources`` says of each thing registered, by hook and name, which plugin brought it."""

    loaded: tuple[Loaded, ...]
    registered: Mapping[str, Mapping[str, Any]]
    sources: Mapping[tuple[str, str], Loaded]

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
    def commands(self) -> Mapping[str, Command]:
        return self.registered["register_commands"]

    @property
    def failures(self) -> tuple[Loaded, ...]:
        return tuple(plugin for plugin in self.loaded if plugin.error)


def load(points: Iterable[EntryPoint] | None = None, *, seconds: float = LOAD_SECONDS) -> Plugins:
    """Load every entry point of the group ``maysend`` (or the given ones), ours first, and ask each what it registers.

    A plugin that cannot be loaded within ``seconds``, breaks the contract of a hook or claims a name that is taken
    registers nothing. Those that are installed are loaded once a process.
    """
    return _installed() if points is None else _load(points, seconds)


def third_party() -> list[EntryPoint]:
    """The entry points that other distributions bring."""
    return [point for point in entry_points(group=GROUP) if _distribution(point) != "maysend"]


@cache
def _installed() -> Plugins:
    return _load(entry_points(group=GROUP), LOAD_SECONDS)


def _load(points: Iterable[EntryPoint], seconds: float) -> Plugins:
    loaded: list[Loaded] = []
    registered: dict[str, dict[str, Any]] = {hook: {} for hook in REGISTERED}
    sources: dict[tuple[str, str], Loaded] = {}
    for point in sorted(points, key=_order):
        plugin = Loaded(point.name, _distribution(point), _named(point.dist)[1] if point.dist else "")
        try:
            brought = _within(seconds, point)
            for hook, name in (
                (hook, name) for hook, things in brought.items() for name in things if name in registered[hook]
            ):
                kind = hook.removeprefix("register_").removesuffix("s").replace("_", " ")
                raise PluginError(f'{kind} "{name}" is registered by {sources[hook, name]} already')
            for hook, things in brought.items():
                registered[hook] |= things
                sources |= {(hook, name): plugin for name in things}
        except (Exception, SystemExit) as failure:  # whatever a third party's code raises, the rest must work
            told = str(failure) if isinstance(failure, PluginError) else f"{type(failure).__name__}: {failure}"
            plugin = replace(plugin, error=" ".join(told.split()))
        loaded.append(plugin)
    return Plugins(tuple(loaded), registered, sources)


def _order(point: EntryPoint) -> tuple[bool, str, str]:
    """Ours first; where two distributions name an entry point alike, always the same one first."""
    return _distribution(point) != "maysend", point.name, _distribution(point)


def _distribution(point: EntryPoint) -> str:
    return _named(point.dist)[0] if point.dist else "unknown"


@cache
def _named(distribution: Distribution) -> tuple[str, str]:
    """Name and version, for which Python reads a file each time it is asked."""
    return distribution.name, distribution.version


def _within(seconds: float, point: EntryPoint) -> dict[str, dict[str, Any]]:
    """Register one plugin in a thread of its own, which is left behind where it hangs."""
    brought: list[dict[str, dict[str, Any]]] = []
    failures: list[BaseException] = []

    def try_it() -> None:
        try:
            brought.append(register(point.load(), point.name))
        except BaseException as failure:  # it is raised again below, where somebody waits for it
            failures.append(failure)

    thread = Thread(target=try_it, name=f"maysend-plugin-{point.name}", daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not brought:
        raise PluginError(f"hangs: it was not loaded within {seconds:g} seconds")
    return brought[0]


def register(plugin: object, name: str) -> dict[str, dict[str, Any]]:
    """What a plugin brings, by hook and name. Raises PluginError where it breaks a hook's contract.

    Its hooks are called in a manager of its own, so that its failure stays its own.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Hooks)
    manager.register(plugin, name)
    manager.check_pending()
    if not manager.get_hookcallers(plugin):
        raise PluginError("implements no hook: mark those it means with @hookimpl")
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
