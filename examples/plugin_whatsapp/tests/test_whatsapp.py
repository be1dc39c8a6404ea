"""What maysend's own suites ask of a plugin, and that it is found once it is installed."""

import json
import subprocess
from typing import ClassVar

import maysend_whatsapp

from maysend.testing import ChannelTypeSuite, CommandSuite, check_plugin


class TestChannelType(ChannelTypeSuite):
    channel_type = maysend_whatsapp.register_channel_types()[0]
    valid: ClassVar = {" 0049 (151) 555-0100 ": "+491515550100", "+1 415 555 0100": "+14155550100"}
    invalid = ("", "0151 5550100", "+0151", "ann@example.com")


class TestInvitation(CommandSuite):
    command = maysend_whatsapp.register_commands()[0]


def test_nobody_is_subscribed_who_did_not_ask() -> None:
    channel_type = maysend_whatsapp.register_channel_types()[0]
    assert channel_type.default == "unsubscribed"
    assert [channel_type.meaning(reply) for reply in ("stop.", "Start", "no!")] == ["unsubscribed", "subscribed", None]


def test_it_is_found_once_it_is_installed() -> None:
    assert set(check_plugin(maysend_whatsapp)) == {"register_channel_types", "register_commands"}
    printed = subprocess.run(["maysend", "plugins", "--json"], check=True, capture_output=True, text=True).stdout
    found = {plugin["distribution"]: plugin for plugin in json.loads(printed)["plugins"]}
    assert found["maysend-whatsapp"]["channel_types"] == ["whatsapp"]
    assert found["maysend-whatsapp"]["error"] is None


def test_the_invitation_writes_start() -> None:
    done = subprocess.run(["maysend", "whatsapp-invitation", "+1 415 555 0100"], capture_output=True, text=True)
    assert done.stdout == "https://wa.me/14155550100?text=START\n"
