"""What each service reports, from messages as they send them, signed with keys of our own."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from maysend import FeedbackError, Report, is_authorized, plugins
from maysend_plugins import ses

SECRET = {"secret": "s3cret"}
BEARER = {"authorization": "Bearer s3cret"}
TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
AT = datetime(2024, 5, 1, 12, tzinfo=UTC)


def parse(name: str, settings: dict[str, Any], headers: dict[str, str], body: bytes | Any) -> list[Report]:
    parser = plugins.load().feedback_parsers[name]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(parser.parse(settings, headers, content))


@pytest.mark.parametrize(
    ("authorization", "right"),
    [
        ("Bearer s3cret", True),
        ("bearer  s3cret ", True),
        (f"Basic {b64encode(b'maysend:s3cret').decode()}", True),
        (f"Basic {b64encode(b's3cret').decode()}", False),
        ("Basic s3cret", False),
        ("Bearer s3cre", False),
        ("Bearer é", False),
        ("s3cret", False),
        ("", False),
    ],
)
def test_a_shared_secret_comes_as_bearer_or_as_basic_s_password(authorization: str, right: bool) -> None:
    assert is_authorized({"authorization": authorization}, "s3cret") is right


# CleverTap's generic SMTP


def test_smtp_v2_reports_every_type_but_soft_bounces() -> None:
    failed = [
        {"type": kind, "email": f"{kind}@example.com", "meta": "a|b|", "description": f"{kind} by server"}
        for kind in ("unsubscribed", "hard_bounce", "soft_bounce", "spam", "dropped", "delivered")
    ]
    assert parse("smtp_v2", SECRET, BEARER, {"version": "v2", "events": {"failed": failed}}) == [
        Report("unsubscribed@example.com", None, "unsubscribed by server"),
        Report("hard_bounce@example.com", "bounced", "hard_bounce by server"),
        Report("spam@example.com", "spam", "spam by server"),
        Report("dropped@example.com", "dropped", "dropped by server"),
    ]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"events": {"failed": [1]}}', b"[" * 100_000, b"\xff"])
def test_smtp_v2_says_what_it_wants(body: bytes) -> None:
    with pytest.raises(FeedbackError, match="send") as told:
        parse("smtp_v2", SECRET, BEARER, body)
    assert told.value.status == 400


@pytest.mark.parametrize("name", ["smtp_v2", "arf"])
def test_a_wrong_secret_is_refused_before_anything_is_read(name: str) -> None:
    with pytest.raises(FeedbackError, match="the secret is wrong") as told:
        parse(name, SECRET, {"authorization": "Bearer guess"}, b"")
    assert told.value.status == 401


# SendGrid

SENDGRID = ec.generate_private_key(ec.SECP256R1())
PUBLIC_KEY = b64encode(
    SENDGRID.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()


def signed_by_sendgrid(body: bytes) -> dict[str, str]:
    signature = SENDGRID.sign(b"1714564800" + body, ec.ECDSA(hashes.SHA256()))
    return {
        "x-twilio-email-event-webhook-signature": b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": "1714564800",
    }


def test_sendgrid_reports_what_is_final() -> None:
    events = [
        {"event": "bounce", "type": "bounce", "email": "a@example.com", "timestamp": 1714564800, "reason": "550 no"},
        {"event": "bounce", "type": "blocked", "email": "b@example.com", "timestamp": 1714564800},
        {"event": "deferred", "email": "c@example.com", "timestamp": 1714564800},
        {"event": "dropped", "email": "d@example.com", "timestamp": 1714564800, "reason": "Bounced Address"},
        {"event": "dropped", "email": "h@example.com", "timestamp": 1714564800, "reason": "Invalid SMTPAPI header"},
        {"event": "dropped", "email": "i@example.com", "timestamp": 1714564800, "reason": "Spam Content"},
        {"event": "dropped", "email": "j@example.com", "timestamp": 1714564800},
        {"event": "spamreport", "email": "e@example.com", "timestamp": 1714564800},
        {"event": "unsubscribe", "email": "f@example.com", "timestamp": 1714564800},
        {"event": "group_unsubscribe", "email": "k@example.com", "timestamp": 1714564800, "asm_group_id": 1},
        {"event": "group_resubscribe", "email": "l@example.com", "timestamp": 1714564800, "asm_group_id": 1},
        {"event": "open", "email": "g@example.com", "timestamp": 1714564800},
    ]
    body = json.dumps(events).encode()
    assert parse("sendgrid", {"public_key": PUBLIC_KEY}, signed_by_sendgrid(body), body) == [
        Report("a@example.com", "bounced", "550 no", AT),
        Report("d@example.com", "dropped", "Bounced Address", AT),
        Report("e@example.com", "spam", None, AT),
        Report("f@example.com", None, None, AT),
        Report("k@example.com", None, None, AT),
    ]


def test_sendgrid_s_signature_covers_body_and_time() -> None:
    body = b'[{"event": "bounce", "email": "a@example.com", "timestamp": 1714564800}]'
    right = signed_by_sendgrid(body)
    for headers, content in (
        ({}, body),
        (right, body + b" "),
        (right | {"x-twilio-email-event-webhook-timestamp": "1714564801"}, body),
        (right | {"x-twilio-email-event-webhook-signature": "%%%"}, body),
    ):
        with pytest.raises(FeedbackError, match="the signature is wrong") as told:
            parse("sendgrid", {"public_key": PUBLIC_KEY}, headers, content)
        assert told.value.status == 401
    with pytest.raises(FeedbackError, match="is not a list"):
        parse("sendgrid", {"public_key": PUBLIC_KEY}, signed_by_sendgrid(b"{"), b"{")


# Amazon SES

AMAZON = rsa.generate_private_key(65537, 2048)


def amazon_s_certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(AMAZON.public_key())
    built = built.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    return built.sign(AMAZON, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was asked for at Amazon, which has a certificate of ours."""
    asked: list[str] = []
    pem = amazon_s_certificate()

    def fetch(url: str, kind: re.Pattern[str]) -> bytes:
        assert kind.fullmatch(url)
        asked.append(url)
        return pem

    ses._certificate.cache_clear()
    monkeypatch.setattr(ses, "fetch", fetch)
    yield asked
    ses._certificate.cache_clear()


def sns(message: Any, *, version: str = "2", **changed: Any) -> dict[str, Any]:
    told = {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": TOPIC,
        "Message": json.dumps(message),
        "Timestamp": "2024-05-01T12:00:00.000Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
    } | changed
    names = sorted(told.keys() - {"SignatureVersion", "SigningCertURL"})
    text = "".join(f"{name}\n{told[name]}\n" for name in names).encode()
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()  # noqa: S303 - version 1 is Amazon's
    signature = AMAZON.sign(text, padding.PKCS1v15(), algorithm)
    return told | {"Signature": b64encode(signature).decode()}


BOUNCE = {
    "notificationType": "Bounce",
    "bounce": {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": "a@example.com", "diagnosticCode": "smtp; 550 5.1.1 unknown"}],
        "timestamp": "2024-05-01T12:00:00.000Z",
    },
}


def subscription(before: dict[str, str], after: dict[str, str], *, everything: bool = False) -> dict[str, Any]:
    """Somebody's statuses of SES's topics, before and after a click on its link."""
    statuses, were = (
        [{"topicName": topic, "subscriptionStatus": status} for topic, status in told.items()]
        for told in (after, before)
    )
    return {
        "eventType": "Subscription",
        "mail": {"destination": ["c@example.com"]},
        "subscription": {
            "timestamp": "2024-05-01T12:00:00.000Z",
            "source": "UnsubscribeHeader",
            "newTopicPreferences": {"unsubscribeAll": everything, "topicSubscriptionStatus": statuses},
            "oldTopicPreferences": {"unsubscribeAll": False, "topicSubscriptionStatus": were},
        },
    }


LEFT = [Report("c@example.com", None, "UnsubscribeHeader", AT)]


@pytest.mark.usefixtures("fetched")
@pytest.mark.parametrize(
    ("message", "reports"),
    [
        (subscription({"news": "OptIn"}, {"news": "OptOut"}), LEFT),
        (subscription({}, {}, everything=True), LEFT),
        (subscription({"news": "OptOut"}, {"news": "OptIn"}), []),
        (subscription({"news": "OptOut"}, {"news": "OptOut", "club": "OptIn"}), []),
        (BOUNCE, [Report("a@example.com", "bounced", "smtp; 550 5.1.1 unknown", AT)]),
        (BOUNCE | {"bounce": BOUNCE["bounce"] | {"bounceType": "Transient"}}, []),  # type: ignore[operator] # JSON
        (
            BOUNCE | {"bounce": BOUNCE["bounce"] | {"bounceSubType": "OnAccountSuppressionList"}},  # type: ignore[operator] # JSON
            [Report("a@example.com", "dropped", "smtp; 550 5.1.1 unknown", AT)],
        ),
        (
            {
                "eventType": "Complaint",
                "complaint": {
                    "complainedRecipients": [{"emailAddress": "b@example.com"}],
                    "complaintFeedbackType": "abuse",
                    "timestamp": "2024-05-01T12:00:00Z",
                },
            },
            [Report("b@example.com", "spam", "abuse", AT)],
        ),
        *(
            (
                {
                    "notificationType": "Complaint",
                    "complaint": {
                        "complainedRecipients": [{"emailAddress": "b@example.com"}],
                        "complaintFeedbackType": kind,
                        "timestamp": "2024-05-01T12:00:00Z",
                    },
                },
                [],
            )
            for kind in ("not-spam", "auth-failure")
        ),
        ({"eventType": "Delivery"}, []),
    ],
)
@pytest.mark.parametrize("version", ["1", "2"])
def test_ses_reports_what_is_final(message: Any, reports: list[Report], version: str) -> None:
    assert parse("ses", {"topics": [TOPIC]}, {}, sns(message, version=version)) == reports


def test_ses_confirms_a_declared_topic(fetched: list[str]) -> None:
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
    confirmation = sns("", Type="SubscriptionConfirmation", SubscribeURL=url, Token="t")  # noqa: S106 - no secret
    assert parse("ses", {"topics": [TOPIC]}, {}, confirmation) == []
    assert fetched == [CERTIFICATE, url]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"TopicArn": f"{TOPIC}2"}, "the topic is not declared"),
        ({"Message": json.dumps(BOUNCE).replace("a@", "b@")}, "the signature is wrong"),
        ({"Timestamp": "2024-05-02T12:00:00.000Z"}, "the signature is wrong"),
        ({"SignatureVersion": "3"}, "the signature is of an unknown kind"),
        ({"Signature": "AAAA"}, "the signature is wrong"),
    ],
)
def test_ses_refuses_what_amazon_did_not_say(fetched: list[str], changed: dict[str, str], message: str) -> None:
    with pytest.raises(FeedbackError, match=message) as told:
        parse("ses", {"topics": [TOPIC]}, {}, sns(BOUNCE) | changed)
    assert told.value.status == 401
    assert set(fetched) <= {CERTIFICATE}


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE.replace("https", "http"),
        CERTIFICATE.replace(".com", ".com.evil.example"),
        CERTIFICATE.replace("https://", "https://evil.example/"),
        CERTIFICATE.replace("https://", "https://x@evil.example/"),
        CERTIFICATE.replace("sns.eu-west-1", "s3"),
        CERTIFICATE.replace("eu-west-1", "s3"),
        CERTIFICATE.replace("eu-west-1", "s3-eu-west-1"),
        CERTIFICATE.replace("eu-west-1", "s3.eu-west-1"),
        CERTIFICATE.replace("/Simple", "/x/Simple"),
        f"{CERTIFICATE}?x",
        "https://sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
        "file:///etc/passwd",
    ],
)
def test_ses_takes_certificates_from_amazon_alone(url: str) -> None:
    """A bucket may be called "sns", and anybody can keep a certificate in one of theirs."""
    with pytest.raises(FeedbackError, match="names a URL that is not Amazon's"):
        parse("ses", {"topics": [TOPIC]}, {}, sns(BOUNCE) | {"SigningCertURL": url})


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "ap-southeast-7", "eu-isoe-west-1", "cn-north-1"])
def test_ses_knows_amazon_s_regions(fetched: list[str], region: str) -> None:
    url = CERTIFICATE.replace("eu-west-1", region).replace(".com", ".com.cn" if region.startswith("cn") else ".com")
    assert parse("ses", {"topics": [TOPIC]}, {}, sns(BOUNCE) | {"SigningCertURL": url})
    assert fetched == [url]


def test_ses_follows_no_redirect() -> None:
    """Whoever finds a redirect at Amazon could lead to a certificate of their own."""

    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    asked: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(FeedbackError, match="Amazon cannot be reached"):
            ses.fetch(f"http://127.0.0.1:{server.server_port}/certificate", re.compile(".*"))
        server.shutdown()
    assert asked == ["/certificate"]


HALF_A_LETTER = json.dumps(dict.fromkeys(sns({}), "\ud800") | {"Type": "Notification", "Signature": "AAAA"}).encode()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"Type": "Other"}', b'{"Type": []}', HALF_A_LETTER])
def test_ses_says_that_it_is_no_message(body: bytes) -> None:
    with pytest.raises(FeedbackError, match="is not a message of Amazon SNS"):
        parse("ses", {"topics": [TOPIC]}, {}, body)
