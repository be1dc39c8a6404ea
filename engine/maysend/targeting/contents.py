"""Lists that are searched for many values: looked into once, for a bit per value and profile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlglot import exp

from ..columns import ColumnType
from ..trees import both, column, either, has, named, number, select, small, table
from .coding import Predicate
from .features import Feature
from .plan import Engine, Plan
from .standings import BITS

E = exp.Expr
_MANY = 4
"""From so many values on that are looked for in one list."""


@dataclass(frozen=True, slots=True)
class _Contents:
    """What is looked for in a list: each value's place among the bits of ``words``."""

    places: dict[E, int]
    words: list[E]

    def test(self, values: list[E], *, every: bool) -> E:
        """Whether any value is in the list, or every one."""
        masks: dict[int, int] = {}
        for value in values:
            word, bit = divmod(self.places[value], BITS)
            masks[word] = masks.get(word, 0) | 1 << bit
        tests: list[E] = []
        for word, mask in masks.items():
            held = exp.Coalesce(this=self.words[word].copy(), expressions=[number(0)])
            if every:
                there = exp.Paren(this=exp.BitwiseAnd(this=held, expression=number(mask)))
                tests.append(exp.EQ(this=there, expression=number(mask)))
            else:
                tests.append(has(held, mask))
        return both(tests) if every else either(tests)


def look_into_lists(plan: Plan, predicates: list[Predicate], engine: Engine) -> list[Predicate]:
    """The predicates, with tests of bits in place of searches; table ``contents <feature>`` has the bits."""
    wanted: dict[str, dict[E, int]] = {}
    for predicate in predicates:
        for node in predicate.test.walk():
            for name, value in _searched(node):
                places = wanted.setdefault(name, {})
                places.setdefault(value, len(places))
    known: dict[str, _Contents] = {}
    for name, places in wanted.items():
        feature = plan.features.features[name]
        own = {part.table for part in feature.expression.find_all(exp.Column)} == {"p"}
        if len(places) >= _MANY and own and not plan.narrowed:
            words = list(range((len(places) - 1) // BITS + 1))
            engine.create(f"contents {name}", _bits(plan, feature, places, words))
            found = [column(f"w{word}", f"contents {name}") for word in words]
            known[name] = _Contents(places, [plan.features.add(word, ColumnType("integer")) for word in found])

    def looked_up(node: E) -> E:
        searches = list(_searched(node))
        names = {name for name, _ in searches}
        if len(names) != 1 or not names <= known.keys():
            return node
        contents = known[names.pop()]
        return exp.Paren(this=contents.test([value for _, value in searches], every=isinstance(node, exp.And)))

    return [replace(one, test=one.test.transform(looked_up)) if known else one for one in predicates]


def _searched(node: E) -> Iterator[tuple[str, E]]:
    """The lists and values of a node that looks for nothing else: for one value, for any of several, or for all."""
    parts = list(node.flatten()) if isinstance(node, exp.And | exp.Or) else [node]
    found = []
    for part in parts:
        search = part.this if isinstance(part, exp.Coalesce) else None
        if not (isinstance(search, exp.ArrayContains) and isinstance(search.this, exp.Column)):
            return
        found.append((search.this.name, search.expression))
    yield from found


def _bits(plan: Plan, feature: Feature, places: dict[E, int], words: list[int]) -> exp.Select:
    """One row per profile whose list has any of the values: ``profile``, and a bit for each it has."""
    rows = [(value.copy(), small(place // BITS), number(1 << place % BITS)) for value, place in places.items()]
    known = exp.values(rows, alias="k", columns=["value", "word", "bit"])
    items = named(exp.Explode(this=feature.expression.copy()), "value")
    every = select(named(plan.key(), "profile"), items).from_(table("people", "p"), copy=False)
    query = select(column("profile", "u")).from_(every.subquery("u", copy=False), copy=False)
    for word in words:
        here = exp.EQ(this=column("word", "k"), expression=small(word))
        bit = exp.Case(ifs=[exp.If(this=here, true=column("bit", "k"))], default=number(0))
        query = query.select(named(exp.BitwiseOrAgg(this=bit), f"w{word}"), copy=False)
    same = exp.EQ(this=column("value", "k"), expression=column("value", "u"))
    return query.join(known, on=same, copy=False).group_by(column("profile", "u"), copy=False)
