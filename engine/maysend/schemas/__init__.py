"""The JSON Schemas (draft 2020-12) of the kinds of declaration and of the events, one file each."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

KINDS = ("project", "channel", "subscription_group", "segment", "campaign", "test")
EVENTS = ("channel_unsubscribed",)


@cache
def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind of declaration or event: one of ``KINDS`` or ``EVENTS``."""
    found: dict[str, Any] = json.loads(files(__name__).joinpath(f"{kind}.json").read_text("utf-8"))
    return found
