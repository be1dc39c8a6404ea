"""Feedback from e-mail services, and replies to text messages: taken only where declared, with what verifies them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..authorization import is_authorized
from ..errors import FeedbackError
from ..events import Fact
from ..hookspecs import Report
from . import bodies, pages
from .site import Feedback, Site

LARGEST = 4 * 1024 * 1024
"""Bytes of the largest report; services send many in one."""

_CHALLENGE = {"www-authenticate": 'Basic realm="maysend"'}
"""What a refusal for want of the secret must say (RFC 9110, 15.5.2): some clients send it only when asked."""

_log = logging.getLogger("maysend")


async def take_feedback(request: Request) -> Response:
    """Record what a service reports: an answer for each address that failed for good, complained or left."""
    site: Site = request.app.state.site
    if not (source := site.feedback.get(request.path_params["name"])):
        raise HTTPException(404)
    body = await bodies.read(request, LARGEST)
    headers = dict(request.headers.items())
    try:
        reports = await run_in_threadpool(source.parser.parse, source.settings, headers, body)
    except FeedbackError as error:
        raise HTTPException(error.status, str(error), _CHALLENGE if error.status == 401 else None) from None
    facts = await run_in_threadpool(_facts, site, source, reports)
    return JSONResponse({"reports": len(reports), "changed": len(await request.app.state.recorder.record(facts))})


async def take_reply(request: Request) -> Response:
    """Record a reply that is a keyword: leave or return to the whole channel. Any other reply changes nothing."""
    site: Site = request.app.state.site
    channel = request.path_params["channel"]
    if not (settings := site.replies.get(channel)):
        raise HTTPException(404)
    if not is_authorized(dict(request.headers), settings["secret"]):
        raise HTTPException(401, "the secret is wrong", _CHALLENGE)
    told = _reply(request.headers.get("content-type", ""), await bodies.read(request, pages.LARGEST))
    address = site.normalize(channel, told.get("from", ""))
    if address is None:
        raise HTTPException(422, f"from is no address on channel {channel}")
    reply = told.get("body", "")
    meaning = site.channel_type(channel).meaning(reply)
    if meaning not in ("subscribed", "unsubscribed"):
        return JSONResponse({"changed": 0})
    fact = Fact(
        channel=channel,
        group=None,
        subscribed=meaning == "subscribed",
        address=address,
        source="reply",
        reason=_storable(reply),
        revision=site.project.revision,
    )
    return JSONResponse({"changed": len(await request.app.state.recorder.record([fact]))})


def _facts(site: Site, source: Feedback, reports: Sequence[Report]) -> list[Fact]:
    """A fact for each report whose address is one on the channel, oldest first; the future is taken for now."""
    now = datetime.now(UTC)
    facts = []
    for report in reports:
        address = site.normalize(source.channel, report.address)
        if address is None:
            _log.warning(
                "feedback %s reports something that is no address on channel %s", source.parser.name, source.channel
            )
            continue
        facts.append(
            Fact(
                channel=source.channel,
                group=None,
                subscribed=False,
                address=address,
                occurred_at=report.occurred_at if report.occurred_at and report.occurred_at < now else None,
                type=report.type,
                source="feedback",
                reason=_storable(report.reason),
                revision=site.project.revision,
            )
        )
    return sorted(facts, key=lambda fact: fact.occurred_at or now)


def _reply(content_type: str, body: bytes) -> Mapping[str, str]:
    """The reply's ``from`` and ``body``, from a form or from JSON; names in lower case, as providers differ."""
    if "json" in content_type.lower():
        try:
            told = json.loads(body)
        except (ValueError, RecursionError):
            raise HTTPException(400, "the body is not JSON") from None
        pairs = told.items() if isinstance(told, dict) else ()
        return {name.lower(): value for name, value in pairs if isinstance(value, str)}
    return {name.lower(): values[0] for name, values in bodies.fields(content_type, body).items()}


def _storable(reason: str | None) -> str | None:
    """A reason as one line of text that any ledger can store."""
    return " ".join(reason.encode(errors="replace").decode().replace("\0", " ").split())[:500] if reason else None
