"""The suite for sink types."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from .. import delivery
from ..events import ChannelUnsubscribed, new_event_id
from ..hookspecs import CloudEvent, SinkType
from .contract import check_settings


def cloud_events(count: int) -> list[CloudEvent]:
    """So many events of a few people, as a sink gets them."""
    now = datetime.now(UTC)
    made = []
    for seq in range(1, count + 1):
        event = ChannelUnsubscribed(
            seq=seq,
            event_id=new_event_id(),
            occurred_at=now,
            recorded_at=now,
            channel="email",
            group="offers" if seq % 2 else None,
            address=f"p{seq % 3}@example.com",
            profile=f"{seq % 3}" if seq % 5 else None,
            resubscribed=seq % 4 == 0,
            type=None,
            source="page",
            reason="“Too many” – é",
            campaign_id=None,
            campaign_type=None,
            variant=None,
            revision=None,
            text_hash=None,
        )
        made.append(delivery.cloud_event(event, "/maysend/testing"))
    return made


class SinkTypeSuite(ABC):
    """A sink type: ``settings`` opens one that delivers to somewhere new; ``received`` says what is there."""

    sink_type: ClassVar[SinkType]

    @abstractmethod
    def settings(self, tmp_path: Path) -> Mapping[str, Any]:
        """The settings of a sink as in ``project.yaml``, paths absolute."""

    @abstractmethod
    def received(self, tmp_path: Path) -> Sequence[bytes]:
        """The bodies that have arrived, oldest first."""

    def test_settings_are_described(self, tmp_path: Path) -> None:
        check_settings(self.sink_type, self.settings(tmp_path))

    def test_every_event_arrives_in_order(self, tmp_path: Path) -> None:
        events = cloud_events(20)
        sink = self.sink_type.open(self.settings(tmp_path))
        sink.deliver(events[:1])
        sink.deliver(events[1:])
        sink.close()
        assert list(self.received(tmp_path)) == [event.body for event in events]

    def test_what_was_delivered_is_there_after_it_is_opened_anew(self, tmp_path: Path) -> None:
        events, settings = cloud_events(6), self.settings(tmp_path)
        for part in (events[:3], events[3:]):
            sink = self.sink_type.open(settings)
            sink.deliver(part)
            sink.close()
        assert list(self.received(tmp_path)) == [event.body for event in events]

    def test_a_repeat_is_the_same_event(self, tmp_path: Path) -> None:
        """Delivery is at least once: a repeat may be there twice or once, and loses nothing."""
        events = cloud_events(4)
        sink = self.sink_type.open(self.settings(tmp_path))
        sink.deliver(events)
        sink.deliver(events[2:])
        sink.close()
        assert list(dict.fromkeys(self.received(tmp_path))) == [event.body for event in events]
