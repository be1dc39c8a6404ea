"""Amazon SES through SNS, its messages verified by Amazon's signature and limited to the declared topics.

Sources: docs.aws.amazon.com/sns (verify signatures of messages), docs.aws.amazon.com/ses (notification contents).
"""

import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from maysend import FeedbackError, FeedbackParser, Report, hookimpl

_AMAZON = r"https://sns\.[a-z]{2,}(-[a-z]+)+-\d+\.amazonaws\.com(\.cn)?"
"""SNS in a region. Not any name below amazonaws.com: sns.s3.amazonaws.com is what somebody keeps in a bucket."""

_CERTIFICATE = re.compile(_AMAZON + r"/SimpleNotificationService-[0-9A-Za-z]+\.pem")
_CONFIRMATION = re.compile(_AMAZON + r"/\?\S*")
_SIGNED: Mapping[str, tuple[str, ...]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_SUPPRESSED = ("Suppressed", "OnAccountSuppressionList")
_NO_COMPLAINT = ("not-spam", "auth-failure")


@hookimpl
def register_feedback_parsers() -> list[FeedbackParser]:
    """``POST /feedback/ses``; a topic's subscription is confirmed when Amazon asks for it."""
    topics = {
        "type": "array",
        "minItems": 1,
        "items": {"type": "string"},
        "description": "The ARNs of the topics that are listened to.",
    }
    return [FeedbackParser(name="ses", parse=_parse, settings={"topics": topics}, required=("topics",))]


def _parse(settings: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> Sequence[Report]:  # noqa: ARG001 - the hook's
    try:
        message = json.loads(body)
        signed = _SIGNED[message["Type"]]
        text = "".join(f"{name}\n{message[name]}\n" for name in signed if name in message).encode()
        certificate, signature = message["SigningCertURL"], b64decode(message["Signature"])
        topic, version = message["TopicArn"], message["SignatureVersion"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise FeedbackError("is not a message of Amazon SNS") from None
    if topic not in settings["topics"]:
        raise FeedbackError("the topic is not declared", 401)
    _verify(str(certificate), text, signature, str(version))
    if message["Type"] == "SubscriptionConfirmation":
        fetch(str(message["SubscribeURL"]), _CONFIRMATION)
        return []
    try:
        return _reports(json.loads(message["Message"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FeedbackError("holds no notification of Amazon SES") from None


def _reports(told: Mapping[str, Any]) -> list[Report]:
    match told.get("notificationType") or told.get("eventType"):
        case "Bounce" if told["bounce"]["bounceType"] == "Permanent":
            bounce = told["bounce"]
            dropped = bounce.get("bounceSubType") in _SUPPRESSED
            return [
                Report(
                    address=recipient["emailAddress"],
                    type="dropped" if dropped else "bounced",
                    reason=recipient.get("diagnosticCode") or bounce.get("bounceSubType"),
                    occurred_at=_time(bounce["timestamp"]),
                )
                for recipient in bounce["bouncedRecipients"]
            ]
        case "Complaint" if told["complaint"].get("complaintFeedbackType") not in _NO_COMPLAINT:
            complaint = told["complaint"]
            reason, at = complaint.get("complaintFeedbackType"), _time(complaint["timestamp"])
            return [Report(who["emailAddress"], "spam", reason, at) for who in complaint["complainedRecipients"]]
        case "Subscription" if _left(told["subscription"]):
            subscription = told["subscription"]
            reason, at = subscription.get("source"), _time(subscription["timestamp"])
            return [Report(address, None, reason, at) for address in told["mail"]["destination"]]
        case _:
            return []


def _left(subscription: Mapping[str, Any]) -> bool:
    """Whether somebody left a topic or all of them, by Amazon's own link or header."""
    before, after = subscription.get("oldTopicPreferences") or {}, subscription["newTopicPreferences"]
    return bool(after.get("unsubscribeAll") or _opted_out(after) - _opted_out(before))


def _opted_out(preferences: Mapping[str, Any]) -> set[str]:
    statuses = preferences.get("topicSubscriptionStatus") or ()
    return {str(topic["topicName"]) for topic in statuses if topic["subscriptionStatus"] == "OptOut"}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _verify(url: str, signed: bytes, signature: bytes, version: str) -> None:
    """Version 1 signs with SHA-1, version 2 with SHA-256; RSA, PKCS #1 v1.5."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    algorithm = {"1": hashes.SHA1, "2": hashes.SHA256}.get(version)
    try:
        key = x509.load_pem_x509_certificate(_certificate(url)).public_key()
        if algorithm is None or not isinstance(key, rsa.RSAPublicKey):
            raise FeedbackError("the signature is of an unknown kind", 401)
        key.verify(signature, signed, padding.PKCS1v15(), algorithm())
    except (InvalidSignature, ValueError):
        raise FeedbackError("the signature is wrong", 401) from None


@lru_cache(maxsize=8)
def _certificate(url: str) -> bytes:
    return fetch(url, _CERTIFICATE)


def fetch(url: str, kind: re.Pattern[str]) -> bytes:
    """What Amazon has at a URL of its own of this kind; any other URL is refused, whoever signed it."""
    if not kind.fullmatch(url):
        raise FeedbackError("names a URL that is not Amazon's", 401)
    import urllib.request  # slow to import, and needed for a certificate alone

    class NoRedirects(urllib.request.HTTPRedirectHandler):
        """Amazon's URLs lead nowhere else, or are not followed."""

        def redirect_request(self, *_: Any) -> None:
            return None

    try:
        with urllib.request.build_opener(NoRedirects).open(url, timeout=10) as response:
            content: bytes = response.read(100_000)
    except OSError:
        raise FeedbackError("Amazon cannot be reached; try again later", 503) from None
    return content
