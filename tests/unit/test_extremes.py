"""Values at the ends of what a column's type can hold: decided as any others, with a roster and without."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

import oracle
from engine import decisions, loaded_plugins, loaded_project, write_roster
from maysend import runner
from maysend.ledger import open_ledger

LEDGER = "sqlite:///ledger.db"
AS_OF = datetime(2024, 6, 1, 12, tzinfo=UTC)


def included(root: Path, type_: str, values: list[str | None], segments: Mapping[str, Any]) -> dict[str, list[int]]:
    """Which values of column ``x`` (of a type of DuckDB's, written as its text) each segment has, by their places; the
    same without a roster and with one."""
    texts = ["NULL" if text is None else f"'{text}'" for text in values]
    rows = ", ".join(f"({key}, {text})" for key, text in enumerate(texts))
    query = f"SELECT id, 'p' || id || '@x.org' AS email, CAST(x AS {type_}) AS x FROM (VALUES {rows}) AS v(id, x)"
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = 'UTC'; COPY ({query}) TO '{root}/people.parquet' (FORMAT parquet)")
    files: dict[str, Any] = {
        "project": {
            "timezone": "America/New_York",
            "profiles": {"source": "people.parquet", "key": "id"},
            "ledger": LEDGER,
        },
        "channels/email": {"type": "email", "address": "email"},
    }
    for name, where in segments.items():
        files[f"segments/{name}"] = {"where": where}
        files[f"campaigns/{name}"] = {"channel": "email", "audience": {"include": [name]}}
    for name, declared in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / f"{name}.yaml").write_text(yaml.dump(declared), "utf-8")
    open_ledger(LEDGER, root, create=True).close()
    found = []
    for _ in range(2):
        reasons = runner.decide(loaded_project(root), AS_OF, loaded_plugins())
        found.append(
            {name: [int(key) for key, reason in of.items() if reason == "included"] for name, of in reasons.items()}
        )
        write_roster(root)
    assert found[0] == found[1]
    return found[0]


FUTURE = {
    "later": {"property": "x", "at_least": "2024-06-01"},
    "earlier": {"property": "x", "before": "2024-06-01"},
    "known": {"property": "x", "exists": True},
    "unknown": {"property": "x", "exists": False},
}


@pytest.mark.parametrize("between", [[], ["2024-01-01", "2024-12-01"]], ids=["alone", "among others"])
@pytest.mark.parametrize(
    ("early", "late"),
    [("-infinity", "infinity"), ("0044-03-15 (BC)", "20000-01-01"), (None, "infinity"), (None, "9999-12-31")],
)
@pytest.mark.parametrize("type_", ["DATE", "TIMESTAMPTZ"])
def test_a_time_that_python_has_not(
    type_: str, early: str | None, late: str, between: list[str], tmp_path: Path
) -> None:
    """``infinity`` is how people write that somebody is blocked for ever; it is not a missing date."""
    found = included(tmp_path, type_, [None, late, early, *between], FUTURE)
    assert found == {
        "later": [1, *([4] if between else [])],
        "earlier": [*([2] if early else []), *([3] if between else [])],
        "known": [1, *([2] if early else []), *([3, 4] if between else [])],
        "unknown": [0, *([] if early else [2])],
    }


def test_the_last_second_of_a_zone_west_of_utc(tmp_path: Path) -> None:
    """In UTC it is in a year that Python has not."""
    values = ["9999-12-31 23:59:59-05", "9999-12-31 23:59:59Z", "2024-06-01", "infinity", None]
    last = "9999-12-31T23:59:59"
    found = included(
        tmp_path,
        "TIMESTAMPTZ",
        values,
        {
            "equal": {"property": "x", "equals": last},
            "until": {"property": "x", "at_most": last},
            "after": {"property": "x", "after": last},
            "within": {"property": "x", "between": ["2024-06-01", last]},
        },
    )
    assert found == {"equal": [0], "until": [0, 1, 2], "after": [3], "within": [0, 1]}


@pytest.mark.parametrize(
    ("type_", "low", "high"),
    [
        ("TINYINT", 0, 127),
        ("TINYINT", -100, 100),
        ("TINYINT", -128, 127),
        ("UTINYINT", 0, 255),
        ("SMALLINT", -10000, 9999),
        ("SMALLINT", 32700, 32767),
        ("USMALLINT", 65000, 65535),
        ("INTEGER", 2147483600, 2147483647),
        ("INTEGER", -2147483648, -2147483600),
        ("UINTEGER", 4294967200, 4294967295),
        ("BIGINT", 2147483600, 2147483700),
        ("BIGINT", 2**63 - 100, 2**63 - 1),
        ("BIGINT", -(2**63), -(2**63) + 100),
        ("UBIGINT", 2**64 - 100, 2**64 - 1),
    ],
)
def test_whole_numbers_that_fill_their_type(type_: str, low: int, high: int, tmp_path: Path) -> None:
    middle = (low + high) // 2
    found = included(
        tmp_path,
        type_,
        [str(low), str(middle), str(high), None],
        {"above": {"property": "x", "at_least": middle}, "lowest": {"property": "x", "equals": low}},
    )
    assert found == {"above": [1, 2], "lowest": [0]}


def test_more_groups_than_eight_bits_count(tmp_path: Path) -> None:
    groups = [f"g{number}" for number in range(200)]
    facts = [
        {"channel": "email", "group": group, "profile": 2, "answer": "unsubscribed", "at": "2024-01-01T00:00:00Z"}
        for group in groups[:71]
    ]
    world = {
        "as_of": AS_OF.isoformat(),
        "columns": {"id": "integer", "email": "text"},
        "profiles": [{"id": 1, "email": "a@x.org"}, {"id": 2, "email": "b@x.org"}],
        "channels": {"email": {"type": "email", "address": "email"}},
        "groups": {group: {"channel": "email", "default": "subscribed"} for group in groups},
        "limits": {"active_groups": 200},
        "facts": facts,
        "campaigns": {
            "most": {"channel": "email", "subscription_groups": {"at_least": {"count": 130, "of": groups}}},
            "some": {"channel": "email", "subscription_groups": {"at_least": {"count": 129, "of": groups}}},
        },
    }
    found = decisions(world, tmp_path)
    assert found == {
        "most": {"1": "included", "2": "group_unsubscribed"},
        "some": {"1": "included", "2": "included"},
    }
    assert found == {
        name: {str(key): reason for key, reason in of.items()} for name, of in oracle.decide(world).items()
    }
