"""Draws (spec 5): the SQL computes the formula, salts are independent of each other, and names play no part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import duckdb
import pytest
from sqlglot import exp

import engine
import oracle.draws
from maysend import draws

SALTS = [f"salt {number}" for number in range(17)] + ["", "é", "\U0001f409 drawn"]
P = 2**31 - 1


def in_sql(keys: Sequence[Any], type_: str, salts: Sequence[str]) -> list[tuple[int, ...]]:
    """The draws of every key for every salt, by the SQL that plans run."""
    text = exp.cast(exp.column("key"), "text")
    hashed = exp.select(exp.column("key"), exp.alias_(draws.hashed(text), "h")).from_("keys").subquery("k")
    drawn = [exp.alias_(draws.draw(exp.column("h"), salt), f"d{place}") for place, salt in enumerate(salts)]
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE keys AS SELECT unnest(CAST(? AS {type_}[])) AS key", [list(keys)])
        query = exp.select(*(exp.column(f"d{place}") for place in range(len(salts))))
        return connection.execute(query.from_(exp.select(*drawn).from_(hashed).subquery("d")).sql("duckdb")).fetchall()


@pytest.fixture(scope="module")
def tenths() -> list[list[int]]:
    """For 20 salts, into which tenth of all draws each of 20,000 keys falls."""
    drawn = in_sql(range(20_000), "BIGINT", SALTS)
    return [[draw * 10 // P for draw in of_salt] for of_salt in zip(*drawn, strict=True)]


@pytest.mark.parametrize(
    ("keys", "type_"),
    [
        ([*range(-1000, 2000), 2**31, 2**53 + 1, 2**63 - 1, -(2**63)], "BIGINT"),
        ([f"C-{number:05}" for number in range(2000)], "VARCHAR"),
        (["", " ", "0", "00", "-0", "é", "e\u0301", "ß", "İ", "\U0001f409", "'; --", "x" * 99], "VARCHAR"),
    ],
    ids=["integers", "text", "unusual text"],
)  # fmt: skip
def test_the_sql_computes_the_formula(keys: list[Any], type_: str) -> None:
    salts = SALTS[-5:]
    assert in_sql(keys, type_, salts) == [tuple(oracle.draws.draw(key, salt) for salt in salts) for key in keys]


def test_the_formula_is_the_one_it_has_always_been() -> None:
    """Worked out with md5sum, sha256sum and bc: whoever changes these numbers draws everybody anew."""
    assert in_sql([1, 23570], "BIGINT", ["winter"]) == [(265605413,), (1988424095,)]


def test_salts_draw_independently_of_each_other(tenths: list[list[int]]) -> None:
    """Chi-square of the table of tenths by tenths, for every pair of 20 salts over 20,000 keys.

    With 81 degrees of freedom it is about 81, and beyond 150 by chance in one pair of 200,000; there are 190 pairs.
    """
    found = [chi_square(one, other) for one, other in combinations(tenths, 2)]
    assert len(found) == 190
    assert max(found) < 150
    assert 75 < mean(found) < 87
    assert chi_square(tenths[0], tenths[0]) > 100_000


def chi_square(one: Sequence[int], other: Sequence[int]) -> float:
    """How far two draws into tenths are from independence."""
    together, rows, columns = Counter(zip(one, other, strict=True)), Counter(one), Counter(other)
    expected = {(row, col): rows[row] * columns[col] / len(one) for row in range(10) for col in range(10)}
    return sum((together[place] - wanted) ** 2 / wanted for place, wanted in expected.items())


def test_every_tenth_is_drawn_as_often_as_any_other(tenths: list[list[int]]) -> None:
    """Chi-square with nine degrees of freedom is beyond 40 by chance once in 100,000 salts."""
    for of_salt in tenths:
        many = Counter(of_salt)
        assert sum((many[tenth] - 2000) ** 2 / 2000 for tenth in range(10)) < 40


@pytest.mark.parametrize("percent", [0, 1e-7, 0.1, 1, 5, 10, 12.5, 33.3, 99.999, 100])
def test_a_percentage_is_that_part_of_all_draws_to_the_last_one(percent: float) -> None:
    limit = draws.threshold(percent)
    assert limit * 100 >= Decimal(repr(percent)) * P
    assert (limit - 1) * 100 < Decimal(repr(percent)) * P
    assert limit == {0: 0, 100: P}.get(percent, limit)


def test_buckets_are_a_thousand_equal_parts() -> None:
    edges = [0, 1, P // 1000, P // 1000 + 1, P // 2, P - 1, *range(1, P, 1_999_993)]
    numbers = [
        exp.alias_(draws.bucket(exp.cast(exp.Literal.number(drawn), "bigint")), f"b{place}")
        for place, drawn in enumerate(edges)
    ]
    (found,) = duckdb.execute(exp.select(*numbers).sql("duckdb")).fetchall()
    assert list(found) == [drawn * 1000 // P for drawn in edges]
    assert (min(found), max(found)) == (0, 999)


def test_renaming_draws_nobody_anew(tmp_path: Path) -> None:
    """Own, custom and system control groups, a sample and a bucket, before and after every name changed."""

    def reasons(word: str) -> dict[str, str]:
        world = {
            "as_of": "2024-06-01T12:00:00Z",
            "columns": {"id": "text", "email": "text"},
            "profiles": [{"id": f"p{number}", "email": f"p{number}@example.com"} for number in range(400)],
            "channels": {f"{word}_mail": {"type": "email", "address": "email"}},
            "segments": {f"{word}_half": {"bucket": {"between": [0, 499], "salt": "half"}}},
            "control_groups": {"system": {"percent": 5, "salt": "s1"}, f"{word}_group": {"percent": 20, "salt": "s2"}},
            "campaigns": {
                f"{word}_first": {
                    "channel": f"{word}_mail",
                    "audience": {"include": [f"{word}_half"]},
                    "control_group": f"{word}_group",
                    "target_cap": {"at_most": 100, "when_exceeded": "sample", "salt": "s3"},
                },
                "zzz": {"channel": f"{word}_mail", "control_group": {"percent": 10, "salt": "s4"}},
            },
        }
        (tmp_path / word).mkdir()
        found = engine.decisions(world, tmp_path / word)
        return {key: f"{found[f'{word}_first'][key]}, {reason}" for key, reason in found["zzz"].items()}

    before = reasons("spring")
    assert {reason for both in before.values() for reason in both.split(", ")} == {
        "not_in_audience",
        "control_group",
        "over_target_cap",
        "included",
    }
    assert reasons("autumn") == before
