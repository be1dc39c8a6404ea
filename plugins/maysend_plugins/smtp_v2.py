"""CleverTap's callback for generic SMTP, new version: what any mail server's scripts can post.

Source: docs.clevertap.com/docs/generic-smtp-v2-payload. The payload is not signed; a shared secret comes with it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from maysend import FeedbackError, FeedbackParser, Report, hookimpl, is_authorized

_TYPES: Mapping[str, Any] = {"hard_bounce": "bounced", "dropped": "dropped", "spam": "spam", "unsubscribed": None}


@hookimpl
def register_feedback_parsers() -> list[FeedbackParser]:
    """``POST /feedback/smtp_v2`` with the secret in the header Authorization."""
    secret = {"type": "string", "minLength": 1, "description": "The shared secret, from the environment: `${NAME}`."}
    return [FeedbackParser(name="smtp_v2", parse=_parse, settings={"secret": secret}, required=("secret",))]


def _parse(settings: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> Sequence[Report]:
    if not is_authorized(headers, settings["secret"]):
        raise FeedbackError("the secret is wrong", 401)
    try:
        failed = json.loads(body)["events"]["failed"]
        return [
            Report(address=event["email"], type=_TYPES[event["type"]], reason=event.get("description"))
            for event in failed
            if event["type"] in _TYPES
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FeedbackError('send {"version": "v2", "events": {"failed": [{"type": …, "email": …}]}}') from None
