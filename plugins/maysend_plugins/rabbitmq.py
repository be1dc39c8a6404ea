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
    """Publishes persistent messages, and waits until the broker has committed them."""
    return [SinkType(name="rabbitmq", open=RabbitMQ, settings=_SETTINGS, required=("url",))]


class RabbitMQ:
    """A channel with transactions: each call is committed as a whole. What reaches no queue is a failure."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        try:
            import pika
        except ModuleNotFoundError:
            raise DeliveryError("needs pika; run `pip install 'maysend[rabbitmq]'`") from None
        self._exchange: str = settings.get("exchange", "")
        self._routing_key: str = settings.get("routing_key", "maysend")
        try:
            parameters = pika.URLParameters(settings["url"])
        except ValueError:  # which quotes what stands where the port should, and may be of the password
            raise DeliveryError("the URL cannot be read; write what is special in a password as %2F or %25") from None
        parameters.socket_timeout = parameters.blocked_connection_timeout = 10
        parameters.connection_attempts = 1
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # it logs, with a traceback, what it raises as well
        self._properties = pika.BasicProperties
        self._failures = (pika.exceptions.AMQPError,)
        self._returned: list[str] = []
        try:
            self._connection = pika.BlockingConnection(parameters)
            self._channel = self._connection.channel()
            self._channel.add_on_return_callback(lambda _, method, *__: self._returned.append(method.reply_text))
            if not self._exchange:
                self._channel.queue_declare(self._routing_key, durable=True)
            self._channel.tx_select()
        except self._failures as error:
            raise DeliveryError(f"cannot connect: {error}") from error

    def deliver(self, events: Sequence[CloudEvent]) -> None:
        self._returned.clear()
        try:
            for event in events:
                properties = self._properties(
                    message_id=event.id, content_type="application/cloudevents+json", delivery_mode=2
                )
                self._channel.basic_publish(self._exchange, self._routing_key, event.body, properties, mandatory=True)
            self._channel.tx_commit()
            self._connection.process_data_events()  # tells of the returns, which came before the commit's answer
        except self._failures as error:
            raise DeliveryError(f"not committed: {error!r}") from error
        if self._returned:
            raise DeliveryError(f"{len(self._returned)} events reached no queue: {self._returned[0]}")

    def close(self) -> None:
        if self._connection.is_open:
            self._connection.close()
