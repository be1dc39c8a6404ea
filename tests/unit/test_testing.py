"""The suites for authors of plugins pass for ours, and fail for plugins that break the contract."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import click
import pytest

import maysend_plugins.email
from maysend import (
    ChannelType,
    CloudEvent,
    Command,
    Lower,
    Matches,
    PluginError,
    Report,
    SinkType,
    Strip,
    hookimpl,
    plugins,
)
from maysend.testing import (
    ChannelTypeSuite,
    CommandSuite,
    FeedbackParserSuite,
    PageRendererSuite,
    SinkTypeSuite,
    check_plugin,
    check_settings,
)

OURS = plugins.load()


class TestEmail(ChannelTypeSuite):
    channel_type = OURS.channel_types["email"]
    valid: ClassVar = {" Ann@Example.COM ": "ann@example.com"}
    invalid = ("", "ann", "ann@", "a@b@c")


class TestSms(ChannelTypeSuite):
    channel_type = OURS.channel_types["sms"]
    valid: ClassVar = {"0049 (151) 555-0100": "+491515550100"}
    invalid = ("", "0151 5550100", "+0", "+49x")


class TestPush(ChannelTypeSuite):
    channel_type = OURS.channel_types["push"]
    valid: ClassVar = {" fcm:AbC ": "fcm:AbC"}
    invalid = ("", "two words")


class TestJsonLines(SinkTypeSuite):
    sink_type = OURS.sink_types["jsonl"]

    def settings(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"path": str(tmp_path / "events.jsonl")}

    def received(self, tmp_path: Path) -> Sequence[bytes]:
        return (tmp_path / "events.jsonl").read_bytes().splitlines()


class TestDefaultPages(PageRendererSuite):
    page_renderer = OURS.page_renderers["default"]


class TestSmtp(FeedbackParserSuite):
    feedback_parser = OURS.feedback_parsers["smtp_v2"]
    settings: ClassVar = {"secret": "s3cret"}
    headers: ClassVar = {"authorization": f"Basic {base64.b64encode(b'maysend:s3cret').decode()}"}
    body = json.dumps(
        {"version": "v2", "events": {"failed": [{"type": "spam", "email": "a@b.c", "meta": "||", "description": "d"}]}}
    ).encode()
    reports = (Report("a@b.c", "spam", "d"),)


class TestGreet(CommandSuite):
    command = Command("greet", "Say hello.", lambda: click.Command("greet", callback=lambda: None))


class _Forgetful:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.path = Path(settings["path"])

    def deliver(self, events: Sequence[CloudEvent]) -> None:
        self.path.write_bytes(b"".join(event.body + b"\n" for event in events))

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("channel_type", "test"),
    [
        (ChannelType("a", "A", (Lower(),)), "test_invalid_addresses_are_refused"),
        (ChannelType("a", "A", (Matches(".*"),)), "test_valid_addresses_are_normalized"),
        (
            ChannelType("a", "A", (Strip(),), keywords={"STOP": "unsubscribed"}),
            "test_a_way_out_by_reply_has_a_way_back",
        ),
        (ChannelType("a", "A", (Strip(),), settings={"x": {"type": "txt"}}), "test_settings_are_described"),
        (ChannelType("a", "A", (Strip(),), settings={"x": {"type": "string"}}), "test_settings_are_described"),
    ],
)
def test_the_suite_finds_what_is_wrong_with_a_channel_type(channel_type: ChannelType, test: str) -> None:
    class Suite(ChannelTypeSuite):
        valid: ClassVar = {" A ": "a"}
        invalid = ("", "b")

    Suite.channel_type = channel_type
    with pytest.raises((AssertionError, ValueError)):
        getattr(Suite(), test)()


def test_the_suite_finds_a_sink_that_loses_events(tmp_path: Path) -> None:
    class Suite(SinkTypeSuite):
        sink_type = SinkType("forgetful", _Forgetful)
        settings = TestJsonLines.settings
        received = TestJsonLines.received

    with pytest.raises(AssertionError):
        Suite().test_every_event_arrives_in_order(tmp_path)


def test_check_plugin_says_what_maysend_takes() -> None:
    assert list(check_plugin(maysend_plugins.email)["register_channel_types"]) == ["email"]
    with pytest.raises(PluginError, match="implements no hook"):
        check_plugin(SimpleNamespace())
    with pytest.raises(PluginError, match="must return a list of ChannelType"):
        check_plugin(SimpleNamespace(register_channel_types=hookimpl(lambda: "x")))


def test_the_built_in_sinks_describe_their_settings() -> None:
    least: dict[str, dict[str, str]] = {
        "webhook": {"url": "https://example.com/", "secret": "whsec_" + "a" * 32},
        "redis": {"url": "redis://localhost"},
        "nats": {"url": "nats://localhost"},
        "rabbitmq": {"url": "amqp://localhost"},
        "kafka": {"brokers": "localhost:9092"},
        "postgres": {"url": "postgresql://localhost/x"},
    }
    for name, settings in least.items():
        check_settings(OURS.sink_types[name], settings)
