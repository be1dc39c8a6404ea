"""Lookups put together say what each says alone: the oracle looks every part up in plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from random import Random

import pytest
from sqlglot import exp

from maysend.backends.duckdb import DuckDB
from maysend.columns import ColumnType
from maysend.targeting.coding import codes
from maysend.targeting.features import Feature
from maysend.targeting.lookups import FULL, WORD_BITS, Code, Predicate, lookup_together, together
from maysend.trees import column, small, table

CAMPAIGNS = 70
EVERY = (1 << CAMPAIGNS) - 1
WORDS = [EVERY & FULL, EVERY >> WORD_BITS]
SIZES = {"f0": 3, "f1": 5, "f2": 7}


def predicates(random: Random, feature: str, largest: int) -> Iterator[Predicate]:
    """Tests of the first stage, in the audience of every campaign or of some, and parts of clauses."""
    for place in range(6):
        mask = random.getrandbits(CAMPAIGNS) if random.random() < 0.7 else EVERY
        test = exp.GTE(this=column(feature), expression=small(random.randint(0, largest)))
        yield Predicate(0, test, mask & ~(1 << place), random.choice([None, 0, 1]))


@pytest.mark.parametrize("seed", range(8))
def test_lookups_put_together_say_what_each_says(seed: int) -> None:
    random = Random(seed)
    features = {
        name: Feature(name, column(name, "p"), ColumnType("integer"), (0, most)) for name, most in SIZES.items()
    }
    asked = [one for name, most in SIZES.items() for one in predicates(random, name, most)]
    parts = codes(asked, features, {}, ())
    assert [code.many for code in parts] == [most + 1 for most in SIZES.values()]
    with DuckDB() as backend:
        lookups = {}
        for code in parts:
            query, lookups[code.name] = code.lookup(WORDS)
            backend.create(f"lookup {code.name}", query, few=True)
        for most in (2, 4 * 6, 4 * 6 * 8):
            whole = list(together(parts, most))
            assert sorted(part.name for code in whole for part in code.parts or (code,)) == ["c0", "c1", "c2"]
            assert all(code.many == prod(part.many for part in code.parts or (code,)) for code in whole)
            assert all(code.many <= most for code in whole if code.parts)
            for code in (code for code in whole if code.parts):
                compare(code, lookups, backend)
        assert len(whole) == 1


def compare(code: Code, lookups: dict[str, dict[str, list[int]]], backend: DuckDB) -> None:
    """Every combination of codes: in all audiences of all parts, and in any of a clause's."""
    query, present = lookup_together(code, lookups, WORDS)
    names = [f"{words}_{word}" for words, several in sorted(present.items()) for word in several]
    backend.create("together", query, few=True)
    rows = backend.rows(exp.select(column("code"), *map(column, names)).from_(table("together")))
    found = {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}
    assert len(found) == len(rows)
    own = {part.name: words_of(part, lookups[part.name], backend) for part in code.parts}
    assert set(names) == {name for words in own.values() for row in words.values() for name in row}
    for combined in product(*(range(part.many) for part in code.parts)):
        number = 0
        for part, one in zip(code.parts, combined, strict=True):
            number = number * part.many + one
        expected: dict[str, int] | None = {}
        for part, one in zip(code.parts, combined, strict=True):
            words = own[part.name].get(one)
            if words is None or expected is None:
                expected = None
                continue
            for name, word in words.items():
                both = (lambda a, b: a | b) if name.startswith("l") else (lambda a, b: a & b)
                expected[name] = both(expected[name], word) if name in expected else word
        if expected is not None and {"s0_0", "s0_1"} <= expected.keys() and not expected["s0_0"] | expected["s0_1"]:
            expected = None
        assert found.get(number) == expected


def words_of(code: Code, present: dict[str, list[int]], backend: DuckDB) -> dict[int, dict[str, int]]:
    names = [f"{words}_{word}" for words, several in present.items() for word in several]
    rows = backend.rows(exp.select(column("code"), *map(column, names)).from_(table(f"lookup {code.name}")))
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}
