"""The head with one change taken back at a time, as far as that is a project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..declarations import references
from ..declarations.shapes import Shapes
from ..documents import Document
from ..errors import Problem
from ..loader import FOLDERS, PROJECT_FILE
from ..model import Project
from ..plugins import Plugins
from . import changes
from .changes import Change, Documents

MOST = 100
"""The most changes that are told apart; beyond, those of a file are one, and beyond that all are one."""

Check = Callable[[Project], Sequence[Problem]]


@dataclass(frozen=True, slots=True)
class Variant:
    """``project`` is the head without ``change``."""

    change: Change
    project: Project


def find(base: Project, head: Project, plugins: Plugins, check: Check, *, whole_files: bool = False) -> list[Variant]:
    """A variant for each change from ``base`` to ``head``, or with ``whole_files`` for each changed file.

    A change that cannot be taken back by itself, for what is left would not be a project (``check`` adds problems of
    its own), is widened to the node around it, until it can. Where not even its file can, there is no variant. Nor is
    there any where the changes are more than ``MOST``.
    """
    before, after = changes.documents_of(base), changes.documents_of(head)
    found = changes.find(before, after)
    found = changes.by_file(found) if whole_files else found
    if len(found) > MOST:
        return []
    builder = _Builder(before, after, head, plugins, Shapes(plugins), check)
    return list(_apart([variant for change in found if (variant := builder.without(change))]))


def _apart(variants: list[Variant]) -> Iterator[Variant]:
    """Those that are in no other: a change that was widened takes in what else changed in its node."""
    for index, one in enumerate(variants):
        inside = (
            other.change.file == one.change.file
            and one.change.head[: len(other.change.head)] == other.change.head
            and other.change.kind == "changed"
            and (len(other.change.head) < len(one.change.head) or place < index)
            for place, other in enumerate(variants)
            if place != index
        )
        if not any(inside):
            yield one


@dataclass(frozen=True, slots=True)
class _Builder:
    before: Documents
    after: Documents
    head: Project
    plugins: Plugins
    shapes: Shapes
    check: Check

    def without(self, change: Change) -> Variant | None:
        while not (project := self._project(change)):
            if change.whole:
                return None
            change = change.wider()
        return Variant(change, project)

    def _project(self, change: Change) -> Project | None:
        """The head without a change, None where that has problems."""
        document = change.reverted(self.before, self.after)
        kind = "project" if change.file == PROJECT_FILE else FOLDERS[change.file.partition("/")[0]]
        if document and self.shapes.problems(kind, document):
            return None
        files = {file: one for file, one in self.after.items() if file != change.file}
        files |= {change.file: document} if document else {}
        settings, documents = files.pop(PROJECT_FILE), _by_kind(files)
        names = {kind: set(named) for kind, named in documents.items()}
        declared = references.Declared(self.plugins, settings, documents, names)
        if any(declared.problems()):
            return None
        project = declared.project(self.head.root, settings)
        return None if self.check(project) else project


def _by_kind(files: Documents) -> Mapping[str, dict[str, Document]]:
    found: dict[str, dict[str, Document]] = {kind: {} for kind in FOLDERS.values()}
    for file, document in files.items():
        folder, _, name = file.partition("/")
        found[FOLDERS[folder]][name.removesuffix(".yaml")] = document
    return found


def aligned(projects: Sequence[Project]) -> list[Project]:
    """The projects with one set of groups: where one lacks a group it gets it archived, which asks nobody, so that the
    answers on a channel are folded once for all."""
    everywhere = {name: group for project in projects for name, group in project.groups.items()}
    asleep = {name: replace(group, active=False) for name, group in everywhere.items()}
    return [replace(project, groups=asleep | dict(project.groups)) for project in projects]
