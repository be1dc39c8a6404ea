"""A RabbitMQ exchange or queue."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from maysend import CloudEvent, DeliveryError, SinkType, hookimpl

_SETTINGS = {
    "url": {
        "type": "string",
        "pattern": "^amqps?://[^\\s]+$",
        "title": "an AMQP URL",
        "examples": ["amqp://guest:${RABBITMQ_PASSWORD}@localhost:5672/"],
        "description": "The server: `amqp://` or `amqps://` (TLS).",
    },
    "exchange": {
        "type": "string",
        "default": "",
        "description": "The exchange to publish to, which must be there. Default: straight to a queue.",
    },
    "routing_key": {
        "type": "string",
        "minLength": 1,
        "default": "maysend",
        "description": "The routing key; without an exchange, the queue, which is made (durable) where it is missing.",
    },
}


@hookimpl
def register_sink_types() -> list[SinkType]:
    """Publishes persistent messages, and waits until the broker has confirmed each."""
    return [SinkType(name="rabbitmq", open=RabbitMQ, settings=_SETTINGS, required=("url",), at_once=100)]


class RabbitMQ:
    """A channel in confirm mode: a message that reaches no queue is a failure, not a success."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        try:
            import pika
        except ModuleNotFoundError:
            raise DeliveryError("needs pika; run `pip install 'maysend[rabbitmq]'`") from None
        self._exchange: str = settings.get("exchange", "")
        self._routing_key: str = settings.get("routing_key", "maysend")
        parameters = pika.URLParameters(settings["url"])
        parameters.socket_timeout = parameters.blocked_connection_timeout = 10
        parameters.connection_attempts = 1
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # it logs, with a traceback, what it raises as well
        self._properties = pika.BasicProperties
        self._failures = (pika.exceptions.AMQPError,)
        try:
            self._connection = pika.BlockingConnection(parameters)
        except self._failures as error:
            raise DeliveryError(f"cannot connect: {error}") from error
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()
        if not self._exchange:
            self._channel.queue_declare(self._routing_key, durable=True)

    def deliver(self, events: Sequence[CloudEvent]) -> None:
        for number, event in enumerate(events):
            properties = self._properties(
                message_id=event.id, content_type="application/cloudevents+json", delivery_mode=2
            )
            try:
                self._channel.basic_publish(self._exchange, self._routing_key, event.body, properties, mandatory=True)
            except self._failures as error:
                raise DeliveryError(f"not confirmed: {error!r}", delivered=number) from error

    def close(self) -> None:
        if self._connection.is_open:
            self._connection.close()
