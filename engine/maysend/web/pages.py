"""The group page, one-click (RFC 8058) and the preference page. GET shows and POST changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from ..errors import InvalidTokenError
from ..hookspecs import Page, PageKind
from ..preferences import Form, Preferences
from ..status import CHANNEL
from . import bodies, languages
from .site import Site

LARGEST = 64 * 1024
"""Bytes of the largest form."""

_DONE = PlainTextResponse("unsubscribed\n")


async def show_group(request: Request) -> Response:
    site, token = _asked(request)
    link = site.preferences.open(token)
    return await _html(request, site, lambda language: site.group_page(link, token, language))


async def leave(request: Request) -> Response:
    """Leave what the link holds. Any POST here is a no; its body only tells the page from one-click."""
    site, token = _asked(request)
    link = site.preferences.open(token)
    fields = await _fields(request)
    if "form" not in fields:
        await request.app.state.recorder.record(site.preferences.leaving(link, "one_click"))
        return _DONE
    form = _form(site.preferences, token, fields)
    await request.app.state.recorder.record(site.preferences.leaving(link, "page", form))
    return await _html(request, site, lambda language: site.left_page(link, token, language))


async def show_preferences(request: Request) -> Response:
    site, token = _asked(request)
    link = site.preferences.open(token)
    saved = "saved" in request.query_params
    return await _html(request, site, lambda language: site.preference_page(link, token, language, saved=saved))


async def change_preferences(request: Request) -> Response:
    """Apply the switches that differ from what the form showed, and lead to the page afresh: a reload sends nothing."""
    site, token = _asked(request)
    link = site.preferences.open(token)
    fields = await _fields(request)
    if not (form := _form(site.preferences, token, fields)):
        raise HTTPException(400, "the form is not complete; open the page again")
    on = {*fields.get("group", ()), *([CHANNEL] if "channel" in fields else ())}
    await request.app.state.recorder.record(site.preferences.choosing(link, form, on, "page"))
    return RedirectResponse(f"{site.own_page(token)}?saved", 303)


async def show_invalid(request: Request, _: Exception) -> Response:
    """What any token gets that we did not seal."""
    return await _bare(request, "invalid", 404)


async def show_unavailable(request: Request, _: Exception) -> Response:
    """What people get where the ledger cannot be reached: nothing was saved, and they are told so; or what they sent
    is saved, and cannot be shown."""
    response = await _bare(
        request, "unavailable", 503, saved=request.method == "GET" and "saved" in request.query_params
    )
    response.headers["retry-after"] = "30"
    return response


async def _bare(request: Request, kind: PageKind, status: int, *, saved: bool = False) -> Response:
    site: Site = request.app.state.site
    page = Page(kind=kind, language="", saved=saved)
    response = await _html(request, site, lambda language: site.renderer.render(replace(page, language=language)))
    response.status_code = status
    return response


def _asked(request: Request) -> tuple[Site, str]:
    return request.app.state.site, request.path_params["token"]


async def _html(request: Request, site: Site, make: Callable[[str], str]) -> Response:
    """The page that ``make`` returns in the reader's language; made in a thread, as renderers and ledgers take time."""
    language = languages.choose(request.headers.get("accept-language", ""), site.renderer.languages)
    html = await run_in_threadpool(make, language)
    return HTMLResponse(html, headers={"content-language": language, "vary": "accept-language"})


async def _fields(request: Request) -> bodies.Fields:
    """The fields of a form of ours; none where the body holds no ``form``, and so is no form of ours."""
    body = await bodies.read(request, LARGEST)
    return bodies.fields(request.headers.get("content-type", ""), body) if b"form" in body else {}


def _form(preferences: Preferences, token: str, fields: bodies.Fields) -> Form | None:
    """The sealed form that a page sent back, or None where it is missing or not ours."""
    try:
        return preferences.open_form(token, fields["form"][0])
    except (KeyError, InvalidTokenError):
        return None
