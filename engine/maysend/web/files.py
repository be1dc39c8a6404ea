"""Files that pages load: the renderer's, and ``maysend.js``."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from .site import Site


async def show(request: Request) -> Response:
    """A file of the page renderer. Browsers keep it, and ask each time whether it is another by now."""
    site: Site = request.app.state.site
    name = request.path_params["name"]
    if name not in site.renderer.files:
        raise HTTPException(404)
    content = site.renderer.files[name]
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"cache-control": "no-cache", "etag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(content, media_type=kind, headers=headers)


async def show_script(_: Request) -> Response:
    """``maysend.js``, which pages of one's own load from here."""
    headers = {"cache-control": "public, max-age=3600", "cross-origin-resource-policy": "cross-origin"}
    return Response(read("maysend.js"), media_type="text/javascript", headers=headers)


@cache
def read(name: str) -> bytes:
    """A file of this package."""
    return files(__package__).joinpath(name).read_bytes()
