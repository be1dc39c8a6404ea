"""What maysend asks of every channel type; add what is this one's own."""

from typing import ClassVar

import maysend_pigeon

from maysend.testing import ChannelTypeSuite, check_plugin


class TestChannelType(ChannelTypeSuite):
    channel_type = maysend_pigeon.register_channel_types()[0]
    valid: ClassVar = {" Somebody ": "somebody"}
    invalid = ("", "two words")


def test_maysend_takes_it() -> None:
    assert set(check_plugin(maysend_pigeon)) == {"register_channel_types"}
