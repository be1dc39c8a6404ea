"""Twilio SendGrid's signed event webhook: ECDSA (P-256, SHA-256) over the timestamp and the body.

Source: twilio.com/docs/sendgrid/for-developers/tracking-events.
"""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from maysend import FeedbackError, FeedbackParser, Report, hookimpl

_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
_TYPES: Mapping[str, Any] = {
    "bounce": "bounced",
    "dropped": "dropped",
    "spamreport": "spam",
    "unsubscribe": None,
    "group_unsubscribe": None,
}
_OF_THE_ADDRESS = ("bounced address", "unsubscribed address", "spam reporting address", "invalid")
"""Why SendGrid drops mail because of whom it is for; it also drops for what the sender did, such as a wrong header."""


@hookimpl
def register_feedback_parsers() -> list[FeedbackParser]:
    """``POST /feedback/sendgrid``, verified with the public key that SendGrid shows for the webhook."""
    key = {"type": "string", "minLength": 1, "description": "The webhook's verification key, as SendGrid shows it."}
    return [FeedbackParser(name="sendgrid", parse=_parse, settings={"public_key": key}, required=("public_key",))]


def _parse(settings: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> Sequence[Report]:
    _verify(settings["public_key"], headers, body)
    try:
        return [_report(event) for event in json.loads(body) if _is_final(event)]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise FeedbackError("is not a list of SendGrid's events") from None


def _is_final(event: Mapping[str, Any]) -> bool:
    """Whether mail to this address failed for good: a bounce that was a block may pass another time."""
    if event["event"] == "dropped":
        return str(event.get("reason")).lower() in _OF_THE_ADDRESS
    return event["event"] in _TYPES and event.get("type") != "blocked"


def _report(event: Mapping[str, Any]) -> Report:
    at = datetime.fromtimestamp(event["timestamp"], UTC)
    return Report(address=event["email"], type=_TYPES[event["event"]], reason=event.get("reason"), occurred_at=at)


def _verify(public_key: str, headers: Mapping[str, str], body: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(b64decode(public_key))
        assert isinstance(key, ec.EllipticCurvePublicKey)
        signed = headers.get(_TIMESTAMP, "").encode() + body
        key.verify(b64decode(headers.get(_SIGNATURE, "")), signed, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError, AssertionError):
        raise FeedbackError("the signature is wrong", 401) from None
