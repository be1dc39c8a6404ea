"""The consent rule in SQL: every case of tests/cases/status as an audience sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlglot import exp

from maysend.backends.duckdb import DuckDB
from maysend.ledger import open_ledger
from maysend.snapshot import COLUMNS
from maysend.status import CHANNEL
from maysend.targeting.standings import ANSWERS, Standing
from maysend.trees import column, table
from status_cases import StatusCase, status_cases


@pytest.fixture(scope="module")
def backend() -> Iterator[DuckDB]:
    with DuckDB() as opened:
        yield opened


@pytest.mark.parametrize("case", status_cases(), ids=lambda case: case.name)
def test_in_sql(case: StatusCase, backend: DuckDB, tmp_path: Path) -> None:
    """Facts appended, their answers landed, folded into words, and the words' bits read."""
    with open_ledger("sqlite:///ledger.db", tmp_path, create=True) as ledger:
        ledger.append(case.facts)
        backend.land(ANSWERS, COLUMNS, ledger.answers())
    backend.land("people", {"key": "VARCHAR", "address": "VARCHAR"}, case.profiles.items())
    found: dict[str, dict[str, object]] = {profile: {} for profile in case.profiles}
    for channel in case.channels:
        standing = Standing("standing", channel, "address", case.defaults(channel))
        slots = {name: standing.slot(name) for name in case.defaults(channel)}
        suppressed = standing.suppressed_slot()
        backend.create("folded", standing.fold(column("key", "p"), column("subject", "s"), by_address=True))
        words = {key: list(rest) for key, *rest in backend.rows(exp.select("*").from_(table("folded")))}
        for profile, shown in found.items():
            held = words.get(profile, [standing.default(word) for word in standing.words])
            for name, (word, bit) in slots.items():
                shown[channel if name == CHANNEL else name] = "subscribed" if held[word] & bit else "unsubscribed"
            if held[suppressed[0]] & suppressed[1]:
                shown.setdefault("suppressed", []).append(channel)  # type: ignore[attr-defined] # a list among texts
    assert found == {profile: dict(expected) for profile, expected in case.expected.items()}
