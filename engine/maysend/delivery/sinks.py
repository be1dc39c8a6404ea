"""The sinks that a project declares, ready to be opened."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DeliveryError, MaysendError
from ..hookspecs import Sink, SinkType
from ..model import Project
from ..plugins import Plugins

_USER_INFO = re.compile(r"//[^@/\s]+@")
_SECRET = re.compile("secret|password|token")
_LONGEST_ERROR = 300


@dataclass(frozen=True, slots=True)
class DeclaredSink:
    """One item of ``sinks`` in ``project.yaml``; its name is that of its type where it has none of its own."""

    name: str
    type: SinkType
    settings: Mapping[str, Any]

    def open(self) -> Sink:
        """The sink, open. Raises whatever keeps it from opening."""
        sink: Any = self.type.open(self.settings)
        if not callable(getattr(sink, "deliver", None)) or not callable(getattr(sink, "close", None)):
            raise DeliveryError(f"sink type {self.type.name} opened {sink!r:.80}, which is no sink")
        opened: Sink = sink
        return opened

    def told(self, error: BaseException) -> str:
        """An error as one line for people, without the sink's secrets."""
        line = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, MaysendError | OSError):
            line = f"{type(error).__name__}: {line}"
        for secret in _secrets(self.settings):
            line = line.replace(secret, "…")
        return _USER_INFO.sub("//…@", line)[:_LONGEST_ERROR]


def declared(project: Project, plugins: Plugins) -> dict[str, DeclaredSink]:
    """Every sink of the project by name, in the order of ``project.yaml``; paths start at the project's directory."""
    sinks = {}
    for item in project.settings.get("sinks", ()):
        settings = {key: value for key, value in item.items() if key not in ("type", "name")}
        sink_type = plugins.sink_types[item["type"]]
        for key in settings:
            if sink_type.settings.get(key, {}).get("format") == "path":
                settings[key] = str(project.root / settings[key])
        name = item.get("name", sink_type.name)
        sinks[name] = DeclaredSink(name, sink_type, settings)
    return sinks


def _secrets(value: Any, path: str = "") -> Iterator[str]:
    """Every text that stands, however deep, under a key that names a secret."""
    match value:
        case str() if value and _SECRET.search(path):
            yield value
        case Mapping():
            for key, inner in value.items():
                yield from _secrets(inner, f"{path}.{key}")
        case list():
            for inner in value:
                yield from _secrets(inner, path)
