"""Complaints in the Abuse Reporting Format (RFC 5965), one message a post or a file."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from maysend import FeedbackError, FeedbackParser, Report, hookimpl, is_authorized

_COMPLAINTS = ("abuse", "fraud", "not-spam", "opt-out", "other", "virus")


@hookimpl
def register_feedback_parsers() -> list[FeedbackParser]:
    """``POST /feedback/arf`` with the secret in the header Authorization, and ``maysend import complaint.eml``."""
    secret = {"type": "string", "minLength": 1, "description": "The shared secret, from the environment: `${NAME}`."}
    return [FeedbackParser(name="arf", parse=_parse, settings={"secret": secret}, required=("secret",), read=_read)]


def _parse(settings: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> Sequence[Report]:
    if not is_authorized(headers, settings["secret"]):
        raise FeedbackError("the secret is wrong", 401)
    return _read(body)


def _read(body: bytes) -> Sequence[Report]:
    try:
        return _reports(message_from_bytes(body))
    except RecursionError:
        raise FeedbackError("is nested too deeply") from None
    except (TypeError, ValueError, LookupError):  # a parameter that is encoded or numbered as nobody can read it
        raise FeedbackError("is no message that can be read") from None


def _reports(message: Message) -> Sequence[Report]:
    parts: dict[str, Message] = {}
    for part in message.walk():
        parts.setdefault(part.get_content_type(), part)  # the mail complained of may hold others of a kind
    report = _inside(parts.get("message/feedback-report"))
    kind = str(report.get("feedback-type", "")).strip().lower()
    if kind not in _COMPLAINTS:
        raise FeedbackError("is not a report in the Abuse Reporting Format (RFC 5965)")
    original = _inside(parts.get("message/rfc822") or parts.get("text/rfc822-headers"))
    named = getaddresses(report.get_all("original-rcpt-to") or original.get_all("to") or [])
    addresses = [address for _, address in named if "@" in address]
    if not addresses:
        raise FeedbackError("does not say who complains: there is neither Original-Rcpt-To nor To")
    type_: Any = None if kind == "opt-out" else "spam"
    at = _date(message.get("date"))  # of the complaint; Arrival-Date is when the mail complained of came
    return [Report(address, type_, f"{kind} report", at) for address in addresses if kind != "not-spam"]


def _inside(part: Message | None) -> Message:
    """The message or the headers that a part holds; an empty message where there is none."""
    if part is None:
        return Message()
    if part.is_multipart():
        inside = part.get_payload(0)
        return inside if isinstance(inside, Message) else Message()
    payload = part.get_payload(decode=True)
    return message_from_bytes(payload if isinstance(payload, bytes) else b"")


def _date(text: object) -> datetime | None:
    """A date in UTC; None where there is none, or none that a datetime can hold."""
    try:
        found = parsedate_to_datetime(str(text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
