"""maysend: who may be sent what?

The names here are the public ones: what a plugin may import.
"""

from .authorization import is_authorized
from .errors import DeliveryError, FeedbackError, PluginError
from .hookspecs import (
    ChannelType,
    CloudEvent,
    Command,
    FeedbackParser,
    Lower,
    Matches,
    Meaning,
    Page,
    PageRenderer,
    PageSettings,
    Prefix,
    Remove,
    Renderer,
    Report,
    Sink,
    SinkType,
    Step,
    Strip,
    Switch,
    hookimpl,
)

__all__ = [
    "ChannelType",
    "CloudEvent",
    "Command",
    "DeliveryError",
    "FeedbackError",
    "FeedbackParser",
    "Lower",
    "Matches",
    "Meaning",
    "Page",
    "PageRenderer",
    "PageSettings",
    "PluginError",
    "Prefix",
    "Remove",
    "Renderer",
    "Report",
    "Sink",
    "SinkType",
    "Step",
    "Strip",
    "Switch",
    "hookimpl",
    "is_authorized",
]
