"""A Redis stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maysend import CloudEvent, DeliveryError, SinkType, hookimpl

_SETTINGS = {
    "url": {
        "type": "string",
        "pattern": "^(rediss?|unix)://[^\\s]+$",
        "title": "the URL of a Redis server",
        "examples": ["redis://localhost:6379/0"],
        "description": "The server: `redis://`, `rediss://` (TLS) or `unix://`.",
    },
    "stream": {"type": "string", "minLength": 1, "default": "maysend", "description": "The key of the stream."},
    "max_length": {
        "type": "integer",
        "minimum": 1,
        "description": "About how many entries the stream keeps. Default: all.",
    },
}


@hookimpl
def register_sink_types() -> list[SinkType]:
    """Adds entries with the fields `id`, `key` and `event` (the CloudEvent as JSON), several in one transaction."""
    return [SinkType(name="redis", open=RedisStream, settings=_SETTINGS, required=("url",))]


class RedisStream:
    """How durable an entry is, once it is added, is the server's configuration (`appendfsync`)."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        try:
            import redis
        except ModuleNotFoundError:
            raise DeliveryError("needs redis; run `pip install 'maysend[redis]'`") from None
        self._stream: str = settings.get("stream", "maysend")
        self._max_length: int | None = settings.get("max_length")
        try:
            self._client = redis.Redis.from_url(settings["url"], socket_timeout=10, socket_connect_timeout=5)
        except ValueError:  # which quotes what stands where the port should, and may be of the password
            raise DeliveryError("the URL cannot be read; write what is special in a password as %2F or %25") from None

    def deliver(self, events: Sequence[CloudEvent]) -> None:
        with self._client.pipeline(transaction=True) as pipeline:
            for event in events:
                entry = {"id": event.id, "key": event.key, "event": event.body}
                pipeline.xadd(self._stream, entry, maxlen=self._max_length)  # type: ignore[arg-type] # its dict is invariant
            pipeline.execute()

    def close(self) -> None:
        self._client.close()
