"""For authors of plugins: a suite of tests per hook, to be run by their own pytest.

Derive a class from a suite in a test file, say what it is about, and pytest finds the tests::

    class TestPigeon(ChannelTypeSuite):
        channel_type = maysend_pigeon.register_channel_types()[0]
        valid = {" Loft 7 ": "loft 7"}
        invalid = ("", "loft seven")

``check_plugin`` says whether maysend takes a module as a plugin.
"""

from .channel_types import ChannelTypeSuite
from .commands import CommandSuite
from .contract import check_plugin, check_settings
from .feedback_parsers import FeedbackParserSuite
from .page_renderers import PageRendererSuite
from .sink_types import SinkTypeSuite, cloud_events

__all__ = [
    "ChannelTypeSuite",
    "CommandSuite",
    "FeedbackParserSuite",
    "PageRendererSuite",
    "SinkTypeSuite",
    "check_plugin",
    "check_settings",
    "cloud_events",
]
