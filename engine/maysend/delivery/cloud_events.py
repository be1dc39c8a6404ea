"""*Channel Unsubscribed* as a CloudEvents 1.0 event (cncf.io/cloudevents), in structured JSON."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as Envelope

from ..events import ChannelUnsubscribed
from ..hookspecs import CloudEvent
from ..model import Project

TYPE = "com.maysend.channel_unsubscribed.v1"
SCHEMA_ID = "urn:maysend:schema:channel_unsubscribed:v1"
"""The ``$id`` of the JSON Schema of the data, which ``maysend schema channel_unsubscribed`` prints."""

_FORMAT = JSONFormat()


def source_of(project: Project) -> str:
    """The events' ``source``, a URI reference: where the project's pages are, else its title."""
    return str(project.settings.get("pages", {}).get("base_url") or f"/maysend/{quote(project.title, safe='')}")


def cloud_event(event: ChannelUnsubscribed, source: str) -> CloudEvent:
    """The event in its envelope.

    Its ``subject`` is what was answered (``email/offers``, or ``email`` for the whole channel), not who: attributes are
    read and logged on the way, and who it was stands in the data alone. ``sequence`` and ``partitionkey`` are the
    documented extensions of these names; the key is a digest, for the same reason.
    """
    person = f"address\0{event.address}" if event.address else f"profile\0{event.profile}"
    key = hashlib.sha256(f"{event.channel}\0{person}".encode()).hexdigest()[:32]
    data = event.as_json()
    attributes = {
        "id": event.event_id,
        "source": source,
        "type": TYPE,
        "time": event.occurred_at,
        "subject": f"{event.channel}/{event.group}" if event.group else event.channel,
        "datacontenttype": "application/json",
        "dataschema": SCHEMA_ID,
        "partitionkey": key,
        "sequence": f"{event.seq:020}",
    }
    return CloudEvent(event.seq, event.event_id, key, data, _FORMAT.write(Envelope(attributes, data)))
