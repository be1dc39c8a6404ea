"""Lists that are searched for many values: looked into once, for a bit per value and profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from ..columns import ColumnType
from ..trees import (
    both,
    cast,
    column,
    columns_in,
    either,
    missing,
    named,
    number,
    outermost,
    select,
    small,
    table,
    written,
)
from .engine import Engine
from .features import Feature, items_column
from .lookups import Predicate
from .plan import Plan

E = exp.Expr
_MANY = 4
"""From so many values on that are looked for in one list."""

_PIECE = 14
"""The bits that are looked up by one code."""

_BITS = 4 * _PIECE


@dataclass(frozen=True, slots=True)
class _Contents:
    """What is looked for in a list: each value's place among the bits of ``pieces``; ``has_list`` says whether the
    first bit is for there being a list."""

    places: Mapping[E, int]
    pieces: Sequence[E]
    has_list: bool = False

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
            held = _of(self.pieces[piece], mask)
            tests.append(
                exp.EQ(this=held, expression=small(mask)) if every else exp.NEQ(this=held, expression=small(0))
            )
        if not tests:
            return exp.false()
        return both(tests) if every else either(tests)


def _of(piece: E, mask: int) -> E:
    """Some bits of a piece."""
    return exp.Paren(this=exp.BitwiseAnd(this=piece.copy(), expression=small(mask)))


def look_into_lists(plan: Plan, predicates: list[Predicate], engine: Engine) -> list[Predicate]:
    """The predicates, with tests of bits in place of searches; table ``contents <feature>`` has the bits."""
    wanted: dict[str, dict[E, int]] = {}
    asked = [columns_in(predicate.test) for predicate in predicates]
    lists = {name for names in asked for name in names if plan.features.features[name].type.kind == "list"}
    for predicate, names in zip(predicates, asked, strict=True):
        for node in outermost(predicate.test, exp.ArrayContains) if names & lists else ():
            for name, value in _searched(node.parent) if node.parent else ():
                places = wanted.setdefault(name, {})
                places.setdefault(value, len(places))
    known: dict[str, _Contents] = {}
    for name, places in wanted.items():
        feature = plan.features.features[name]
        if kept := _kept(plan, feature):
            known[name] = kept
        elif len(places) >= _MANY and _is_own(feature) and not plan.narrowed:
            engine.create(f"contents {name}", _bits(plan, feature, places))
            held = [column(f"b{piece}", f"contents {name}") for piece in range(pieces_of(len(places)))]
            known[name] = _Contents(
                places, [_piece(plan, exp.Coalesce(this=bits, expressions=[small(0)])) for bits in held]
            )

    def looked_up(node: E) -> E:
        if isinstance(node, exp.Is) and isinstance(node.this, exp.Column) and node.this.name in known:
            contents = known[node.this.name]
            return exp.EQ(this=_of(contents.pieces[0], 1), expression=small(0)) if contents.has_list else node
        searches = list(_searched(node))
        names = {name for name, _ in searches}
        if len(names) != 1 or not names <= known.keys():
            return node
        contents = known[names.pop()]
        return exp.Paren(this=contents.test([value for _, value in searches], every=isinstance(node, exp.And)))

    found = []
    for predicate, names in zip(predicates, asked, strict=True):
        if names & known.keys():
            test = predicate.test.transform(looked_up)
            predicate = replace(predicate, test=test, text=written(test))
        found.append(predicate)
    return found


def _kept(plan: Plan, feature: Feature) -> _Contents | None:
    """What the roster has of a list's values: all of them, those asked for or not."""
    roster = plan.catalog.roster
    if not roster or not isinstance(feature.expression, exp.Column) or not _is_own(feature):
        return None
    own = feature.expression.name
    if own not in roster.items:
        return None
    places: dict[E, int] = {exp.Literal.string(value): place for place, value in enumerate(roster.items[own], 1)}
    held = [column(items_column(own, piece), "p") for piece in range(pieces_of(len(places) + 1))]
    return _Contents(places, [_piece(plan, bits) for bits in held], has_list=True)


def pieces_of(bits: int) -> int:
    """How many pieces have so many bits."""
    return -(-bits // _PIECE)


def _is_own(feature: Feature) -> bool:
    """Whether a feature is made of the profiles' own columns."""
    return {part.table for part in feature.expression.find_all(exp.Column)} == {"p"}


def _piece(plan: Plan, bits: E) -> E:
    """The feature of some bits, as many as a code has, and none of them missing."""
    return plan.features.add(bits, ColumnType("integer"), (0, (1 << _PIECE) - 1))


def _in_pieces(words: Sequence[E], bits: int) -> Iterator[E]:
    """The ``bits`` of words, as small integers of a code's bits each."""
    for start in range(0, bits, _PIECE):
        word, bit = divmod(start, _BITS)
        shifted = exp.BitwiseRightShift(this=words[word].copy(), expression=small(bit)) if bit else words[word].copy()
        yield cast(
            exp.BitwiseAnd(this=exp.Paren(this=shifted), expression=small((1 << _PIECE) - 1)),
            "smallint",
        )


def items_of(source: E, values: Sequence[str]) -> list[E]:
    """What is in a list, in pieces: the first bit says that there is a list, the others which values it has."""
    bits = len(values) + 1
    return list(_in_pieces([_items(source, values, start) for start in range(0, bits, _BITS)], bits))


def _items(source: E, values: Sequence[str], start: int) -> E:
    """The word whose first bit is number ``start`` of all; 0 where there is no list."""
    own, before = values[max(start - 1, 0) : start + _BITS - 1], 1 if start else 0
    item = exp.to_identifier("item")
    place = exp.func("LIST_POSITION", exp.Array(expressions=[exp.Literal.string(one) for one in own]), item)
    shift = exp.paren(exp.Sub(this=place, expression=small(before)))
    found = exp.Case(
        ifs=[
            exp.If(
                this=exp.GT(this=place.copy(), expression=small(0)),
                true=exp.BitwiseLeftShift(this=number(1), expression=shift),
            )
        ],
        default=number(0),
    )
    bits: E = exp.func(
        "LIST_BIT_OR", exp.func("LIST_TRANSFORM", source.copy(), exp.Lambda(this=found, expressions=[item]))
    )
    bits = exp.Coalesce(this=bits, expressions=[number(0)])
    there = bits if start else exp.BitwiseOr(this=exp.Paren(this=bits), expression=number(1))
    return exp.Paren(this=exp.Case(ifs=[exp.If(this=missing(source.copy()), true=number(0))], default=there))


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


def _bits(plan: Plan, feature: Feature, places: dict[E, int]) -> exp.Select:
    """One row per profile whose list has any of the values: ``profile``, and ``b0``, ``b1``, … with a bit for each."""
    rows = [(value.copy(), small(place // _BITS), number(1 << place % _BITS)) for value, place in places.items()]
    known = exp.values(rows, alias="k", columns=["value", "word", "bit"])
    items = named(exp.Explode(this=feature.expression.copy()), "value")
    every = select(named(plan.key(), "profile"), items).from_(table("people", "p"), copy=False)
    query = select(column("profile", "u")).from_(every.subquery("u", copy=False), copy=False)
    words = [f"w{word}" for word in range(-(-len(places) // _BITS))]
    for word, name in enumerate(words):
        here = exp.EQ(this=column("word", "k"), expression=small(word))
        bit = exp.Case(ifs=[exp.If(this=here, true=column("bit", "k"))], default=number(0))
        query = query.select(named(exp.BitwiseOrAgg(this=bit), name), copy=False)
    same = exp.EQ(this=column("value", "k"), expression=column("value", "u"))
    grouped = query.join(known, on=same, copy=False).group_by(column("profile", "u"), copy=False)
    pieces = enumerate(_in_pieces([column(name) for name in words], len(places)))
    found = select(column("profile"), *(named(piece, f"b{place}") for place, piece in pieces))
    return found.from_(grouped.subquery("g", copy=False), copy=False)
