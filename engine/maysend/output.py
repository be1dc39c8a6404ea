"""An output directory that is replaced whole, at the end of a run, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

from .errors import OutputError

MANIFEST = "manifest.json"


_LOG = ".wal"  # what DuckDB leaves beside a file where it was killed
_KEPT = 2  # the newest file, and the one before, which another run may be reading


def publish(directory: Path, name: str, told: Mapping[str, Any]) -> None:
    """Say in ``<name>.json`` which ``<name>-*`` later runs read, and what it is of; remove older ones.

    Whoever reads meanwhile finds one that is whole. Raises OSError.
    """
    unfinished = directory / f"{name}-{token_hex(4)}.json"
    unfinished.write_text(json.dumps(told), encoding="utf-8")
    os.replace(unfinished, directory / f"{name}.json")
    found: list[tuple[int, Path]] = []
    for each in published(directory, name):
        with suppress(FileNotFoundError):  # another run may remove it
            if each.suffix != _LOG:
                found.append((each.stat().st_mtime_ns, each))
    for _, old in sorted(found)[:-_KEPT]:
        old.unlink(missing_ok=True)
        old.with_name(f"{old.name}{_LOG}").unlink(missing_ok=True)


def published(directory: Path, name: str) -> list[Path]:
    """The files of a directory that are ``<name>-*``, by the names that runs give them; others are not ours."""
    own = re.compile(rf"{name}-(\d+-[0-9a-f]+\.(parquet|duckdb)({_LOG})?|[0-9a-f]{{8}}\.json)")
    return sorted(file for file in directory.glob(f"{name}-*") if own.fullmatch(file.name))


class Output:
    """Files are written beside ``directory`` and moved in when the block ends well.

    Raises OutputError where the directory holds something that maysend did not write, or cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        if not self.directory.name:
            raise OutputError(f"{self.directory}: holds all files there are; choose another --out")
        self._beside = self.directory.with_name(f".{self.directory.name}.{token_hex(4)}")

    def __enter__(self) -> Self:
        try:
            self._refuse_others()
            if self.directory.exists() and not self.directory.is_dir():
                raise OutputError(f"{self.directory}: is not a directory; choose another --out")
            self._beside.mkdir(parents=True)
        except OSError as error:
            raise OutputError(f"{self.directory}: cannot be written: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._move_in()
            elif isinstance(error, OSError):
                raise error
        except OSError as failure:
            raise OutputError(f"{self.directory}: cannot be written: {failure.strerror}") from None
        finally:
            shutil.rmtree(self._beside, ignore_errors=True)

    def file(self, name: str) -> Path:
        """Where to write a file of that name."""
        return self._beside / name

    def digest(self, name: str) -> str:
        """The SHA-256 of a file written."""
        with self.file(name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        self.file(MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def _refuse_others(self) -> None:
        """Raise OutputError where the directory holds something that maysend did not write: it would be gone."""
        names = {file.name for file in self.directory.iterdir()} if self.directory.is_dir() else set()
        manifest = manifest_in(self.directory)
        if names and not manifest:
            raise OutputError(f"{self.directory}: holds files that maysend did not write; choose another --out")
        if others := sorted(names - _names(manifest or {})):
            told = f'holds "{others[0]}", which maysend did not write; move it away, or choose another --out'
            raise OutputError(f"{self.directory}: {told}")

    def _move_in(self) -> None:
        for written in self._beside.rglob("*"):
            if written.is_file():
                with written.open("rb") as file:
                    os.fsync(file.fileno())
        before = self._beside.with_name(f"{self._beside.name}.before")
        if self.directory.exists():
            self.directory.rename(before)
        try:
            self._beside.rename(self.directory)
        except OSError:
            if before.exists():
                before.rename(self.directory)
            raise
        shutil.rmtree(before, ignore_errors=True)


def _names(manifest: Mapping[str, Any]) -> set[str]:
    """What a run may write beside its manifest, and that: a file or more for each campaign, on Spark a directory."""
    found = {MANIFEST}
    for name in (campaign["name"] for campaign in manifest.get("campaigns", ())):
        found |= {f"{name}{kind}.{ending}" for kind in ("", ".replay", ".decisions") for ending in ("parquet", "csv")}
        found |= {f"campaign={name}", f"replay={name}"}
    return found


@contextmanager
def replaced(file: Path) -> Iterator[Path]:
    """A file to write beside ``file``, that takes its place where the block ends well and is gone where it does not.

    Raises OutputError, about ``file``, where it cannot be written.
    """
    beside = file.with_name(f".{token_hex(4)}.{file.name}")
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(file)
    except OSError as error:
        raise OutputError(f"{file}: cannot be written: {error.strerror}") from None
    except OutputError as error:
        raise OutputError(f"{file}: {str(error).removeprefix(f'{beside.name}: ')}") from None
    finally:
        with suppress(OSError):
            beside.unlink()


def write_text(file: Path, text: str) -> None:
    """Write a file whole or not at all. Raises OutputError where it cannot be written."""
    with replaced(file) as beside:
        beside.write_text(text, encoding="utf-8")


def manifest_in(directory: Path) -> dict[str, Any] | None:
    """The manifest of the run that wrote ``directory``, or None where none did."""
    try:
        found = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    campaigns = found.get("campaigns") if isinstance(found, dict) and "maysend" in found else None
    is_ours = isinstance(campaigns, list) and all(isinstance(one, dict) and "name" in one for one in campaigns)
    return found if is_ours else None
