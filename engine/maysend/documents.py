"""One YAML file: its data, and beside it the position of every key and value.

Scalars follow YAML 1.2's core schema, made stricter: what looks like text stays text (``NO``, ``22:00``, ``01234``,
``0x1F``, ``2024-01-01``). Repeated keys, aliases, merge keys, tags and second documents are problems.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path as File
from typing import Any

import yaml

from .errors import Problem
from .where import Path

_Base: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_NUMBER = r"[-+]?(?:0|[1-9][0-9]*)"
_SCALARS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("null", re.compile(r"~|null|Null|NULL|"), "~nN"),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF"),
    ("int", re.compile(_NUMBER), "-+0123456789"),
    (
        "float",
        re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"),
        "-+.0123456789",
    ),
)
_DEEPEST = 100
_LONGEST_NUMBER = 40


@dataclass(frozen=True, slots=True)
class Document:
    """A declaration as written. ``file`` is relative to the project; ``data`` is plain Python.

    ``digest`` is the SHA-256 of the file's bytes.
    """

    file: str
    data: Any
    digest: bytes = b""
    _places: dict[Path, Any] = field(repr=False, compare=False, default_factory=dict)
    _keys: dict[Path, Any] = field(repr=False, compare=False, default_factory=dict)

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """A problem at the value under ``path`` (at its key with ``key``), or at its nearest parent that is there."""
        table = self._keys if key else self._places
        while path and path not in table:
            path, table = path[:-1], self._places
        mark = table.get(path)
        return Problem(self.file, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, message)

    def at(self, path: Path) -> Any:
        """The value under ``path``, which must be there."""
        value = self.data
        for part in path:
            value = value[part]
        return value

    def line(self, path: Path) -> int:
        return self.problem(path, "").line


def read(file: File, name: str) -> tuple[Document | None, list[Problem]]:
    """Read one file, shown to people as ``name``; the document is None where nothing can be made of it."""
    try:
        content = file.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return None, [Problem(name, 0, 0, f"is not UTF-8 text (byte {error.start}); save it as UTF-8")]
    except OSError as error:
        return None, [Problem(name, 0, 0, f"cannot be read: {error.strerror}")]
    return parse(text, name, hashlib.sha256(content).digest())


def parse(text: str, name: str, digest: bytes = b"") -> tuple[Document | None, list[Problem]]:
    """Read YAML text; see ``read``."""
    document = Document(name, None, digest)
    loader = _Base(text)
    reader = _Reader(document, loader.get_event)
    try:
        data = reader.whole()
    except yaml.YAMLError as error:
        return None, [_syntax(error, text, name)]
    finally:
        loader.dispose()
    if data is None:
        return None, [Problem(name, 1, 1, "is empty; a declaration needs at least one key")]
    return replace(document, data=data), reader.problems


def _refused(message: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(None, None, message, at.start_mark)


def _syntax(error: yaml.YAMLError, text: str, name: str) -> Problem:
    if isinstance(error, yaml.reader.ReaderError):
        before = text.encode()[: error.position].decode(errors="ignore")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return Problem(
            name, line, column, f"control character {error.character:#04x} cannot stand in YAML; take it out"
        )
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line, mark.column) if mark else (0, 0)
    message = str(getattr(error, "problem", None) or error)
    if text.split("\n")[line : line + 1] and text.split("\n")[line][column:].startswith("\t"):
        message = "a tab cannot indent YAML; use spaces"
    return Problem(name, line + 1, column + 1, message)


class _Reader:
    """Turns libyaml's events into data while writing down where everything stands.

    What no declaration may hold is refused as it comes: before an alias bomb can become a graph, and with none of
    libyaml's composer, which calls itself once a level and can run out of stack.
    """

    def __init__(self, document: Document, next_event: Callable[[], Any]) -> None:
        self._document = document
        self._next = next_event
        self.problems: list[Problem] = []

    def whole(self) -> Any:
        """The data of the one document there is; None where there is none."""
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        data = self._value(self._next(), ())
        self._next()
        if not isinstance(other := self._next(), yaml.StreamEndEvent):
            raise _refused('holds more than one document; remove the "---" and what follows it', other)
        return data

    def _value(self, event: Any, path: Path) -> Any:
        self._document._places[path] = event.start_mark
        if isinstance(event, yaml.CollectionStartEvent) and len(path) == _DEEPEST:
            raise _refused(f"is nested deeper than {_DEEPEST} levels", event)
        _check(event)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        return self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._sequence(path)

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            _check(event)
            key = event.value if isinstance(event, yaml.ScalarEvent) else None
            at = (*path, key or "")
            if key is None:
                self._problem(event, "a key must be text")
                self._leave_out(event, at)
            elif key == "<<" and not event.style:
                self._problem(event, "merge keys are not allowed; write the values out")
            elif key in values:
                first = self._document._keys[at].line + 1
                self._problem(event, f'key "{key}" is repeated; it stands in line {first} already')
            else:
                self._document._keys[at] = event.start_mark
                values[key] = self._value(self._next(), at)
                continue
            self._leave_out(self._next(), at)
        return values

    def _leave_out(self, event: Any, path: Path) -> None:
        """Read on to the end of a value that nothing is made of, and in which the same is refused."""
        _Reader(Document(self._document.file, None), self._next)._value(event, path)

    def _problem(self, event: Any, message: str) -> None:
        mark = event.start_mark
        self.problems.append(Problem(self._document.file, mark.line + 1, mark.column + 1, message))


def _check(event: Any) -> None:
    """Refuse an alias, an anchor or a tag."""
    if event.anchor:
        what = f"alias *{event.anchor}" if isinstance(event, yaml.AliasEvent) else f"anchor &{event.anchor}"
        raise _refused(f"{what} is not allowed; write the value out", event)
    if event.tag:
        raise _refused(f"tag {event.tag.replace('tag:yaml.org,2002:', '!!')} is not allowed; take it out", event)


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = str(event.value)
    if event.style:  # quoted or block: always text
        return text
    for kind, pattern, starts in _SCALARS:
        if (not text or text[0] in starts) and pattern.fullmatch(text):
            match kind:
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case _:
                    return _number(kind, text, event)
    return text


def _number(kind: str, text: str, event: yaml.ScalarEvent) -> int | float:
    if len(text) > _LONGEST_NUMBER:
        raise _refused(
            f"a number cannot have more than {_LONGEST_NUMBER} characters; put it in quotes if it is text", event
        )
    if kind == "int":
        return int(text)
    number = float(text.lower().replace(".inf", "inf"))
    if math.isinf(number) and "inf" not in text.lower():
        raise _refused(f"{text} is too large a number", event)
    return number
