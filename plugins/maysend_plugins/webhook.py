"""An HTTP endpoint that gets every event as a signed POST, as standardwebhooks.com says."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from maysend import CloudEvent, DeliveryError, SinkType, hookimpl

REJECTED = frozenset((400, 406, 411, 413, 414, 415, 422, 431))
"""The statuses that say that this event will never be taken. Others of 4xx are about the address or the credentials."""

_SETTINGS = {
    "url": {
        "type": "string",
        "pattern": "^https?://[^\\s]+$",
        "title": "a web address",
        "examples": ["https://example.com/hooks/maysend"],
        "description": "Where each event is posted, as `application/cloudevents+json`.",
    },
    "secret": {
        "type": "string",
        "pattern": "^(whsec_)?[A-Za-z0-9+/]{24,}={0,2}$",
        "title": "a Standard Webhooks secret: whsec_ and at least 24 characters of Base64",
        "description": "The secret that signs each post, from the environment: `${NAME}`.",
    },
    "timeout": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 300,
        "default": 10,
        "description": "How many seconds the receiver may take to answer.",
    },
}


@hookimpl
def register_sink_types() -> list[SinkType]:
    """Posts each event, and waits for a status of 2xx before it posts the next."""
    return [SinkType(name="webhook", open=Webhook, settings=_SETTINGS, required=("url", "secret"), at_once=20)]


class Webhook:
    """A connection that is kept open between posts. Redirects are not followed: a signature is for one address.

    Path and query of the URL may be a credential: errors name the receiver by scheme, host and port alone.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        try:
            import standardwebhooks
            import urllib3
        except ModuleNotFoundError as error:
            raise DeliveryError(f"needs {error.name}; run `pip install 'maysend[webhook]'`") from None
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns of headers it cannot read with the whole URL
        self._url: str = settings["url"]
        try:
            parsed = urllib3.util.parse_url(self._url)
        except urllib3.exceptions.LocationParseError:
            raise DeliveryError("the URL cannot be read") from None
        self._receiver = f"{parsed.scheme}://{parsed.netloc or ''}"
        self._signer = standardwebhooks.Webhook(settings["secret"])
        timeout = urllib3.Timeout(total=settings.get("timeout", 10))
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False)
        self._failures = urllib3.exceptions.HTTPError

    def deliver(self, events: Sequence[CloudEvent]) -> None:
        for number, event in enumerate(events):
            try:
                status = self._post(event)
            except self._failures as error:
                raise DeliveryError(f"{self._receiver}: {error}", delivered=number) from error
            if not 200 <= status < 300:
                message = f"{self._receiver} answered {status}"
                raise DeliveryError(message, delivered=number, rejected=status in REJECTED)

    def close(self) -> None:
        self._pool.clear()

    def _post(self, event: CloudEvent) -> int:
        headers = self._headers(event)
        return self._pool.request("POST", self._url, body=event.body, headers=headers, redirect=False).status

    def _headers(self, event: CloudEvent) -> dict[str, str]:
        now = datetime.now(UTC)
        return {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "user-agent": "maysend",
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(event.id, now, event.body.decode()),
        }
