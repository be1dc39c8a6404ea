"""The whole plugin contract. A plugin is a module (or object) registered under the entry-point group ``maysend``.

A hook returns a list of typed objects; every plugin's are collected, and a name that two plugins claim is a problem
that names both. Hooks are called once, when the program starts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pluggy

from .errors import PluginError
from .events import Default

hookspec = pluggy.HookspecMarker("maysend")
hookimpl = pluggy.HookimplMarker("maysend")

_RE2_AND_PYTHON = re.compile(r"\(\?(?!:)|\\[A-Za-z0-9]|[*+?}]\+")


@dataclass(frozen=True, slots=True)
class Strip:
    """Take blanks off both ends: ASCII white space, no-break space, zero-width space, byte order mark."""


@dataclass(frozen=True, slots=True)
class Lower:
    """Lower A to Z, and no other letter."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Take out every one of these characters, wherever it stands."""

    characters: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """Where the value starts with ``old``, put ``new`` in its place."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Matches:
    """The whole value matches ``pattern``, else the address is invalid.

    The pattern is in what RE2 and Python read alike: no look-around, no backslash classes, no possessive quantifiers.

    Raises PluginError where it is not.
    """

    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise PluginError(f'pattern "{self.pattern}" is not a regular expression: {error}') from None
        if found := _RE2_AND_PYTHON.search(self.pattern):
            raise PluginError(f'pattern "{self.pattern}" uses "{found[0]}", which RE2 and Python do not read alike')


Step = Strip | Lower | Remove | Prefix | Matches


@dataclass(frozen=True, slots=True)
class ChannelType:
    """A way to reach people that a ``channels/*.yaml`` can name as its ``type``.

    ``address`` is the steps that normalize and validate an address, in order. ``default`` is the status of somebody
    who never answered. ``settings`` is a JSON Schema (an object's ``properties``) for further keys in the YAML.
    """

    name: str
    title: str
    address: tuple[Step, ...]
    default: Default = "subscribed"
    settings: Mapping[str, Any] = field(default_factory=dict)


class Hooks:
    """What a plugin may implement."""

    @hookspec
    def register_channel_types(self) -> list[ChannelType]:
        """Return the channel types this plugin brings."""
        raise NotImplementedError
