"""The first pass of validation: a declaration against the JSON Schema of its kind, and of the plugin it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from ..documents import Document
from ..errors import Problem
from ..plugins import Plugins
from ..schemas import schema
from ..where import Path
from .mistakes import Mistake, told

Filled = Mapping[Path, str | None]
"""Which values came from the environment: as they are written in the file (what came in may be a secret, and no message
shows it), or None where nothing came, and there is nothing to look at."""


_PLAIN = (str, int, float)
_TYPES = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}


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
        self._shapes: dict[str, Validator] = {}
        self._draft = _draft()

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
        try:
            shape = self._shape(f"{what} {brought.name}", lambda: shared | _more(shared, brought))
        except ValueError as error:
            message = f'{what} "{brought.name}" has settings that are not a JSON Schema: {error}'
            return [document.problem((*at, "type"), message)]
        return self._compared(shape, document, at, filled)

    def _shape(self, name: str, make: Callable[[], dict[str, Any]]) -> Validator:
        if name not in self._shapes:
            self._shapes[name] = self._draft(_resolved(make()))
        return self._shapes[name]

    def _compared(self, shape: Validator, document: Document, at: Path, filled: Filled) -> list[Problem]:
        mistakes = [Mistake(error, document, at) for error in shape.iter_errors(document.at(at))]
        return list(told([one for one in mistakes if filled.get(one.path, "") is not None], document, filled))


def _named(data: Any, types: Mapping[str, Brought]) -> Brought | None:
    """What ``data`` names as its type, if it does and it is there."""
    name = data.get("type") if isinstance(data, dict) else None
    return types.get(name) if isinstance(name, str) else None


def _more(shared: dict[str, Any], brought: Brought) -> dict[str, Any]:
    """What the settings of ``brought`` change in the schema of what all of its kind share.

    Raises ValueError where they are no JSON Schema.
    """
    settings = dict(brought.settings)
    if settings:
        _check_schema({"properties": settings})
    return {
        "properties": shared["properties"] | settings,
        "required": [*shared["required"], *getattr(brought, "required", ())],
        "additionalProperties": False,
    }


def check(schema: dict[str, Any], value: Any) -> None:
    """Raises ValueError where ``schema`` is no JSON Schema (draft 2020-12), or does not accept ``value``."""
    _check_schema(schema)
    for error in _draft()(_resolved(schema)).iter_errors(value):
        raise ValueError(f"{error.json_path}: {error.message}")


def _check_schema(schema: dict[str, Any]) -> None:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(error.message) from None


def _draft() -> type[Validator]:
    """Draft 2020-12, with a validator made once for each schema inside another, where jsonschema makes one per value,
    and asked once of each text or number, of which a project has the same ones in many places.

    A ``$`` in a ``pattern`` is the very end, as JSON Schema has it; Python's matches before a last line break too.
    """
    every = Draft202012Validator.VALIDATORS
    made: dict[int, Validator] = {}
    right: set[tuple[int, type, Any]] = set()

    def errors(validator: Validator, schema: Any, value: Any) -> list[ValidationError]:
        known = (id(schema), type(value), value) if isinstance(value, _PLAIN) else None
        if known in right:
            return []
        if id(schema) not in made:
            made[id(schema)] = validator.evolve(schema=schema)
        found = list(made[id(schema)].iter_errors(value))
        if known and not found:
            right.add(known)
        return found

    def properties(validator: Validator, schemas: dict[str, Any], value: Any, _: Any) -> Iterator[ValidationError]:
        for key in value if isinstance(value, dict) else ():
            if key in schemas:
                for error in errors(validator, schemas[key], value[key]):
                    error.path.appendleft(key)
                    yield error

    def names(validator: Validator, schema: Any, value: Any, _: Any) -> Iterator[ValidationError]:
        for key in value if isinstance(value, dict) else ():
            yield from errors(validator, schema, key)

    def items(validator: Validator, schema: Any, value: Any, whole: Any) -> Iterator[ValidationError]:
        if isinstance(value, list):
            for index in range(len(whole.get("prefixItems", ())), len(value)):
                for error in errors(validator, schema, value[index]):
                    error.path.appendleft(index)
                    yield error

    def dependents(validator: Validator, schemas: dict[str, Any], value: Any, _: Any) -> Iterator[ValidationError]:
        for key in schemas if isinstance(value, dict) else ():
            if key in value:
                yield from errors(validator, schemas[key], value)

    def opposite(validator: Validator, schema: Any, value: Any, _: Any) -> Iterator[ValidationError]:
        if not errors(validator, schema, value):
            yield ValidationError(f"{value!r} should not be valid under {schema!r}")

    def types(validator: Validator, types: Any, value: Any, whole: Any) -> Iterable[ValidationError]:
        return () if types == _TYPES.get(type(value)) else every["type"](validator, types, value, whole)

    def pattern(_: Validator, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
        if isinstance(value, str) and not re.search(pattern, f"{value}\n" if value.endswith("\n") else value):
            yield ValidationError(f"{value!r} does not match {pattern!r}")

    keywords = {
        "type": types,
        "properties": properties,
        "propertyNames": names,
        "items": items,
        "dependentSchemas": dependents,
        "not": opposite,
        "pattern": pattern,
    }
    draft: type[Validator] = validators.extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call] # jsonschema says no types here
    return draft


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` with what each ``$ref`` names in its place, once, so that no comparison looks it up again.

    What names itself holds itself. Raises ValueError where a reference leads out of ``schema`` (nothing is fetched) and
    at a key that is not text.
    """
    registry: Registry[Any] = Registry()
    resolver = registry.resolver_with_root(DRAFT202012.create_resource(schema))
    made: dict[int, dict[str, Any]] = {}

    def whole(part: Any) -> Any:
        if isinstance(part, list):
            return [whole(item) for item in part]
        if not isinstance(part, dict):
            return part
        if wrong := [key for key in part if not isinstance(key, str)]:
            raise ValueError(f"the key {wrong[0]!r} is not text")
        reference = part.get("$ref", part.get("$dynamicRef"))
        if not isinstance(reference, str):
            return {key: whole(value) for key, value in part.items()}
        target = named(reference)
        beside = {key: whole(value) for key, value in part.items() if key not in ("$ref", "$dynamicRef")}
        if beside.keys() & Draft202012Validator.VALIDATORS.keys():
            return beside | {"allOf": [*beside.get("allOf", ()), target]}
        return target

    def named(reference: str) -> Any:
        try:
            target = resolver.lookup(reference).contents
        except Unresolvable:
            raise ValueError(f'nothing in it is "{reference}"') from None
        if not isinstance(target, dict):
            return target
        if id(target) not in made:
            made[id(target)] = {}
            made[id(target)].update(whole(target))
        return made[id(target)]

    return {key: whole(value) for key, value in schema.items() if key not in ("$defs", "$schema")}
