"""Lists that are searched for many values: looked into once, for a bit per value and profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from ..columns import ColumnType
from ..trees import both, column, either, missing, named, number, select, small, table
from .features import Feature, items_column
from .lookups import Predicate
from .plan import Engine, Plan

E = exp.Expr
_MANY = 4
"""From so many values on that are looked for in one list."""

_PIECE = 10
"""The bits that are looked up by one code."""

_BITS = 6 * _PIECE


@dataclass(frozen=True, slots=True)
class _Contents:
    """What is looked for in a list: each value's place among the bits of ``pieces``, and what is missing where the list
    is, if that is not the list."""

    places: Mapping[E, int]
    pieces: Sequence[E]
    missing: E | None = None

    def test(self, values: list[E], *, every: bool) -> E:
        """Whether any value is in the list, or every one."""
        masks: dict[int, int] = {}
        there = [value for value in values if value in self.places]
        if every and len(there) < len(values):
            return exp.false()
        for value in there:
            piece, bit = divmod(self.places[value], _PIECE)
            masks[piece] = masks.get(piece, 0) | 1 << bit
        tests: list[E] = []
        for piece, mask in masks.items():
            held = self.pieces[piece].copy()
            if every:
                bits = exp.Paren(this=exp.BitwiseAnd(this=held, expression=small(mask)))
                tests.append(exp.EQ(this=bits, expression=small(mask)))
            else:
                bits = exp.Paren(this=exp.BitwiseAnd(this=held, expression=small(mask)))
                tests.append(exp.NEQ(this=bits, expression=small(0)))
        if not tests:
            return exp.false()
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
        if kept := _kept(plan, feature):
            known[name] = kept
        elif len(places) >= _MANY and _is_own(feature) and not plan.narrowed:
            words = list(range(words_of(len(places))))
            engine.create(f"contents {name}", _bits(plan, feature, places, words))
            held = [column(f"w{word}", f"contents {name}") for word in words]
            known[name] = _Contents(places, _pieces(plan, held, len(places)))

    def looked_up(node: E) -> E:
        if isinstance(node, exp.Is) and isinstance(node.this, exp.Column) and node.this.name in known:
            instead = known[node.this.name].missing
            return exp.Is(this=instead.copy(), expression=node.expression) if instead else node
        searches = list(_searched(node))
        names = {name for name, _ in searches}
        if len(names) != 1 or not names <= known.keys():
            return node
        contents = known[names.pop()]
        return exp.Paren(this=contents.test([value for _, value in searches], every=isinstance(node, exp.And)))

    return [replace(one, test=one.test.transform(looked_up)) if known else one for one in predicates]


def _kept(plan: Plan, feature: Feature) -> _Contents | None:
    """What the roster has of a list's values: all of them, those asked for or not."""
    roster = plan.catalog.roster
    if not roster or not isinstance(feature.expression, exp.Column) or not _is_own(feature):
        return None
    own = feature.expression.name
    if own not in roster.items:
        return None
    places: dict[E, int] = {exp.Literal.string(value): place for place, value in enumerate(roster.items[own])}
    words = [column(items_column(own, word), "p") for word in range(words_of(len(places)))]
    there = plan.features.add(words[0].copy(), ColumnType("integer"))
    return _Contents(places, _pieces(plan, words, len(places)), there)


def words_of(values: int) -> int:
    """How many words have a bit for each value; one at least."""
    return max(values - 1, 0) // _BITS + 1


def _is_own(feature: Feature) -> bool:
    """Whether a feature is made of the profiles' own columns."""
    return {part.table for part in feature.expression.find_all(exp.Column)} == {"p"}


def _pieces(plan: Plan, words: Sequence[E], bits: int) -> list[E]:
    """Words of bits as features that have as many of them as a code has."""
    found = []
    for start in range(0, bits, _PIECE):
        word, bit = divmod(start, _BITS)
        held = exp.Coalesce(this=words[word].copy(), expressions=[number(0)])
        shifted = exp.BitwiseRightShift(this=held, expression=small(bit)) if bit else held
        piece = exp.BitwiseAnd(this=exp.Paren(this=shifted), expression=small((1 << _PIECE) - 1))
        found.append(plan.features.add(piece, ColumnType("integer"), (0, (1 << _PIECE) - 1)))
    return found


def items_of(source: E, values: Sequence[str], word: int) -> E:
    """A list's values as the bits of a word, NULL where the list is missing."""
    own = values[word * _BITS : (word + 1) * _BITS]
    item = exp.to_identifier("item")
    place = exp.func("LIST_POSITION", exp.Array(expressions=[exp.Literal.string(one) for one in own]), item)
    bit = exp.BitwiseLeftShift(this=number(1), expression=exp.paren(exp.Sub(this=place, expression=small(1))))
    found = exp.Case(ifs=[exp.If(this=exp.GT(this=place.copy(), expression=small(0)), true=bit)], default=number(0))
    bits = exp.func("LIST_BIT_OR", exp.func("LIST_TRANSFORM", source, exp.Lambda(this=found, expressions=[item])))
    there = exp.If(this=exp.not_(missing(source.copy())), true=exp.Coalesce(this=bits, expressions=[number(0)]))
    return exp.Case(ifs=[there])


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
    rows = [(value.copy(), small(place // _BITS), number(1 << place % _BITS)) for value, place in places.items()]
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
