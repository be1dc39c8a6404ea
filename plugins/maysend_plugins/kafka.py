"""A Kafka topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maysend import CloudEvent, DeliveryError, SinkType, hookimpl

_SECONDS = 20
_SETTINGS = {
    "brokers": {
        "type": "string",
        "minLength": 1,
        "examples": ["localhost:9092"],
        "description": "One or more brokers as `host:port`, separated by commas.",
    },
    "topic": {"type": "string", "minLength": 1, "default": "maysend", "description": "The topic."},
    "client": {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean"], "description": "One setting of the client."},
        "description": "Further settings of librdkafka, such as `security.protocol` and `sasl.password`.",
    },
}


@hookimpl
def register_sink_types() -> list[SinkType]:
    """Produces with an idempotent producer; the events of one person go to one partition, in order."""
    return [SinkType(name="kafka", open=Kafka, settings=_SETTINGS, required=("brokers",))]


class Kafka:
    """A producer that waits until all in-sync replicas have every event of a call."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        try:
            import confluent_kafka
        except ModuleNotFoundError:
            raise DeliveryError("needs confluent-kafka; run `pip install 'maysend[kafka]'`") from None
        self._topic: str = settings.get("topic", "maysend")
        self._error = ""
        try:
            self._producer = confluent_kafka.Producer(
                {
                    "log_level": 0,
                    **settings.get("client", {}),
                    "bootstrap.servers": settings["brokers"],
                    "enable.idempotence": True,
                    "error_cb": self._note,
                }
            )
        except confluent_kafka.KafkaException as error:
            raise DeliveryError(f"settings: {error.args[0].str()}") from None

    def deliver(self, events: Sequence[CloudEvent]) -> None:
        failed: list[str] = []
        for event in events:
            self._producer.produce(
                self._topic,
                value=event.body,
                key=event.key,
                headers={"content-type": "application/cloudevents+json", "id": event.id},
                on_delivery=lambda error, _: failed.append(str(error)) if error else None,
            )
        waiting = self._producer.flush(_SECONDS)
        if failed or waiting:
            reason = failed[0] if failed else self._error or "the brokers do not answer"
            self._producer.purge()
            self._producer.flush(1)
            raise DeliveryError(f"{len(failed)} events not confirmed: {reason}")

    def close(self) -> None:
        self._producer.flush(1)

    def _note(self, error: Any) -> None:
        self._error = str(error)
