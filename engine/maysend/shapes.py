"""The first pass of validation: a declaration against the JSON Schema of its kind, and of the plugin it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from jsonschema_rs import Draft202012Validator, ValidationError

from .documents import Document
from .errors import Problem
from .mistakes import Mistake, told
from .plugins import Plugins
from .schemas import schema
from .where import Path

Filled = Mapping[Path, str | None]
"""Which values came from the environment: as they are written in the file (what came in may be a secret, and no message
shows it), or None where nothing came, and there is nothing to look at."""


class Brought(Protocol):
    """What a plugin brings for declarations to name, with the JSON Schema of its settings (an object's properties)."""

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...


class Shapes:
    """The validators of one project: those of the kinds, and those of what its plugins bring, with their settings."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._shapes: dict[str, _Shape] = {}

    def problems(self, kind: str, document: Document, filled: Filled = MappingProxyType({})) -> list[Problem]:
        """Every mistake of shape in ``document``."""
        if kind == "channel":
            type_ = _named(document.data, self._plugins.channel_types)
            return self._settled("channel type", type_, schema("channel"), document, (), filled)
        found = self._compared(self._shape(kind, lambda: schema(kind)), document, (), filled)
        if kind == "project" and not found:
            for what, brought, part, at in self._parts(document.data):
                whole = part | {"$defs": schema("project")["$defs"]}
                found += self._settled(what, brought, whole, document, at, filled)
        return found

    def _parts(self, data: Mapping[str, Any]) -> Iterator[tuple[str, Brought | None, dict[str, Any], Path]]:
        """The parts of ``project.yaml`` with settings of a plugin, and the schema of what all of their kind share."""
        properties = schema("project")["properties"]
        for index, sink in enumerate(data.get("sinks", ())):
            brought: Brought | None = _named(sink, self._plugins.sink_types)
            yield "sink type", brought, properties["sinks"]["items"], ("sinks", index)
        for name in data.get("feedback", ()):
            brought = self._plugins.feedback_parsers.get(name)
            yield "feedback parser", brought, properties["feedback"]["additionalProperties"], ("feedback", name)

    def _settled(
        self,
        what: str,
        brought: Brought | None,
        shared: dict[str, Any],
        document: Document,
        at: Path,
        filled: Filled,
    ) -> list[Problem]:
        """The mistakes of what stands at ``at``; where no plugin brings its type, of what all of its kind share."""
        if not brought:
            shape = self._shape(what, lambda: shared | {"additionalProperties": True})
            return self._compared(shape, document, at, filled)
        more = {
            "properties": shared["properties"] | dict(brought.settings),
            "required": [*shared["required"], *getattr(brought, "required", ())],
            "additionalProperties": False,
        }
        try:
            shape = self._shape(f"{what} {brought.name}", lambda: shared | more)
        except ValueError as error:
            reason = error.message if isinstance(error, ValidationError) else str(error)
            message = f'{what} "{brought.name}" has settings that are not a JSON Schema: {reason}'
            return [document.problem((*at, "type"), message)]
        return self._compared(shape, document, at, filled)

    def _shape(self, name: str, make: Callable[[], dict[str, Any]]) -> _Shape:
        if name not in self._shapes:
            made = make()
            self._shapes[name] = _Shape(made, Draft202012Validator(made, offline=True))
        return self._shapes[name]

    def _compared(self, shape: _Shape, document: Document, at: Path, filled: Filled) -> list[Problem]:
        value = document.at(at)
        if shape.validator.is_valid(value):
            return []
        mistakes = [Mistake(error, shape.schema, document, at) for error in shape.validator.iter_errors(value)]
        return list(
            told([one for one in mistakes if one.counts and filled.get(one.path, "") is not None], document, filled)
        )


def _named(data: Any, types: Mapping[str, Brought]) -> Brought | None:
    """What ``data`` names as its type, if it does and it is there."""
    name = data.get("type") if isinstance(data, dict) else None
    return types.get(name) if isinstance(name, str) else None


@dataclass(frozen=True, slots=True)
class _Shape:
    schema: dict[str, Any]
    validator: Draft202012Validator
