"""Each outside library has one door; what is behind it can be changed in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / "engine" / "maysend"
DOORS = {
    "duckdb": ("backends",),
    "pyarrow": ("backends",),
    "pyspark": ("backends",),
    "py4j": ("backends",),
    "click": ("cli",),
    "rich": ("cli",),
    "starlette": ("web",),
    "uvicorn": ("web",),
    "jinja2": ("web", "report"),
    "vl_convert": ("report",),
    "babel": ("web",),
    "sqlalchemy": ("ledger",),
    "alembic": ("ledger",),
    "sqlite3": ("ledger",),
    "yaml": ("documents",),
    "jsonschema": ("declarations/shapes", "declarations/mistakes"),
    "re2": ("declarations/values",),
    "pluggy": ("hookspecs", "plugins"),
    "cloudevents": ("delivery",),
    "cryptography": ("tokens",),
}


def imports(file: Path) -> Iterator[str]:
    """The outside packages a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("library", DOORS)
def test_a_library_is_imported_behind_its_door_alone(library: str) -> None:
    found = [
        file.relative_to(ENGINE).with_suffix("").as_posix() for file in ENGINE.rglob("*.py") if library in imports(file)
    ]
    doors = DOORS[library]
    assert [module for module in found if not any(f"{module}/".startswith(f"{door}/") for door in doors)] == []
