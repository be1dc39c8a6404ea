"""The two sides of a comparison: revisions or directories, loaded over one project's data and ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from .. import loader, revisions
from ..errors import InvalidProjectError, MaysendError, Problem, RevisionError
from ..loader import Given
from ..model import Project
from ..plugins import Plugins
from ..where import InList, leaves

WORKING_TREE = "the working tree"
_WILD = frozenset("*?[{")


@dataclass(frozen=True, slots=True)
class Side:
    """One side: what people call it, its declarations, and the commit that holds them (None: a directory)."""

    name: str
    project: Project
    commit: str | None = None

    def named(self, error: InvalidProjectError) -> InvalidProjectError:
        """The same problems, each with the revision or directory that it is in."""
        return _named(error, _Place(self.name, self.project.root, self.commit))


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides. ``trusted`` says that ``project.yaml`` is the base's on both; ``notes`` are what to know of that."""

    base: Side
    head: Side
    trusted: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a side's declarations can be read: a directory, or what a commit holds, written out beside."""

    name: str
    directory: Path
    commit: str | None = None


def open_sides(base: str, head: str | None, root: Path | None, plugins: Plugins, *, trust_base: bool = False) -> Sides:
    """Load what ``base`` and ``head`` name: a directory with a ``project.yaml``, or a git revision.

    ``root`` is the project in the working tree, which is ``head`` where that is None, and may itself be None where both
    are directories. Sources, ledger and ``${NAME}`` are those of ``head`` where it is a directory, else of the working
    tree; with ``trust_base`` the whole ``project.yaml`` is the base's.

    Raises UnknownNameError, RevisionError, and InvalidProjectError with each problem's revision.
    """
    with _placed(base, root) as first, _placed(head, root) as second:
        from_, to = _load_trusting(first, second, root, plugins) if trust_base else _load(first, second, root, plugins)
        notes = list(_notes(first, second, root, trust_base))
    return Sides(from_, to, trust_base, tuple(notes))


@contextmanager
def _placed(name: str | None, root: Path | None) -> Iterator[_Place]:
    if name is None:
        yield _Place(WORKING_TREE, _working_tree(root, WORKING_TREE))
        return
    if name and (Path(name) / loader.PROJECT_FILE).is_file() and not name.startswith("-"):
        yield _Place(name, Path(name).resolve())
        return
    if Path(name).is_dir() and "/" in name:
        raise RevisionError(f"{name}: is a directory without a {loader.PROJECT_FILE}")
    tree = _working_tree(root, f'revision "{name}"')
    sha = revisions.resolve(tree, name)
    with TemporaryDirectory(prefix="maysend-") as directory:
        revisions.write_out(tree, sha, loader.DECLARATIONS, Path(directory))
        if not (Path(directory) / loader.PROJECT_FILE).is_file():
            raise RevisionError(f"{name}: has no {loader.PROJECT_FILE} where {tree} is now")
        yield _Place(name, Path(directory), sha)


def _working_tree(root: Path | None, wanted: str) -> Path:
    if root is None:
        raise MaysendError(
            f"{wanted}: there is no {loader.PROJECT_FILE} here or above; name the project with --project"
        )
    return root


def _load(base: _Place, head: _Place, root: Path | None, plugins: Plugins) -> tuple[Side, Side]:
    if head.commit is None:
        to = _side(head, plugins, None)
        settings, at = to.project.document, head.directory
    else:
        at = _working_tree(root, f'revision "{head.name}"')
        settings = loader.settings(at, plugins)
        to = _side(head, plugins, Given(at, settings, policies=True))
    return _side(base, plugins, Given(at, settings, policies=True)), to


def _load_trusting(base: _Place, head: _Place, root: Path | None, plugins: Plugins) -> tuple[Side, Side]:
    at = base.directory if base.commit is None else _working_tree(root, f'revision "{base.name}"')
    from_ = _side(base, plugins, Given(at))
    to = _side(head, plugins, Given(at, from_.project.document))
    if problems := list(_strange_lists(to.project, from_.project)):
        raise _named(InvalidProjectError(problems), head)
    return from_, to


def _side(place: _Place, plugins: Plugins, given: Given | None) -> Side:
    try:
        return Side(place.name, loader.load(place.directory, plugins, given), place.commit)
    except InvalidProjectError as error:
        raise _named(error, place) from None


def _named(error: InvalidProjectError, place: _Place) -> InvalidProjectError:
    before = "" if place.name == WORKING_TREE else f"{place.name}{':' if place.commit else '/'}"
    return InvalidProjectError(replace(problem, file=before + problem.file) for problem in error.problems)


def _notes(base: _Place, head: _Place, root: Path | None, trusted: bool) -> Iterator[str]:
    if head.commit and root and revisions.is_dirty(root, loader.DECLARATIONS):
        yield f"the working tree has changes that are not committed; {head.name} is compared without them"
    if trusted:
        first, second = ((place.directory / loader.PROJECT_FILE).read_bytes() for place in (base, head))
        if first != second:
            yield f"{loader.PROJECT_FILE} differs; both sides are evaluated with that of {base.name}"


def _strange_lists(head: Project, base: Project) -> Iterator[Problem]:
    """The lists that only the head names, where they could lead to any file of this machine."""
    known = {leaf.source for one in base.segments.values() for leaf in leaves(one.where) if isinstance(leaf, InList)}
    root = head.root.resolve()
    for one in head.segments.values():
        for leaf in leaves(one.where):
            if not isinstance(leaf, InList) or leaf.source in known:
                continue
            inside = "://" not in leaf.source and not _WILD & set(leaf.source)
            if not inside or not (root / leaf.source).resolve().is_relative_to(root):
                message = f'"{leaf.source}" is not one file in the project; the base has to name it first'
                yield one.document.problem((*leaf.at, "in_list", "source"), message)
