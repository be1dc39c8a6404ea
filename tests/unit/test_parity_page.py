"""Every operator has its row in docs/parity.md; and what is written for Spark says what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlglot import exp

from maysend import draws
from maysend.backends.java_patterns import java_pattern
from maysend.backends.spark_dialect import MaysendSpark
from maysend.errors import SourceError
from maysend.operators import OPERATORS
from maysend.trees import cast, column

PAGE = (Path(__file__).parents[2] / "docs" / "parity.md").read_text(encoding="utf-8")


def test_every_operator_has_a_row_and_every_row_an_operator() -> None:
    table = PAGE.partition("## Operators")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(OPERATORS)


@pytest.mark.parametrize(
    ("tree", "written"),
    [
        (draws.hashed(column("k")), "CAST(CONV(LEFT(MD5(`k`), 8), 16, 10) AS BIGINT) % 2147483647"),
        (exp.TryCast(this=column("x"), to=exp.DataType.build("bigint")), "TRY_CAST(`x` AS BIGINT)"),
        (cast(exp.Literal.string("2024-01-01"), "timestamp"), "CAST('2024-01-01' AS TIMESTAMP_NTZ)"),
        (cast(column("x"), "timestamptz"), "CAST(`x` AS TIMESTAMP)"),
        (exp.Literal.string("a\\'\n${x}\v\u00e9"), r"'a\\\'\U0000000A\u0024{x}\U0000000B\U000000E9'"),
        (exp.Literal.number("1" + "0" * 38), "1" + "0" * 38 + "D"),
        (exp.Literal.number("0." + "0" * 38 + "1"), "0." + "0" * 38 + "1D"),
        (exp.Literal.number("1" + "0" * 37), "1" + "0" * 37),
        (exp.func("HASH", column("x")), "XXHASH64(`x`)"),
    ],
)
def test_what_differs_is_written_for_spark(tree: exp.Expr, written: str) -> None:
    assert tree.sql(MaysendSpark) == written


@pytest.mark.parametrize("pattern", [r"\C", "(?U)a+"])
def test_a_pattern_that_java_cannot_follow_is_refused(pattern: str) -> None:
    with pytest.raises(SourceError, match="which Spark cannot follow"):
        java_pattern(pattern)
