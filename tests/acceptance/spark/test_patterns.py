"""Patterns mean in Java what they mean in RE2, as they are written for Spark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlglot import exp

from maysend.backends.duckdb import DuckDB
from maysend.trees import column, named
from spark_cluster import Interpreted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.soak, pytest.mark.spark]
PATTERNS = [
    *(
        "a$",
        "^a",
        "(?m)^a$",
        "(?m)^",
        "(?m)^$",
        "a.b",
        "(?s)a.b",
        "^.$",
        r"\s",
        r"\S",
        r"a\b",
        r"\Bb",
        r"^\w+$",
        r"\d",
        r"\D",
    ),
    *(
        "(?i)straße",
        "(?i)k",
        "(?i)[à-ý]",
        "(?i)^istanbul$",
        "(?i)[a-z]+n",
        "(?i)^[^a-z]",
        r"(?i)^\w+$",
        r"(?i)^\Wstanbul",
        r"(?i)\x69s",
        r"(?i)^\x{130}",
        r"(?i)\Qis\E",
        r"(?i)^[\pL]stanbul",
        r"(?i)^[\W]stanbul",
        r"(?i)^[^\W]stanbul",
        "(?i)^[a-\u0200]stanbul",
        r"(?i)x\b",
        r"(?i)x\B",
        "(?i)İ",
        "(?i)ı",
        "(?i:A)b",
        "(?i)a(?-i)B",
        "(?P<name>a)b",
        "(?P<first_name>a)b",
        "[[:alpha:]]",
        "[^[:space:]]",
    ),
    *(
        "[[:^alpha:]]",
        r"[\s\d]",
        r"[^\s]",
        r"[\S]",
        r"[^\S]",
        "[a-]",
        "[]a]",
        "[^]a]",
        "[[a]",
        "[a&&b]",
        r"[\]\[]",
        r"[\x{e9}]",
        r"\x41",
        r"\101",
    ),
    *(
        "a{",
        "a{2}",
        "a{1,}",
        "a{,2}",
        "a{1,2}?",
        "{",
        "}",
        r"\Qa.b\E",
        r"\Qa.b",
        r"\pL",
        r"\p{Lu}",
        r"\p{Greek}",
        r"\p{^Greek}",
        r"\PL",
    ),
    *(
        r"\Aa\z",
        r"\v",
        r"[\v]",
        r"\a",
        "a|",
        "(|a)b",
        "#",
        "a b",
        "€",
        "😀",
        "^😀$",
        r"[😀-😂]",
        r"\.",
        r"\-",
        r"a\/b",
        "(?:ab)+?c",
    ),
]
TEXTS = [
    *(
        "",
        "a",
        "b",
        "A",
        "ab",
        "aB",
        "Ab",
        "ba",
        "aa",
        "a\n",
        "\na",
        "a\nb",
        "b\na\nb",
        "a\rb",
        "a\u2028b",
        "a\u0085b",
        "a\x0bb",
    ),
    *(
        "\x0b",
        "\x0c",
        "\u00a0",
        " ",
        "\t",
        "\n",
        "\r\n",
        "\x07",
        "straße",
        "İstanbul",
        "ıstanbul",
        "ISTANBUL",
        "istanbul",
        "İ",
        "ı",
        "xİ",
        "xſ",
        "x\u212a",
        "STRASSE",
        "STRAßE",
        "K",
        "\u212a",
        "é",
        "É",
        "aé",
        "1",
        "٣",
    ),
    *(
        "Ω",
        "ω",
        "-",
        "]",
        "[",
        "&",
        "&&",
        "a{",
        "a{,2}",
        "{",
        "}",
        "a.b",
        "axb",
        "#",
        "a b",
        "a/b",
        "€",
        "😀",
        "😁",
        "😀a",
        "_",
        "_a",
        "ababc",
    ),
]


def test_patterns_find_in_java_what_re2_finds(running: SparkSession, tmp_path: Path) -> None:
    texts = exp.values([(exp.Literal.string(text),) for text in TEXTS], alias="v", columns=["text"])
    found = [
        named(exp.RegexpLike(this=column("text"), expression=exp.Literal.string(pattern)), f"p{number}")
        for number, pattern in enumerate(PATTERNS)
    ]
    query = exp.select(column("text"), *found).from_(texts)
    from maysend.backends.spark import Spark

    with DuckDB() as local, Spark(Interpreted(running).newSession(), tmp_path) as spark:
        expected = {row[0]: row[1:] for row in local.rows(query.copy())}
        assert len(expected) == len(TEXTS)
        for text, *matched in spark.stream(query.copy()):
            different = [p for p, one, other in zip(PATTERNS, expected[text], matched, strict=True) if one != other]
            assert different == [], text
