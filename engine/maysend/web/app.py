"""The application: every route, and what is said where something goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Lifespan, Receive, Scope, Send

from ..errors import InvalidTokenError, LedgerError
from ..ledger import Ledger
from . import api, feedback, files, pages
from .metrics import Metrics
from .middleware import Frame
from .recording import Recorder
from .site import Site

Answer = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger("maysend")


def create(site: Site, ledger: Ledger, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """An ASGI application; ``app.state.site`` may be replaced while it runs."""
    metrics = Metrics()
    app = Starlette(
        routes=[
            _route("/u/{token:path}", "group_page", GET=pages.show_group, POST=pages.leave),
            _route("/p/{token:path}", "preference_page", GET=pages.show_preferences, POST=pages.change_preferences),
            _route("/api/preferences/{token}", "api", GET=api.show, POST=api.change),
            _route("/api/openapi.json", "openapi", GET=api.show_document),
            _route("/feedback/{name}", "feedback", POST=feedback.take_feedback),
            _route("/replies/{channel}", "replies", POST=feedback.take_reply),
            _route("/maysend.js", "script", GET=files.show_script),
            _route("/static/{name}", "static", GET=files.show),
            _route("/robots.txt", "robots", GET=_show_robots),
            _route("/favicon.ico", "favicon", GET=_show_no_icon),
            _route("/healthz", "healthz", GET=_show_health),
            _route("/metrics", "metrics", GET=_show_metrics),
        ],
        middleware=[Middleware(Frame, metrics)],
        exception_handlers={
            InvalidTokenError: _tell_invalid,
            LedgerError: _tell_unavailable,
            ClientDisconnect: _tell_nobody,
            HTTPException: _tell_wrong,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.site, app.state.ledger, app.state.metrics = site, ledger, metrics
    app.state.recorder = Recorder(ledger, metrics)
    return app


class _Endpoint:
    """What a route does with each method: HEAD as GET, and OPTIONS.

    To Starlette it is an application of its own, and so spared what it does around every function a second time.
    """

    def __init__(self, name: str, methods: Mapping[str, Answer]) -> None:
        self.__name__ = name
        self._methods = {**({"HEAD": methods["GET"]} if "GET" in methods else {}), **methods}
        self.allowed = sorted({*self._methods, "OPTIONS"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if answer := self._methods.get(scope["method"]):
            response = await answer(Request(scope, receive, send))
        else:
            response = Response(status_code=204, headers={"allow": ", ".join(self.allowed)})
        await response(scope, receive, send)


def _route(path: str, name: str, **methods: Answer) -> Route:
    endpoint = _Endpoint(name, methods)
    return Route(path, endpoint, methods=endpoint.allowed, name=name)


async def _show_robots(_: Request) -> Response:
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


async def _show_no_icon(_: Request) -> Response:
    """Browsers ask for an icon whether there is one or not."""
    return Response(status_code=204, headers={"cache-control": "public, max-age=86400"})


async def _show_health(request: Request) -> Response:
    """Whether answers can be read from the ledger, and which declarations are served."""
    ledger: Ledger = request.app.state.ledger
    await run_in_threadpool(ledger.last_seq)
    await run_in_threadpool(ledger.has_erased)  # once somebody was erased, no answer is read without a key
    site: Site = request.app.state.site
    return JSONResponse({"status": "ok", "revision": site.project.revision})


async def _show_metrics(request: Request) -> Response:
    return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4")


async def _tell_invalid(request: Request, error: Exception) -> Response:
    if _wants_json(request):
        return JSONResponse({"error": str(error)}, 404)
    return await pages.show_invalid(request, error)


async def _tell_unavailable(request: Request, error: Exception) -> Response:
    _log.error("%s", error)
    if _wants_json(request):
        return JSONResponse({"error": "nothing was saved; try again later"}, 503, {"retry-after": "30"})
    return await pages.show_unavailable(request, error)


async def _tell_wrong(request: Request, error: Exception) -> Response:
    """What is wrong with a request, in the form that its route speaks."""
    assert isinstance(error, HTTPException)
    if _wants_json(request):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)


async def _tell_nobody(_: Request, __: Exception) -> Response:
    """The client went away before its request was whole."""
    return Response(status_code=400)


def _wants_json(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/feedback/", "/replies/", "/healthz"))
