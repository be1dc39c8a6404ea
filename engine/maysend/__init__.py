"""maysend: who may be sent what?

The names here are the public ones: what a plugin may import.
"""

from .errors import FeedbackError, PluginError
from .hookspecs import (
    ChannelType,
    FeedbackParser,
    Lower,
    Matches,
    Page,
    PageRenderer,
    PageSettings,
    Prefix,
    Remove,
    Renderer,
    Report,
    Step,
    Strip,
    Switch,
    hookimpl,
)

__all__ = [
    "ChannelType",
    "FeedbackError",
    "FeedbackParser",
    "Lower",
    "Matches",
    "Page",
    "PageRenderer",
    "PageSettings",
    "PluginError",
    "Prefix",
    "Remove",
    "Renderer",
    "Report",
    "Step",
    "Strip",
    "Switch",
    "hookimpl",
]
