"""No time is printed of sides that disagree: who is in each audience is compared first."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import duckdb

from .measuring import measure_side
from .projects import Kind
from .rows import POSTGRES, SCAN, SIDES, Contender, Row, Scene, in_postgres
from .sides import Asked, Found
from .sql import PRIME

PROFILES, CAMPAIGNS = 20_000, 30
"""How many profiles are compared key by key, for so many campaigns of each kind."""

STAGES = (
    "audience",
    "address",
    "suppressed",
    "channel",
    "groups",
    "duplicates",
    "frequency cap",
    "control groups",
    "target cap",
)
_KINDS: Mapping[Kind, tuple[str, ...]] = {
    "hundred": tuple(SIDES),
    "events": ("maysend", "DuckDB"),
    "policies": ("maysend", "DuckDB"),
}


class DisagreementError(Exception):
    """Two sides that found something else."""


def compare_ids(directory: Path, absent: Mapping[str, str]) -> None:
    """Compare every side key by key over a few thousand profiles. Raises DisagreementError."""
    scene = Scene(directory, PROFILES)
    for kind, names in _KINDS.items():
        asked = replace(scene.ask(kind), what="ids", limit=CAMPAIGNS)
        here = [name for name in names if name not in {*absent, SCAN}]
        with in_postgres(asked) if POSTGRES in here else nullcontext():
            found = {name: measure_side(SIDES[name], asked).found for name in here}
        compare(found)


def compare_row(row: Row) -> None:
    """Compare what the sides of a row find out: by a number for each audience, or by the files they write.

    Raises DisagreementError.
    """
    sides = [side for side in row.contenders if side.asked and side.side != SIDES[SCAN]]
    for question in {_question(side) for side in sides}:
        same = [side for side in sides if _question(side) == question]
        found = {side.name: _answer(side) for side in same} if len(same) > 1 else {}
        compare(found)


def compare(found: Mapping[str, Mapping[str, Found]]) -> None:
    """Compare sides campaign by campaign, as far as both were asked. Raises DisagreementError."""
    for (first, one), (second, other) in pairwise(found.items()):
        for name in one.keys() & other.keys():
            if one[name] != other[name]:
                raise DisagreementError(f"{name}: {_difference(first, one[name], second, other[name])}")


def _question(side: Contender) -> tuple[object, ...]:
    assert side.asked
    return side.asked.directory, side.asked.kind


def _answer(side: Contender) -> Mapping[str, Found]:
    assert side.asked
    if side.asked.what == "files":
        side.measure()
        return _files(side.asked, side.side.partition(".")[0])
    return measure_side(side.side, replace(side.asked, what="checks")).found


def _files(asked: Asked, side: str) -> Mapping[str, Found]:
    """Each audience's file: how many rows, and a number that depends on every row and its place."""
    found = {}
    for campaign in asked.campaigns:
        file = asked.out(side) / f"{campaign.name}.parquet"
        query = f"SELECT count(*), sum((hash(file_row_number, id, address) % {PRIME})::BIGINT) FROM read_parquet('{file}', file_row_number = true)"
        found[campaign.name] = Found.of(duckdb.execute(query).fetchall()[0], "checks")
    return found


def _difference(first: str, one: Found, second: str, other: Found) -> str:
    for stage, mine, theirs in zip(STAGES, one.left, other.left, strict=False):
        if mine != theirs:
            return f"{mine:,} profiles are left after {stage} in {first}, and {theirs:,} in {second}"
    if isinstance(one.who, tuple) and isinstance(other.who, tuple):
        key = min(set(one.who) ^ set(other.who))
        holder, lacking = (first, second) if key in one.who else (second, first)
        return f"profile {key} is in the audience of {holder}, and not in that of {lacking}"
    return f"{first} and {second} include as many profiles, but not the same"
