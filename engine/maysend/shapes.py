"""The first pass of validation: a declaration against the JSON Schema of its kind, and of the plugin it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from .documents import Document
from .errors import Problem
from .hookspecs import ChannelType, SinkType
from .mistakes import Mistake, told
from .schemas import schema
from .where import Path

Filled = Mapping[Path, str | None]
"""Which values came from the environment: as they are written in the file (what came in may be a secret, and no message
shows it), or None where nothing came, and there is nothing to look at."""


class Shapes:
    """The validators of one project: those of the kinds, and those of the types that plugins bring, with their settings."""

    def __init__(self, channel_types: Mapping[str, ChannelType], sink_types: Mapping[str, SinkType]) -> None:
        self._channel_types, self._sink_types = channel_types, sink_types
        self._shapes: dict[str, _Shape] = {}

    def problems(self, kind: str, document: Document, filled: Filled = MappingProxyType({})) -> list[Problem]:
        """Every mistake of shape in ``document``."""
        if kind == "channel":
            return self._typed("channel type", schema("channel"), self._channel_types, document, (), filled)
        found = self._compared(self._shape(kind, lambda: schema(kind)), document, (), filled)
        if kind == "project" and not found:
            whole = schema("project")
            sink = whole["properties"]["sinks"]["items"] | {"$defs": whole["$defs"]}
            for index in range(len(document.data.get("sinks", ()))):
                found += self._typed("sink type", sink, self._sink_types, document, ("sinks", index), filled)
        return found

    def _typed(
        self,
        what: str,
        whole: dict[str, Any],
        types: Mapping[str, ChannelType] | Mapping[str, SinkType],
        document: Document,
        at: Path,
        filled: Filled,
    ) -> list[Problem]:
        """The mistakes of what stands at ``at``, whose ``type`` a plugin brings; where none does, only of what all share."""
        value = document.at(at)
        type_ = types.get(name) if isinstance(value, dict) and isinstance(name := value.get("type"), str) else None
        if not type_:
            shape = self._shape(what, lambda: whole | {"additionalProperties": True})
            return self._compared(shape, document, at, filled)
        more = {
            "properties": whole["properties"] | dict(type_.settings),
            "required": [*whole["required"], *getattr(type_, "required", ())],
            "additionalProperties": False,
        }
        try:
            shape = self._shape(f"{what} {type_.name}", lambda: whole | more)
        except ValueError as error:
            reason = error.message if isinstance(error, ValidationError) else str(error)
            message = f'{what} "{type_.name}" has settings that are not a JSON Schema: {reason}'
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


@dataclass(frozen=True, slots=True)
class _Shape:
    schema: dict[str, Any]
    validator: Draft202012Validator
