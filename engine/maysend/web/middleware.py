"""What holds for every request: forgiving paths, headers that protect people, and counts."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import Metrics

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; font-src 'self'; "
        "img-src 'self' https:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
}
"""Sent with every response that does not say otherwise."""

_RAW = {name.encode(): value.encode() for name, value in HEADERS.items()}
_CROSS_ORIGIN = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": "600",
}
_METHODS = ("GET", "HEAD", "OPTIONS", "POST")


class Frame:
    """Takes the proxy's prefix, upper-case first letters and trailing slashes off paths; adds headers; counts."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = {**scope, "path": _tidy(scope["path"], scope["app"].state.site.prefix)}
        started, status, answered = time.perf_counter(), 500, False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], True
                _add(message, scope)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if not answered:
                await PlainTextResponse("something went wrong here\n", 500)(scope, receive, send_with_headers)
            raise
        finally:
            route = getattr(scope.get("endpoint"), "__name__", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.count_request(route, method, status, time.perf_counter() - started)


def _tidy(path: str, prefix: str) -> str:
    """The path as our routes know it: no prefix, the first part in lower case, no slash at the end."""
    if prefix and path.startswith(f"{prefix}/"):
        path = path.removeprefix(prefix)
    first, slash, rest = path.lstrip("/").partition("/")
    return f"/{first.lower()}{slash}{rest}".rstrip("/") or "/"


def _add(message: MutableMapping[str, Any], scope: Scope) -> None:
    message["headers"] = list((_RAW | dict(message["headers"])).items())
    if scope["path"].startswith("/api/"):
        headers = MutableHeaders(scope=message)
        headers.add_vary_header("origin")
        origin = Headers(scope=scope).get("origin")
        if origin and origin in scope["app"].state.site.origins:
            headers.update(_CROSS_ORIGIN | {"access-control-allow-origin": origin})
