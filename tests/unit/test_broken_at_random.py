"""However a declaration is broken, what comes out is problems: never an exception, and never none by accident."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from maysend import loader, plugins
from maysend.declarations.contradictions import contradictions
from maysend.declarations.meaning import offline_problems
from maysend.errors import Problem
from maysend.moments import Clock

CONFIG = Path(__file__).parents[2] / "config"
FILES = [file.relative_to(CONFIG) for file in sorted(CONFIG.rglob("*.yaml"))]
LOADED = plugins.load()
CLOCK = Clock(datetime(2024, 6, 1, tzinfo=UTC), ZoneInfo("UTC"))

JUNK = st.sampled_from(
    [
        None,
        True,
        -1,
        3.5,
        10**30,
        float("inf"),
        "",
        "all",
        "x",
        "2024-13-01",
        "(",
        "${",
        "30 days",
        [],
        {},
        [{}],
        [None],
    ]
)
BYTES = st.sampled_from(
    [b"\t", b"{", b"[", b"&a ", b"*a ", b"!x ", b": ", b"- ", b'"', b"\n", b"|", b"\0", b"\xff", b"#"]
)
KEYS = st.sampled_from(["property", "did", "all", "not", "where", "within", "equals", "count", "near", "channel", "<<"])


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every value inside ``data``, by the keys that lead to it."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


@st.composite
def broken(draw: st.DrawFn) -> tuple[Path, bytes]:
    """A file of the project in config/, and its bytes after a few accidents."""
    file = draw(st.sampled_from(FILES))
    content = (CONFIG / file).read_bytes()
    if draw(st.booleans()):
        for _ in range(draw(st.integers(1, 3))):
            at = draw(st.integers(0, len(content)))
            content = content[:at] + draw(BYTES) + content[at + draw(st.integers(0, 8)) :]
        return file, content
    data = deepcopy(yaml.safe_load(content))
    for _ in range(draw(st.integers(1, 3))):
        if not (inside := list(places(data))):
            break
        *way, last = draw(st.sampled_from(inside))
        parent = data
        for key in way:
            parent = parent[key]
        if isinstance(parent, dict) and draw(st.booleans()):
            parent[draw(KEYS)] = parent.pop(last)
        else:
            parent[last] = deepcopy(draw(JUNK))  # the same value may be drawn again, and changed
    return file, yaml.safe_dump(data).encode()


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(broken())
def test_whatever_is_broken_comes_out_as_problems(accident: tuple[Path, bytes]) -> None:
    file, content = accident
    with TemporaryDirectory() as directory:
        root = Path(directory) / "project"
        shutil.copytree(CONFIG, root, ignore=shutil.ignore_patterns("data", "out", ".maysend"))
        (root / file).write_bytes(content)
        project, problems = loader.check(root, LOADED)
        if project:
            problems += offline_problems(project, CLOCK)[0]
            problems += contradictions(project)
    assert project or problems
    assert all(isinstance(problem, Problem) and "\n" not in str(problem) for problem in problems)
