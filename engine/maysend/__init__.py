"""maysend: who may be sent what?

The names here are the public ones: what a plugin may import.
"""

from .errors import PluginError
from .hookspecs import ChannelType, Lower, Matches, Prefix, Remove, Step, Strip, hookimpl

__all__ = ["ChannelType", "Lower", "Matches", "PluginError", "Prefix", "Remove", "Step", "Strip", "hookimpl"]
