"""What every plugin must be, whatever it brings."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from .. import plugins
from ..declarations import shapes
from ..hookspecs import ChannelType, FeedbackParser, SinkType


def check_plugin(plugin: ModuleType | object) -> Mapping[str, Mapping[str, Any]]:
    """What a plugin brings, by hook and name. Raises PluginError, or what the plugin raises, where it is refused."""
    return plugins.register(plugin, getattr(plugin, "__name__", "plugin"))


def check_settings(brought: ChannelType | SinkType | FeedbackParser, settings: Mapping[str, Any]) -> None:
    """Fail where the settings' schema is none, describes a property not at all, or does not accept ``settings``."""
    schema = {
        "type": "object",
        "properties": dict(brought.settings),
        "required": list(getattr(brought, "required", ())),
        "additionalProperties": False,
    }
    shapes.check(schema, dict(settings))
    missing = [name for name, part in brought.settings.items() if not part.get("description")]
    assert not missing, f"the settings {', '.join(missing)} have no description"
