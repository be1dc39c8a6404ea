"""Request bodies: read within limits, and taken apart whatever their content type claims."""

from __future__ import annotations

import asyncio
import re
from email.message import Message
from email.parser import BytesHeaderParser
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

SECONDS = 10
"""How long a body may take to arrive."""

_PARTS = 1000
"""The most fields of a form."""

_UNREADABLE = (TypeError, ValueError, LookupError)
"""What `email` raises where a parameter is encoded or numbered (RFC 2231) as nobody can read it."""

Fields = dict[str, list[str]]


async def read(request: Request, most: int) -> bytes:
    """The whole body. Raises HTTPException: 413 above ``most`` bytes, 408 where it takes too long.

    The timer is the loop's own: ``asyncio.timeout`` takes as long as everything else that one-click does to a body.
    """
    task, late = asyncio.current_task(), False
    assert task

    def interrupt() -> None:
        nonlocal late
        late = True
        task.cancel()

    body, more = bytearray(), True
    timer = asyncio.get_running_loop().call_later(SECONDS, interrupt)
    try:
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > most:
                raise HTTPException(413, "the body is too large", {"connection": "close"})
    except asyncio.CancelledError:
        if not late:
            raise
        task.uncancel()
        raise HTTPException(408, "the body takes too long", {"connection": "close"}) from None
    finally:
        timer.cancel()
    return bytes(body)


def fields(content_type: str, body: bytes) -> Fields:
    """The fields of a form, urlencoded or multipart (RFC 7578); none where it is neither."""
    if content_type.lower().lstrip().startswith("multipart/"):
        return _multipart(content_type, body)
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_PARTS)
    except ValueError:
        return {}
    found: Fields = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _multipart(content_type: str, body: bytes) -> Fields:
    """The parts of a form, which holds no further forms: whoever nests them a thousand deep gets none of it read."""
    head = Message()
    head["content-type"] = "".join(letter for letter in content_type if letter.isprintable())
    try:
        boundary = head.get_boundary()
    except _UNREADABLE:
        return {}
    if not boundary:
        return {}
    line = rb"(?:\A|\r?\n)--" + re.escape(boundary.encode("latin-1", "replace")) + rb"(?:--)?[ \t]*(?:\r?\n|\Z)"
    found: Fields = {}
    for text in re.split(line, body, maxsplit=_PARTS):
        part = BytesHeaderParser().parsebytes(text)
        try:
            name = part.get_param("name", header="content-disposition")
            payload = part.get_payload(decode=True)
        except _UNREADABLE:
            continue
        if isinstance(name, str) and isinstance(payload, bytes):
            found.setdefault(name, []).append(payload.decode("utf-8", "replace"))
    return found
