"""One YAML file: its data, and beside it the position of every key and value.

Scalars follow YAML 1.2's core schema, made stricter: what looks like text stays text (``NO``, ``22:00``, ``01234``,
``0x1F``, ``2024-01-01``). Repeated keys, aliases, merge keys, tags and second documents are problems.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
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
_SUSPECT = re.compile(r"(?:^|[\s,:\[{])[&*!]\S|^[ ?:-]{50}", re.MULTILINE)
"""What may be an anchor, an alias or a tag, or a line deep enough inside to be worth counting."""


@dataclass(frozen=True, slots=True)
class Document:
    """A declaration as written. ``file`` is relative to the project; ``data`` is plain Python.

    ``digest`` is the SHA-256 of the file's bytes.
    """

    file: str
    data: Any
    digest: bytes = b""
    _places: dict[Path, tuple[int, int]] = field(repr=False, compare=False, default_factory=dict)
    _keys: dict[Path, tuple[int, int]] = field(repr=False, compare=False, default_factory=dict)

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """A problem at the value under ``path`` (at its key with ``key``), or at its nearest parent that is there."""
        table = self._keys if key else self._places
        while path and path not in table:
            path, table = path[:-1], self._places
        line, column = table.get(path, (1, 1))
        return Problem(self.file, line, column, message)

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
    reader = _Reader(document)
    try:
        node = _compose(text)
        data = reader.value(node, ()) if node else None
    except yaml.YAMLError as error:
        return None, [_syntax(error, text, name)]
    if data is None:
        return None, [Problem(name, 1, 1, "is empty; a declaration needs at least one key")]
    return replace(document, data=data), reader.problems


def _compose(text: str) -> Any:
    loader = _Base(text)
    try:
        if _SUSPECT.search(text) or text.count("[") + text.count("{") > _DEEPEST // 2:
            _refuse_by_events(text)
        return loader.get_single_node()
    finally:
        loader.dispose()


def _refuse_by_events(text: str) -> None:
    """Refuse anchors, tags and deep nesting while only events are read: before an alias bomb can become a graph, and
    before libyaml's composer, which calls itself once a level, can run out of stack."""
    depth = 0
    event: Any
    for event in yaml.parse(text, Loader=_Base):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise _refused(f"is nested deeper than {_DEEPEST} levels", event)
        if isinstance(event, yaml.AliasEvent):
            raise _refused(f"alias *{event.anchor} is not allowed; write the value out", event)
        if getattr(event, "anchor", None):
            raise _refused(f"anchor &{event.anchor} is not allowed; write the value out", event)
        if getattr(event, "tag", None):
            raise _refused(f"tag {event.tag.replace('tag:yaml.org,2002:', '!!')} is not allowed; take it out", event)


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
    elif "another document" in message:
        message = 'holds more than one document; remove the "---" and what follows it'
    return Problem(name, line + 1, column + 1, message)


class _Reader:
    """Turns composed nodes into data while writing down where everything stands."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def value(self, node: Any, path: Path) -> Any:
        place = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.document._places[path] = place
        if len(path) > _DEEPEST:
            raise _refused(f"is nested deeper than {_DEEPEST} levels", node)
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _pairs(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, "a key must be text")
                continue
            key = str(key_node.value)
            if key == "<<" and not key_node.style:
                self._problem(key_node, "merge keys are not allowed; write the values out")
                continue
            if key in seen:
                self._problem(key_node, f'key "{key}" is repeated; it stands in line {seen[key]} already')
                continue
            seen[key] = key_node.start_mark.line + 1
            self.document._keys[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            yield key, self.value(value_node, (*path, key))

    def _problem(self, node: yaml.Node, message: str) -> None:
        self.problems.append(Problem(self.document.file, node.start_mark.line + 1, node.start_mark.column + 1, message))


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    if node.style:  # quoted or block: always text
        return text
    for kind, pattern, starts in _SCALARS:
        if (not text or text[0] in starts) and pattern.fullmatch(text):
            match kind:
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case _:
                    return _number(kind, text, node)
    return text


def _number(kind: str, text: str, node: yaml.ScalarNode) -> int | float:
    if len(text) > _LONGEST_NUMBER:
        raise _refused(
            f"a number cannot have more than {_LONGEST_NUMBER} characters; put it in quotes if it is text", node
        )
    if kind == "int":
        return int(text)
    number = float(text.lower().replace(".inf", "inf"))
    if math.isinf(number) and "inf" not in text.lower():
        raise _refused(f"{text} is too large a number", node)
    return number
