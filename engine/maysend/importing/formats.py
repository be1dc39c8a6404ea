"""What people migrate from: the exports of other services, a record of theirs as rows of ours.

A row names their group as they do; ``foreign`` puts ours in its place. What says neither yes nor no makes no row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import FeedbackError, SourceError
from ..hookspecs import FeedbackParser
from .files import mails, records
from .rows import EVIDENCE, MISSHAPEN, Row

Record = Mapping[str, Any]
Format = Callable[[Record], Iterator[Row]]


def sendgrid(record: Record) -> Iterator[Row]:
    """A suppression: of a group (ASM) or of everything, as CSV from the interface or JSON from the API.

    Source: Twilio SendGrid API reference, "Suppressions" (``email``, ``group_name``, ``created_at`` in Unix seconds).
    """
    at = record.get("created_at") or record.get("created")
    yield _row(record["email"], "unsubscribed", at, group=record.get("group_name"))


def ses(record: Record) -> Iterator[Row]:
    """A contact of an Amazon SES contact list, as ``aws sesv2 list-contacts`` and ``get-contact`` print it.

    Source: Amazon SES API v2 reference, "Contact".
    """
    email, at = record["EmailAddress"], record.get("LastUpdatedTimestamp")
    for topic in record.get("TopicPreferences") or ():
        status = "unsubscribed" if topic["SubscriptionStatus"] == "OPT_OUT" else "subscribed"
        yield _row(email, status, at, group=topic["TopicName"])
    if record.get("UnsubscribeAll"):
        yield _row(email, "unsubscribed", at)


def mailchimp(record: Record) -> Iterator[Row]:
    """A member of one of the CSV files of an audience export: subscribed, unsubscribed or cleaned.

    Source: Mailchimp help, "View or export contacts" (times are UTC). A group is named by each interest in a cell.
    """
    email = record["Email Address"]
    if at := record.get("UNSUB_TIME"):
        reason = record.get("UNSUB_REASON_OTHER") or record.get("UNSUB_REASON")
        yield _row(email, "unsubscribed", at, reason=reason)
    elif at := record.get("CLEAN_TIME"):
        yield _row(email, "unsubscribed", at, type="bounced")
    elif at := record.get("CONFIRM_TIME") or record.get("OPTIN_TIME"):
        yield _row(email, "subscribed", at)
        for cell in record.values():
            for interest in filter(None, re.split(r",\s*", cell or "")):
                yield _row(email, "subscribed", at, group=interest, optional=True)


def listmonk(record: Record) -> Iterator[Row]:
    """A subscriber of listmonk, as the CSV export (``status`` alone) or ``GET /api/subscribers`` (lists too) has it.

    Source: listmonk documentation, "Subscribers". A list that is unconfirmed is no answer.
    """
    email, at = record["email"], record.get("updated_at")
    for joined in record.get("lists") or ():
        status = {"unsubscribed": "unsubscribed", "confirmed": "subscribed"}.get(joined["subscription_status"])
        if status:
            yield _row(email, status, joined.get("subscription_updated_at") or at, group=joined["name"])
    if {"enabled": False, "disabled": False, "blocklisted": True}[record["status"]]:
        yield _row(email, "unsubscribed", at)


def clevertap(record: Record) -> Iterator[Row]:
    """A profile of CleverTap: an upload with ``category-unsubscribe``, or an export with ``subscription_groups``.

    Source: CleverTap documentation, "Group Unsubscribe" and "Upload User Profiles API". ``ts`` is Unix seconds.
    """
    data = record.get("profileData") or record
    identity = str(record.get("identity") or record.get("objectId") or "")
    email = record.get("email") or data.get("Email") or (identity if "@" in identity else None)
    profile = None if identity == email else identity
    for key, status in (("category-unsubscribe", "unsubscribed"), ("category-resubscribe", "subscribed")):
        for channel, groups in (data.get(key) or {}).items():
            for group in groups:
                yield _row(email, status, record.get("ts"), profile=profile, group=group, channel=channel)
    for group, status in (data.get("subscription_groups") or {}).items():
        yield _row(email, status.lower(), record.get("ts"), profile=profile, group=group)


FORMATS: Mapping[str, Format] = {
    "sendgrid": sendgrid,
    "ses": ses,
    "mailchimp": mailchimp,
    "listmonk": listmonk,
    "clevertap": clevertap,
}

MARKS: Mapping[str, tuple[str, ...]] = {
    "sendgrid": ("created_at", "created"),
    "ses": ("EmailAddress",),
    "mailchimp": ("OPTIN_TIME", "CONFIRM_TIME", "UNSUB_TIME", "CLEAN_TIME"),
    "listmonk": ("status",),
    "clevertap": ("profileData", "evtData", "category-unsubscribe", "category-resubscribe", "subscription_groups"),
}
"""A record of theirs has one of these fields at least, whether or not it says anything."""

OWN = "events"
"""The format of our own events."""
_NAMED = {"campaign": "campaign_id"}


def foreign(file: Path, name: str, channel: str, groups: Mapping[str, str], known: frozenset[str]) -> Iterator[Row]:
    """The answers in an export of the service ``name``, for ``channel``.

    ``groups`` maps their groups to ours, ``""`` what names none; a group of theirs that is called like one of
    ``known`` (apart from case, blanks and dashes) needs no entry. Raises SourceError at a record that is not theirs.
    """
    for number, record in enumerate(records(file), 1):
        try:
            if not any(mark in record for mark in MARKS[name]):
                raise TypeError(f"it has no {' or '.join(MARKS[name])}")
            for row in FORMATS[name](record):
                theirs = row["group"] or ""
                if row["channel"] not in (None, channel):
                    continue
                if row["optional"] and theirs not in groups:
                    continue
                yield {**row, "channel": channel, "group": groups.get(theirs) or _same(theirs, known)}
        except (KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"{file}: record {number} is not as {name} exports it ({error})") from None


def recorded(file: Path) -> Iterator[Row]:
    """Our own events again, as a sink got them (CloudEvents) or ``maysend history --json`` tells them, with all that
    they say: for a ledger that was restored from before they were recorded."""
    for number, record in enumerate(records(file), 1):
        try:
            event = record["data"] if "specversion" in record else record
            row = _row(
                event["address"],
                "subscribed" if event["resubscribed"] else "unsubscribed",
                event["occurred_at"],
                **{name: event[name] for name in ("profile", "group", "type", "reason", "channel")},
            )
            yield row | {name: event[_NAMED.get(name, name)] for name in EVIDENCE}
        except (KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"{file}: record {number} is no event of ours ({error})") from None


def reported(file: Path, parser: FeedbackParser, channel: str, now: datetime) -> Iterator[Row]:
    """What mails to the operator report for ``channel``; a mail that is no report makes a row that is refused.

    As with what is posted, a date in the future is taken for now.
    """
    assert parser.read
    for name, mail in mails(file):
        try:
            reports = parser.read(mail)
        except FeedbackError as error:
            yield {MISSHAPEN: f"{name}: {error}"}
            continue
        for report in reports:
            at = report.occurred_at if report.occurred_at and report.occurred_at < now else None
            moment, why = at.isoformat() if at else None, report.reason
            yield _row(report.address, "unsubscribed", moment, type=report.type, reason=why, channel=channel)


def _same(theirs: str, known: frozenset[str]) -> str:
    ours = re.sub(r"[\s-]+", "_", theirs.strip().lower())
    return ours if ours in known else theirs


def _row(
    address: str | None,
    status: str,
    at: str | float | None,
    *,
    profile: str | None = None,
    group: str | None = None,
    type: str | None = None,
    reason: str | None = None,
    channel: str | None = None,
    optional: bool = False,
) -> dict[str, str | None]:
    return {
        "channel": channel,
        "group": group,
        "address": address,
        "profile": profile,
        "status": status,
        "occurred_at": _moment(at),
        "type": type,
        "reason": reason,
        "optional": "yes" if optional else None,
    }


def _moment(at: str | float | None) -> str | None:
    """A time of theirs as ISO 8601: Unix seconds, or text that is UTC where it names no zone."""
    if at is None or at == "":
        return None
    text = str(at).removesuffix(" UTC")
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return datetime.fromtimestamp(float(text), UTC).isoformat()
    return text if re.search(r"(Z|[+-][0-9]{2}:?[0-9]{2})$", text) else f"{text}Z"
