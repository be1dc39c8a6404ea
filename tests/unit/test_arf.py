"""Complaints in the Abuse Reporting Format, as RFC 5965 shows them, and as nobody should send them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from maysend import FeedbackError, Report, plugins

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)


def parse(message: bytes) -> list[Report]:
    parser = plugins.load().feedback_parsers["arf"]
    return list(parser.parse({"secret": "s3cret"}, {"authorization": "Bearer s3cret"}, message))


COMPLAINT = b"""From: <abusedesk@example.com>
Date: Wed, 01 May 2024 14:00:00 +0200
Subject: FW: Earn money
To: <abuse@example.net>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part1_13d.2e68ed54_boundary"

--part1_13d.2e68ed54_boundary
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report.

--part1_13d.2e68ed54_boundary
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1
Original-Rcpt-To: <user@example.com>
Arrival-Date: Mon, 29 Apr 2024 09:00:00 +0200

--part1_13d.2e68ed54_boundary
Content-Type: message/rfc822

From: <somespammer@example.net>
To: <other@example.com>
Subject: Earn money

Spam Spam Spam
--part1_13d.2e68ed54_boundary--
"""
HOLDING_ANOTHER = COMPLAINT.replace(b"Original-Rcpt-To", b"X-To").replace(
    b"Subject: Earn money\n\nSpam Spam Spam\n",
    b"Subject: Earn money\nContent-Type: message/rfc822\n\nTo: <nobody@example.com>\n\nSpam Spam Spam\n",
)
NESTED = COMPLAINT.replace(b"\n\nSpam", b"\n" + b"Content-Type: message/rfc822\n\n" * 1_500)
COMMENTED = COMPLAINT.replace(b"<user@", b"(" * 1_500 + b"<user@")


def dated(date: bytes) -> bytes:
    return COMPLAINT.replace(b"Wed, 01 May 2024 14:00:00 +0200", date)


@pytest.mark.parametrize(
    ("message", "reports"),
    [
        (COMPLAINT, [Report("user@example.com", "spam", "abuse report", AT)]),
        (COMPLAINT.replace(b": abuse", b": opt-out"), [Report("user@example.com", None, "opt-out report", AT)]),
        (COMPLAINT.replace(b": abuse", b": not-spam"), []),
        (
            COMPLAINT.replace(b"Original-Rcpt-To: <user@example.com>\n", b"").replace(b"Date: Wed", b"X-Date: Wed"),
            [Report("other@example.com", "spam", "abuse report", None)],
        ),
        (
            COMPLAINT.replace(b"message/rfc822", b"text/rfc822-headers").replace(b"Original-Rcpt-To", b"X-To"),
            [Report("other@example.com", "spam", "abuse report", AT)],
        ),
        (COMPLAINT.replace(b"\n", b"\r\n"), [Report("user@example.com", "spam", "abuse report", AT)]),
        (COMPLAINT.replace(b"Wed, 01 May", b"no date"), [Report("user@example.com", "spam", "abuse report", None)]),
        (COMPLAINT.replace(b"Wed, 01 May", b"\xff\xfe"), [Report("user@example.com", "spam", "abuse report", None)]),
        (dated(b"Wed, 01 May 2024 12:00:00 -0000"), [Report("user@example.com", "spam", "abuse report", AT)]),
        (HOLDING_ANOTHER, [Report("other@example.com", "spam", "abuse report", AT)]),
    ],
)
def test_arf_reports_who_complained(message: bytes, reports: list[Report]) -> None:
    assert parse(message) == reports


@pytest.mark.parametrize(
    "date",
    [
        b"Mon, 1 Jan 99999999999 00:00:00 +0000",
        b"Mon, 1 Jan 2024 00:00:00 +99999999999999",
        b"Fri, 31 Dec 9999 23:59:59 -1400",
    ],
)
def test_arf_takes_a_date_that_nothing_can_hold_for_none(date: bytes) -> None:
    assert parse(dated(date)) == [Report("user@example.com", "spam", "abuse report", None)]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b"", "is not a report in the Abuse Reporting Format"),
        (b"\xff\x00\n\n", "is not a report in the Abuse Reporting Format"),
        (COMPLAINT[:300], "is not a report in the Abuse Reporting Format"),
        (COMPLAINT.replace(b"Rcpt-To: <user@example.com>", b"x: y").replace(b"To: <other", b"X: <o"), "who complains"),
        (NESTED, "is nested too deeply"),
        (COMMENTED, "is nested too deeply"),
        (COMPLAINT.replace(b"boundary=", b"boundary*0=a; boundary*=", 1), "is no message that can be read"),
    ],
)
def test_arf_says_what_is_missing(message: bytes, told: str) -> None:
    with pytest.raises(FeedbackError, match=told):
        parse(message)
