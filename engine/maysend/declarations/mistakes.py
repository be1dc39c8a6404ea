"""What a JSON Schema refuses, in words a person can act on.

The schemas are written so that one mistake breaks one keyword; where two break all the same, the plainer one is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import ValidationError

from ..documents import Document
from ..errors import Problem, did_you_mean
from ..schemas import schema
from ..where import Path

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}
_BESIDE_CHOICES = ("property", "event", "of", "percent", "within", "where", "match")
_ABOUT_KEYS = ("additionalProperties", "required", "minProperties", "maxProperties", "not")


class Mistake:
    """A broken keyword: its name, the schema it stands in, and the place and value it is about, or the key in it."""

    def __init__(self, error: ValidationError, document: Document, at: Path) -> None:
        self.keyword = error.validator
        self.path: Path = (*at, *error.absolute_path)
        self.message = error.message
        self.value = document.at(self.path)
        about: Any = error.instance
        self.key: str | None = about if isinstance(about, str) and about is not self.value else None
        self.schema: Any = error.schema or {}
        self.limit: Any = error.validator_value


def told(mistakes: list[Mistake], document: Document, filled: Mapping[Path, str | None]) -> Iterator[Problem]:
    about_keys: dict[Path, list[Mistake]] = {}
    for error in mistakes:
        if error.keyword in _ABOUT_KEYS and error.key is None and isinstance(error.value, dict):
            about_keys.setdefault(error.path, []).append(error)
        elif error.keyword != "not" or "title" not in error.schema:
            yield from _about_value(error, document, filled)
    for path, several in about_keys.items():
        yield from _about_keys(several, document, path)


def _about_keys(errors: list[Mistake], document: Document, path: Path) -> Iterator[Problem]:
    """Unknown keys first, then the missing ones they are not a misspelling of; how many there are only after both."""
    value = errors[0].value
    kinds = {error.keyword: error for error in reversed(errors)}
    meant: list[str] = []
    if "additionalProperties" in kinds:
        for key, message in _unknown(value, [e.schema for e in errors if e.keyword == "additionalProperties"]):
            meant.append(message)
            yield document.problem((*path, key), message, key=True)
    required = [error.limit for error in errors if error.keyword == "required"]
    missing = dict.fromkeys(name for names in required for name in names if name not in value)
    for name in missing:
        if not any(f'did you mean "{name}"' in message for message in meant):
            yield document.problem(path, f'"{name}" is missing{_inside(path)}')
    if meant or missing:
        return
    if "not" in kinds:
        yield _no_condition(value, document, path)
        return
    counted = kinds.get("minProperties") or kinds["maxProperties"]
    chosen = [key for key in value if key not in _BESIDE_CHOICES]
    several = f", not {' and '.join(chosen)}" if counted.keyword == "maxProperties" else ""
    yield document.problem(
        path, f"{_subject(path)} needs {counted.schema.get('title', 'another number of keys')}{several}"
    )


def _about_value(error: Mistake, document: Document, filled: Mapping[Path, str | None]) -> Iterator[Problem]:
    path, value, limit = error.path, error.value, error.limit
    subject, given = _subject(path), filled.get(path) or _shown(value)
    match error.keyword:
        case _ if error.key is not None:
            wrong = (
                f"must be {_expected(error.schema)}" if "pattern" in error.schema else f"does not fit: {error.message}"
            )
            yield document.problem((*path, error.key), f'"{error.key}" {wrong}', key=True)
        case "uniqueItems":
            at = next(index for index, item in enumerate(value) if item in value[:index])
            yield document.problem((*path, at), f"{_shown(value[at])} stands in {subject} already")
        case "minItems" | "maxItems":
            yield document.problem(path, f"{subject} must have {_size(error.schema)}, not {len(value)}")
        case "minLength":
            yield document.problem(path, f"{subject} must not be empty")
        case "enum":
            known = [str(choice) for choice in limit]
            hint = did_you_mean(str(value), known) or f"; known: {', '.join(known)}"
            yield document.problem(path, f"{subject} cannot be {given}{hint}")
        case "pattern":
            yield document.problem(path, f"{subject} must be {_expected(error.schema)}, not {given}")
        case "type":
            formed = limit == "string" and "pattern" in error.schema
            wanted = _expected(error.schema) if formed else _types(limit)
            quotes = limit == "string" and not formed and isinstance(value, bool | int | float)
            yield document.problem(
                path, f"{subject} must be {wanted}, not {given}{'; put it in quotes' if quotes else ''}"
            )
        case bound if bound in _BOUNDS:
            yield document.problem(path, f"{subject} must be {_BOUNDS[bound]} {limit}, not {given}")
        case _:
            yield document.problem(
                path, f"{subject} does not fit: {'' if path in filled else error.message}".rstrip(": ")
            )


def _unknown(value: Mapping[str, Any], schemas: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Each key that its mapping cannot have, with a message; a leaf beside another is told how to stand there."""
    others = [key for key in value if key in _leaves()][1:] if len(schemas) > 1 else []
    for key in others:
        yield key, f'"{key}" cannot stand beside another condition; put both in a list under "all"'
    if others:
        return
    properties = schemas[0].get("properties", {})
    for key in value:
        if key not in properties:
            hint = did_you_mean(key, [known for known in properties if known not in value])
            yield key, f'unknown key "{key}"{hint}'


def _no_condition(value: Mapping[str, Any], document: Document, path: Path) -> Problem:
    """A mapping without any key that is a condition: the key that comes nearest to one is likely misspelt."""
    for key in value:
        if "did you mean" in (hint := did_you_mean(key, _leaves())):
            return document.problem((*path, key), f'unknown condition "{key}"{hint}', key=True)
    return document.problem(path, f"{_subject(path)} needs a condition: one of {', '.join(_leaves())}")


@cache
def _leaves() -> tuple[str, ...]:
    return tuple(schema("segment")["$defs"]["condition"]["dependentSchemas"])


def _subject(path: Path) -> str:
    """What a message is about: the key a value stands under."""
    if not path:
        return "the file"
    if isinstance(path[-1], str):
        return f'"{path[-1]}"'
    names = [part for part in path if isinstance(part, str)]
    return f'an item of "{names[-1]}"' if names else "an item"


def _inside(path: Path) -> str:
    return f" in {_subject(path)}" if path else ""


def _expected(schema: Mapping[str, Any]) -> str:
    example = schema.get("examples", ())
    such_as = f" such as {_shown(example[0])}" if example else ""
    return f"{schema.get('title') or 'text like ' + schema['pattern']}{such_as}"


def _types(types: str | list[str]) -> str:
    words = [_TYPES[name] for name in ([types] if isinstance(types, str) else types)]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _size(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least == most:
        return f"{least} items"
    return f"at least {least} item{'' if least == 1 else 's'}" if most is None else f"at most {most} items"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"' if len(value) <= 60 else f'"{value[:57]}..."'
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return str(value)
