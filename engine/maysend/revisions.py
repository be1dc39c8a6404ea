"""Git: the declarations of a revision, and which commit the working tree is at. Nothing here writes to a repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import RevisionError, UnknownNameError

_FILE_MODES = ("100644", "100755")
_LINK = "120000"
_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")


@dataclass(frozen=True, slots=True)
class Commit:
    """Where a working tree is: the commit, and whether what was asked about differs from it."""

    sha: str
    dirty: bool


def commit(root: Path, paths: Sequence[str]) -> Commit | None:
    """The commit that ``root`` is at, and whether any of ``paths`` in it differs; None where git knows none."""
    try:
        sha = _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode().strip()
        return Commit(sha, is_dirty(root, paths))
    except RevisionError:
        return None


def is_dirty(root: Path, paths: Sequence[str]) -> bool:
    """Whether any of ``paths`` in ``root`` is not as the newest commit has it. Raises RevisionError."""
    return bool(_git(root, "status", "--porcelain", "--untracked-files=all", "--", *paths).strip())


def resolve(root: Path, revision: str) -> str:
    """The commit that a revision names, in the repository that ``root`` is in.

    Raises RevisionError where there is no repository, and UnknownNameError where there is no such revision in it.
    """
    if revision.startswith("-"):
        raise UnknownNameError(f'"{revision}" is no revision: none begins with "-"')
    if _try(root, "rev-parse", "--git-dir").returncode:
        said = _said(_try(root, "rev-parse", "--git-dir"))
        reason = "is in no git repository" if "not a git repository" in said else said
        raise RevisionError(f'{root}: {reason}; name two directories, or run in a clone (looking for "{revision}")')
    found = _try(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not found.returncode:
        return found.stdout.decode().strip()
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise UnknownNameError(
            f'there is no revision "{revision}" in this shallow clone; run "git fetch --unshallow" '
            "(in GitHub Actions: fetch-depth: 0)"
        )
    raise UnknownNameError(f'there is no revision "{revision}" in this repository; "git fetch" may bring it')


def write_out(root: Path, sha: str, paths: Sequence[str], target: Path) -> None:
    """Write what a commit holds of ``paths`` in ``root`` to ``target``: files alone, whatever else a tree can hold.

    Raises RevisionError at a symbolic link: it could lead to any file of this machine.
    """
    blobs: dict[str, str] = {}
    for mode, blob, name in _listed(root, sha, paths):
        if mode == _LINK:
            raise RevisionError(f"{name}: is a symbolic link in {sha[:12]}; declarations are files")
        if mode in _FILE_MODES and ".." not in PurePosixPath(name).parts and not name.startswith("/"):
            blobs[name] = blob
    for name, content in zip(blobs, _contents(root, list(blobs.values())), strict=True):
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _listed(root: Path, sha: str, paths: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Mode, object and name (from ``root``) of everything a commit has under ``paths``."""
    for entry in _git(root, "ls-tree", "-r", "-z", sha, "--", *paths).split(b"\0"):
        if entry:
            about, _, name = entry.partition(b"\t")
            mode, _, blob = about.decode().split(" ")
            yield mode, blob, os.fsdecode(name)


def _contents(root: Path, blobs: list[str]) -> Iterator[bytes]:
    answer = _git(root, "cat-file", "--batch", given="".join(f"{blob}\n" for blob in blobs).encode())
    start = 0
    for _ in blobs:
        end = answer.index(b"\n", start)
        size = int(answer[start:end].split(b" ")[2])
        yield answer[end + 1 : end + 1 + size]
        start = end + size + 2


def _git(root: Path, *arguments: str, given: bytes = b"") -> bytes:
    done = _try(root, *arguments, given=given)
    if done.returncode:
        raise RevisionError(f"git: {_said(done)}")
    return done.stdout


def _try(root: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("git")
    if not program:
        raise RevisionError("git is not installed; name two directories instead of revisions")
    command = [program, "--no-optional-locks", *arguments]
    return subprocess.run(command, cwd=root, input=given, capture_output=True, env=_environment(), check=False)  # noqa: S603 - no shell, a revision is never an option


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """The first line of what git complained about."""
    lines = done.stderr.decode(errors="replace").strip().splitlines() or ["failed without a word"]
    return lines[0].removeprefix("fatal: ")


def _environment() -> dict[str, str]:
    """Ours, where paths that git was given (in a hook, say) still lead from the directory that we were called in."""
    found = {name: os.path.abspath(os.environ[name]) for name in _PLACES if os.environ.get(name)}
    if "GIT_DIR" in found:
        found.setdefault("GIT_WORK_TREE", os.getcwd())
    return os.environ | found | {"LC_ALL": "C"}
