"""What differs between two sets of declarations: changed nodes of YAML, each with the line that a reviewer looks at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any, Literal

from ..documents import Document
from ..loader import POLICIES, PROJECT_FILE
from ..model import Project
from ..where import Path

Documents = Mapping[str, Document]
"""Declarations by file."""

_SILENT = frozenset(("title", "description", "visibility", "acknowledge", "guards", "limits"))
"""Top keys that move nobody."""


@dataclass(frozen=True, slots=True)
class Change:
    """One changed node of a file: where it is in the head and was in the base, and at which line of the head.

    ``kind`` says what happened: ``changed`` at both places, ``added`` at ``head``, or ``removed`` from ``base``, and
    then ``head`` is where it would stand. Where the file itself came or went, both are empty and ``line`` is 1.
    """

    file: str
    line: int
    head: Path
    base: Path
    kind: Literal["changed", "added", "removed"]

    @property
    def whole(self) -> bool:
        """Whether it is the whole file."""
        return not self.head and not self.base

    def wider(self) -> Change:
        """The change of the node around it."""
        return replace(self, head=self.head[:-1], base=self.base[:-1], kind="changed")

    def reverted(self, base: Documents, head: Documents) -> Document | None:
        """The head's document without this change; None where that is no file at all."""
        if self.whole:
            return base.get(self.file)
        document = head[self.file]
        data = deepcopy(document.data)
        parent: Any = data
        for part in self.head[:-1]:
            parent = parent[part]
        if self.kind == "added":
            del parent[self.head[-1]]
        else:
            value = deepcopy(base[self.file].at(self.base))
            if self.kind == "removed" and isinstance(parent, list):
                parent.insert(int(self.head[-1]), value)
            else:
                parent[self.head[-1]] = value
        return replace(document, data=data, digest=b"")


def documents_of(project: Project) -> dict[str, Document]:
    """Every declaration of a project, and ``project.yaml``, by file."""
    kinds: tuple[Mapping[str, Any], ...] = (project.channels, project.groups, project.segments, project.campaigns)
    found = [one.document for kind in kinds for one in kind.values()]
    return {document.file: document for document in (project.document, *found)}


def find(base: Documents, head: Documents) -> list[Change]:
    """Every change from ``base`` to ``head`` that could move somebody, in order of file and line."""
    found: list[Change] = []
    for file in {**base, **head}:
        if file not in base or file not in head:
            found.append(Change(file, 1, (), (), "added" if file in head else "removed"))
            continue
        before, after = base[file], head[file]
        for key in {**before.data, **after.data}:
            if key not in _SILENT and (file != PROJECT_FILE or key in POLICIES):
                found += _in_mapping(before, after, (), (), key)
    return sorted(found, key=lambda change: (change.file, change.line, str(change.head)))


def by_file(changes: list[Change]) -> list[Change]:
    """The same changes as one for each file, at its first line."""
    first: dict[str, Change] = {}
    for change in changes:
        first.setdefault(change.file, change)
    return [replace(one, head=(), base=(), kind="changed") for one in first.values()]


def _in_mapping(before: Document, after: Document, base: Path, head: Path, key: str) -> Iterator[Change]:
    old, new = before.at(base), after.at(head)
    at, was = (*head, key), (*base, key)
    if key not in old:
        yield Change(after.file, after.problem(at, "", key=True).line, at, was, "added")
    elif key not in new:
        yield Change(after.file, after.line(at), at, was, "removed")
    else:
        yield from _in_node(before, after, was, at)


def _in_node(before: Document, after: Document, base: Path, head: Path) -> Iterator[Change]:
    old, new = before.at(base), after.at(head)
    if old == new and _text(old) == _text(new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from _in_mapping(before, after, base, head, key)
    elif isinstance(old, list) and isinstance(new, list) and any(isinstance(item, dict) for item in (*old, *new)):
        yield from _in_list(before, after, base, head)
    else:
        yield Change(after.file, _first_line(after, head, old, new), head, base, "changed")


def _in_list(before: Document, after: Document, base: Path, head: Path) -> Iterator[Change]:
    """Items that are the same are left out; what stands between the same neighbours is compared with each other."""
    old, new = before.at(base), after.at(head)
    matcher = SequenceMatcher(None, [_text(item) for item in old], [_text(item) for item in new], autojunk=False)
    for what, first, last, start, end in matcher.get_opcodes():
        if what == "equal":
            continue
        both = min(last - first, end - start)
        for offset in range(both):
            yield from _in_node(before, after, (*base, first + offset), (*head, start + offset))
        for index in range(start + both, end):
            yield Change(after.file, after.line((*head, index)), (*head, index), (*base, last), "added")
        for index in range(first + both, last):
            yield Change(after.file, after.line(head), (*head, end), (*base, index), "removed")


def _first_line(document: Document, path: Path, old: Any, new: Any) -> int:
    """The line of the first item that is new in a list, or of the value."""
    if isinstance(old, list) and isinstance(new, list):
        for index, item in enumerate(new):
            if item not in old:
                return document.line((*path, index))
    return document.problem(path, "", key=isinstance(new, list) and bool(path) and isinstance(path[-1], str)).line


def _text(value: Any) -> str:
    """A value as text in which ``1`` is not ``true``, and the order of a mapping's keys does not count."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
