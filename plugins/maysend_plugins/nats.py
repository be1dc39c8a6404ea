"""A NATS JetStream stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maysend import CloudEvent, DeliveryError, SinkType, hookimpl

_SECONDS = 10
_ONCE: dict[str, Any] = {
    "allow_reconnect": False,
    "connect_timeout": 5,
    "max_reconnect_attempts": 1,
    "reconnect_time_wait": 0.1,
}
"""One attempt a connection: when to try again is for whoever delivers to say."""

_SETTINGS = {
    "url": {
        "type": "string",
        "pattern": "^(nats|tls|ws|wss)://[^\\s]+$",
        "title": "the URL of a NATS server",
        "examples": ["nats://localhost:4222"],
        "description": "The server. User and password, or a token, may stand in it.",
    },
    "subject": {
        "type": "string",
        "pattern": "^[^\\s*>]+$",
        "title": "a subject without wildcards",
        "default": "maysend.channel_unsubscribed",
        "description": "The subject to publish under, on which a stream must listen.",
    },
    "stream": {
        "type": "string",
        "pattern": "^[^\\s.*>/\\\\]+$",
        "title": "a stream's name",
        "description": "A stream that is made for the subject where there is none of that name.",
    },
}


@hookimpl
def register_sink_types() -> list[SinkType]:
    """Publishes with the event's id as `Nats-Msg-Id`, so that the server drops what comes twice within its window."""
    return [SinkType(name="nats", open=JetStream, settings=_SETTINGS, required=("url",))]


class JetStream:
    """Each event is published once the one before it is stored: what fails is never overtaken."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        import asyncio  # slow to import, for a plugin that few use

        try:
            import nats
        except ModuleNotFoundError:
            raise DeliveryError("needs nats-py; run `pip install 'maysend[nats]'`") from None
        self._subject: str = settings.get("subject", "maysend.channel_unsubscribed")
        self._stream: str | None = settings.get("stream")
        self._url: str = settings["url"]
        self._connect = nats.connect
        self._loop = asyncio.Runner()
        try:
            self._loop.run(self._open())
        except BaseException:
            self._loop.close()
            raise

    def deliver(self, events: Sequence[CloudEvent]) -> None:
        self._loop.run(self._publish(events))

    def close(self) -> None:
        try:
            self._loop.run(self._client.close())
        finally:
            self._loop.close()

    async def _open(self) -> None:
        from nats.js.errors import NotFoundError

        told: list[str] = []

        async def note(error: Exception) -> None:
            told.append(str(error) or type(error).__name__)

        try:
            self._client = await self._connect(self._url, error_cb=note, **_ONCE)
        except Exception as error:  # what the client raises has no common base
            raise DeliveryError(f"cannot connect: {told[-1] if told else error}") from error
        self._jetstream = self._client.jetstream(timeout=_SECONDS)
        if self._stream:
            try:
                await self._jetstream.stream_info(self._stream)
            except NotFoundError:
                await self._jetstream.add_stream(name=self._stream, subjects=[self._subject])

    async def _publish(self, events: Sequence[CloudEvent]) -> None:
        for number, event in enumerate(events):
            headers = {"Nats-Msg-Id": event.id, "content-type": "application/cloudevents+json"}
            try:
                await self._jetstream.publish(self._subject, event.body, headers=headers)
            except Exception as error:  # what the client raises has no common base
                raise DeliveryError(f"{type(error).__name__}: {error}", delivered=number) from error
