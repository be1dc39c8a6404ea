"""The JSON API for pages of one's own: the same rules, through the same functions, as our pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import LedgerError, UnknownNameError
from ..preferences import masked
from ..status import CHANNEL
from ..tokens import Link
from . import bodies, files
from .site import Site

LARGEST = 64 * 1024
"""Bytes of the largest body."""


async def show(request: Request) -> Response:
    """What the link's person gets now."""
    site: Site = request.app.state.site
    link = site.preferences.open(request.path_params["token"])
    return JSONResponse(await run_in_threadpool(_state, site, link))


async def change(request: Request) -> Response:
    """Apply the changes asked for, all or none, and say what holds then."""
    site: Site = request.app.state.site
    link = site.preferences.open(request.path_params["token"])
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send application/json")
    changes = _changes(await bodies.read(request, LARGEST))
    try:
        facts = await run_in_threadpool(site.preferences.changing, link, changes, "api")
    except UnknownNameError as error:
        raise HTTPException(409, str(error).encode(errors="replace").decode()) from None  # JSON can name half a letter
    events = await request.app.state.recorder.record(facts)
    try:
        return JSONResponse(await run_in_threadpool(_state, site, link) | {"changed": len(events)})
    except LedgerError:
        told = "the changes are saved, but what holds now cannot be read; ask again later"
        return JSONResponse({"error": told}, 503, {"retry-after": "30"})


async def show_document(request: Request) -> Response:
    """The OpenAPI document, with where this server is."""
    site: Site = request.app.state.site
    return JSONResponse(json.loads(files.read("openapi.json")) | {"servers": [{"url": site.prefix or "/"}]})


def _state(site: Site, link: Link) -> dict[str, Any]:
    view = site.preferences.view(link)
    return {
        "channel": link.channel,
        "campaign": link.campaign,
        "address": masked(link.address) if link.address else None,
        "test": link.test,
        "subscribed": view.subscribed,
        "groups": [asdict(switch) for switch in view.groups],
        "link_groups": [asdict(switch) for switch in view.named],
    }


def _changes(body: bytes) -> Mapping[str, bool]:
    """Group (or ``CHANNEL``) to on or off. Raises HTTPException where the body says anything else."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None
    groups = asked.get("groups", {}) if isinstance(asked, dict) else None
    if not isinstance(groups, dict) or not asked.keys() <= {"subscribed", "groups"} or CHANNEL in groups:
        raise HTTPException(422, 'send {"groups": {name: true or false}, "subscribed": true or false}')
    changes = groups | ({CHANNEL: asked["subscribed"]} if "subscribed" in asked else {})
    if not all(isinstance(subscribed, bool) for subscribed in changes.values()):
        raise HTTPException(422, "subscribed is true or false")
    return changes
