"""A directory of declarations as a Project, or every problem of shape and reference at once.

Folder = kind, file stem = name. Nothing but the declarations is read here: no data and no ledger.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import documents
from .declarations import references
from .declarations.shapes import Shapes
from .documents import Document
from .errors import InvalidProjectError, MaysendError, Problem, UnknownNameError, did_you_mean
from .garbage import seldom_collecting
from .model import Project
from .plugins import Plugins
from .where import Path as KeyPath

PROJECT_FILE = "project.yaml"
FOLDERS: Mapping[str, str] = {
    "channels": "channel",
    "subscription_groups": "subscription_group",
    "segments": "segment",
    "campaigns": "campaign",
}
"""The folders that hold declarations, and the kind of each."""

DECLARATIONS = (PROJECT_FILE, *FOLDERS)
"""Where declarations stand, from the project's directory."""

POLICIES = ("title", "timezone", "frequency_caps", "control_groups", "limits", "guards")
"""What ``project.yaml`` says of campaigns; its other keys say where data, ledger and pages are."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Given:
    """What declarations that are reviewed do not say themselves: ``root``, where data and ledger are.

    ``settings`` is another ``project.yaml`` that stands for theirs (None: their own); with ``policies``, their own
    ``POLICIES`` hold all the same, and nothing else of theirs is read, nor any ``${NAME}`` in it.
    """

    root: Path
    settings: Document | None = None
    policies: bool = False


def find(start: Path, *, upward: bool) -> Path:
    """The directory of the nearest ``project.yaml``: ``start`` itself, or with ``upward`` the first above it.

    Raises MaysendError where there is none, and UnknownNameError where ``start`` is no directory.
    """
    here = start.resolve()
    if not here.is_dir():
        raise UnknownNameError(f"{start} is not a directory")
    for directory in (here, *here.parents) if upward else (here,):
        if (directory / PROJECT_FILE).is_file():
            return directory
    if (here / "project.yml").is_file():
        raise MaysendError(f"{here / 'project.yml'} must be named {PROJECT_FILE}")
    above = " or above it" if upward else ""
    raise MaysendError(f'no {PROJECT_FILE} in {here}{above}; "maysend init DIR" makes an example project')


def load(root: Path, plugins: Plugins, given: Given | None = None) -> Project:
    """The project in ``root``, or InvalidProjectError with every problem of shape and reference."""
    project, problems = check(root, plugins, given)
    if problems or not project:
        raise InvalidProjectError(problems)
    return project


def settings(root: Path, plugins: Plugins) -> Document:
    """``project.yaml`` alone, with every ``${NAME}`` filled in, or InvalidProjectError."""
    document, problems = _settings(root, Shapes(plugins), None)
    if problems or not document:
        raise InvalidProjectError(problems)
    return document


@seldom_collecting()
def check(root: Path, plugins: Plugins, given: Given | None = None) -> tuple[Project | None, list[Problem]]:
    """The project in ``root``, and every problem of shape and reference, sorted.

    Where there are problems, the project is what is left without the files of a wrong shape, for the third pass to
    look at; it is None where ``project.yaml`` is one of them. A file with problems does not hide those of others, and
    what it declares is not unknown to them.
    """
    root = root.absolute()
    shapes = Shapes(plugins)
    problems: list[Problem] = list(_strays(root))
    settings, found = _settings(root, shapes, given)
    problems += found
    declared = references.Declared(plugins, settings)
    for folder, kind in FOLDERS.items():
        for file in _files(root, folder):
            name = file.name.removesuffix(".yaml")
            declared.names[kind].add(name)
            document, found = _read(file, f"{folder}/{file.name}", kind, shapes)
            problems += found
            if document and not found:
                declared.documents[kind][name] = document
    problems += declared.problems()
    usable = settings and references.is_zone(settings.data.get("timezone", "UTC"))
    at = given.root.absolute() if given else root
    return declared.project(at, settings) if settings and usable else None, sorted(set(problems))


def _files(root: Path, folder: str) -> Iterator[Path]:
    directory = root / folder
    try:
        names = sorted(os.listdir(directory))
    except OSError:  # _strays says why
        return
    yield from (file for name in names if name.endswith(".yaml") and _is_declaration(file := directory / name))


def _is_declaration(file: Path) -> bool:
    return file.name.endswith(".yaml") and not file.name.startswith(".") and file.is_file()


def _read(file: Path, shown: str, kind: str, shapes: Shapes) -> tuple[Document | None, list[Problem]]:
    document, problems = documents.read(file, shown)
    if not _NAME.fullmatch(name := file.name.removesuffix(".yaml")):
        problems.append(
            Problem(shown, 0, 0, f'"{name}" cannot be a name: names are a to z, 0 to 9 and _, and start with a letter')
        )
    if document:
        problems += shapes.problems(kind, document)
        problems += _variables(document)
    return document, problems


def _variables(document: Document) -> Iterator[Problem]:
    if not _mentions_variable(document.data):
        return
    for path, text in _strings(document.data, ()):
        if "${" in text:
            yield document.problem(path, f"${{NAME}} is read from the environment in {PROJECT_FILE} only")


def _mentions_variable(data: Any) -> bool:
    if isinstance(data, dict):
        return any(map(_mentions_variable, data.values()))
    if isinstance(data, list):
        return any(map(_mentions_variable, data))
    return isinstance(data, str) and "${" in data


def _settings(root: Path, shapes: Shapes, given: Given | None) -> tuple[Document | None, list[Problem]]:
    """``project.yaml`` with every ``${NAME}`` in its strings filled in from the environment."""
    if given and given.settings and not given.policies:
        return given.settings, []
    document, problems = documents.read(root / PROJECT_FILE, PROJECT_FILE)
    if not document:
        return None, problems
    elsewhere = given.settings if given else None
    if elsewhere and isinstance(document.data, dict):
        document = replace(document, data={key: document.data[key] for key in document.data if key in POLICIES})
    filled: dict[KeyPath, str | None] = {}
    for path, text in list(_strings(document.data, ())):
        if "${" not in text:
            continue
        missing = [name for name in _VARIABLE.findall(text) if name not in os.environ]
        problems += [document.problem(path, f"the environment has no variable {name}") for name in missing]
        if not _VARIABLE.search(text):
            problems.append(document.problem(path, f'"{text}" does not end its "${{" with a "}}"'))
        filled[path] = None if missing else f'"{text}"'
        _put(document.data, path, _VARIABLE.sub(lambda found: os.environ.get(found[1], ""), text))
    if elsewhere:
        document.data.update({key: elsewhere.data[key] for key in elsewhere.data if key not in POLICIES})
    problems += shapes.problems("project", document, filled)
    return (None if problems else document), problems


def _strings(data: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _strings(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _strings(value, (*path, index))


def _put(data: Any, path: KeyPath, value: str) -> None:
    for part in path[:-1]:
        data = data[part]
    data[path[-1]] = value


def _strays(root: Path) -> Iterator[Problem]:
    """What lies where declarations are looked for and is none, so that nobody believes it counts."""
    try:
        entries = sorted(root.iterdir())
    except OSError as error:
        yield Problem(".", 0, 0, f"cannot be read: {error.strerror}")
        return
    for entry in entries:
        if entry.name == "project.yml":
            yield Problem(entry.name, 0, 0, f"is not read; only {PROJECT_FILE} is")
        elif entry.name in FOLDERS:
            yield from _strays_in(root, entry.name)
        elif entry.is_dir() and (near := _meant(entry.name)):
            yield Problem(f"{entry.name}/", 0, 0, f'is not read; did you mean "{near}/"?')


def _meant(folder: str) -> str | None:
    """The folder of declarations that another folder's name is close to."""
    word = folder.lower().rstrip("s")
    parts = [kind for kind in FOLDERS if len(word) > 4 and word in kind]
    hint = did_you_mean(folder.lower(), FOLDERS)
    return parts[0] if parts else hint.split('"')[1] if "did you mean" in hint else None


def _strays_in(root: Path, folder: str) -> Iterator[Problem]:
    directory = root / folder
    if not directory.is_dir():
        yield Problem(folder, 0, 0, "must be a directory")
        return
    try:
        entries = sorted(directory.iterdir())  # not scandir, whose entries raise at a link to itself
    except OSError as error:
        yield Problem(f"{folder}/", 0, 0, f"cannot be read: {error.strerror}")
        return
    for entry in entries:
        if entry.name.startswith(".") or _is_declaration(entry):
            continue
        shown = f"{folder}/{entry.name}"
        if entry.is_dir():
            yield Problem(f"{shown}/", 0, 0, f"is not read; declarations stand directly in {folder}/")
        elif entry.name.endswith(".yml"):
            yield Problem(shown, 0, 0, f'is not read; rename it to "{entry.name.removesuffix(".yml")}.yaml"')
        else:
            yield Problem(shown, 0, 0, f"is not read; only *.yaml files stand in {folder}/")
