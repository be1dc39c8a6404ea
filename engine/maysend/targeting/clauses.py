"""Predicates taken apart until every part looks at one feature: all of some clauses, and any part of each.

A part can then be looked up by the code of its feature, and a clause is the union of its parts' words. What is unknown
counts as false in the end, so a part that is unknown is as good as false, once every ``not`` stands before a part.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from itertools import product
from math import prod
from typing import Literal

from sqlglot import exp

from ..trees import written
from .coding import is_coded
from .features import Feature
from .lookups import Predicate

E = exp.Expr
Wanted = Literal["true", "false", "not true", "not false"]
Clause = tuple[E, ...]
_MOST = 24
"""A predicate of more clauses than this stays whole."""

_OTHER: Mapping[Wanted, Wanted] = {
    "true": "false",
    "false": "true",
    "not true": "not false",
    "not false": "not true",
}
_ALL: frozenset[tuple[type[E], Wanted]] = frozenset(
    ((exp.And, "true"), (exp.And, "not false"), (exp.Or, "false"), (exp.Or, "not true"))
)


def split(
    predicates: Iterable[Predicate], features: Mapping[str, Feature], listed: Container[str]
) -> tuple[list[Predicate], list[int]]:
    """The parts of all predicates, and the campaigns of each layer.

    A part without a layer must be true for itself. Of the parts of one layer that are asked of a campaign, any must be
    true: no campaign has two clauses in one layer.
    """
    found: dict[tuple[int, str, int | None], Predicate] = {}
    layers: list[int] = []

    def ask(of: Predicate, test: E, layer: int | None = None) -> None:
        text = of.text if test is of.test else written(test)
        key = (of.stage, text, layer)
        before = found[key].mask if key in found else 0
        found[key] = Predicate(of.stage, test, text, of.mask | before, layer)

    known: dict[int, bool] = {}

    def whole(test: E) -> bool:
        if id(test) not in known:
            known[id(test)] = is_coded(test, features, listed)
        return known[id(test)]

    for predicate in predicates:
        for clause in clauses(predicate.test, whole):
            if len(clause) == 1:
                ask(predicate, clause[0])
                continue
            layer = next((n for n, mask in enumerate(layers) if not mask & predicate.mask), len(layers))
            layers[layer : layer + 1] = [predicate.mask | (layers[layer] if layer < len(layers) else 0)]
            for test in clause:
                ask(predicate, test, layer)
    return list(found.values()), layers


def clauses(test: E, whole: Callable[[E], bool]) -> list[Clause]:
    """The clauses that must all be true where a test is true, each of the parts of which any must be.

    ``whole`` says of a part that it need not be taken apart.
    """
    return _clauses(test, "true", whole) or [(test,)]


def _clauses(test: E, wanted: Wanted, whole: Callable[[E], bool]) -> list[Clause] | None:
    """None where there are too many."""
    match test:
        case exp.Paren():
            return _clauses(test.this, wanted, whole)
        case exp.Not():
            return _clauses(test.this, _OTHER[wanted], whole)
        case _ if _is_known(test):
            # What is made known is true or false: where it is not the one, it is the other.
            return _clauses(test.this, "true" if wanted in ("true", "not false") else "not true", whole)
        case exp.Case() if not whole(test) and (guarded := _guarded(test)):
            # It is unknown where the value is missing: neither true nor false there, but both not true and not false.
            there, inner = guarded
            parts = [_clauses(there, "true" if wanted in ("true", "false") else "false", whole)]
            return _joined([*parts, _clauses(inner, wanted, whole)], every=wanted in ("true", "false"))
        case exp.And() | exp.Or() if not whole(test):
            parts = [_clauses(part, wanted, whole) for part in test.flatten()]
            return _joined(parts, every=(type(test), wanted) in _ALL)
    return [(_part(test, wanted),)]


def _joined(parts: list[list[Clause] | None], *, every: bool) -> list[Clause] | None:
    """The clauses of every part, or of any part."""
    several = [part for part in parts if part is not None]
    if len(several) < len(parts) or (not every and prod(map(len, several)) > _MOST):
        return None
    if every:
        found = [clause for part in several for clause in part]
    else:
        found = [tuple(one for clause in chosen for one in clause) for chosen in product(*several)]
    return found if len(found) <= _MOST else None


def _guarded(test: exp.Case) -> tuple[E, E] | None:
    """Of a test that is unknown where a value is missing: that it is there (not NULL, or a bit that says so), and what
    is asked of it then."""
    ifs = test.args["ifs"]
    if test.this or test.args.get("default") or len(ifs) != 1 or not isinstance(ifs[0].this, exp.Not):
        return None
    missing = ifs[0].this.this
    asked = isinstance(missing, exp.Is) or (isinstance(missing, exp.EQ) and isinstance(missing.this, exp.Paren))
    return (ifs[0].this, ifs[0].args["true"]) if asked else None


def _is_known(test: E) -> bool:
    return isinstance(test, exp.Coalesce) and test.expressions == [exp.false()]


def _part(test: E, wanted: Wanted) -> E:
    """A test that is true exactly where the test is as wanted."""
    match wanted:
        case "true":
            return test
        case "false":
            return exp.Not(this=exp.Paren(this=test.copy()))
        case "not true":
            return exp.Not(this=exp.Coalesce(this=test.copy(), expressions=[exp.false()]))
    return exp.Coalesce(this=test.copy(), expressions=[exp.true()])
