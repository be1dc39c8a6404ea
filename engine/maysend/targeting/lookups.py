"""Lookups: what each code of a feature, or each word of answers, lets pass, as words with a bit per campaign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod

from sqlglot import exp

from ..trees import cast, column, named, number, select, small, table, written

E = exp.Expr
Present = dict[str, list[int]]
"""Which words a lookup has: by how their columns begin, the numbers of the words."""

FULL = (1 << 63) - 1
WORD_BITS = 63


@dataclass(frozen=True, slots=True)
class Predicate:
    """A test that the campaigns of ``mask`` make at ``stage`` (an index into the reasons).

    Those of one ``layer`` are parts of a clause for each campaign: any of them must be true.
    """

    stage: int
    test: E
    mask: int
    layer: int | None = None

    @property
    def words(self) -> str:
        """How the columns of a lookup begin that hold such predicates' words."""
        return f"s{self.stage}" if self.layer is None else f"l{self.layer}"


@dataclass(slots=True)
class Code:
    """A column of codes: ``expression`` over the base, its representatives, and the predicates they are tried on.

    ``representatives`` selects ``key`` and the feature's column. ``values`` is set where the code comes from joining
    a table of values (``value``, ``code``) on ``feature``, as ``expression`` then says. ``many`` is above every code.
    """

    name: str
    expression: E
    representatives: exp.Query
    predicates: list[Predicate]
    feature: str = ""
    values: exp.Query | None = None
    key: Sequence[str] = ("code",)
    many: int = 0
    parts: Sequence[Code] = ()

    @property
    def sought(self) -> list[Code]:
        """Of the parts, or the code itself, those whose values are joined."""
        return [part for part in self.parts or (self,) if part.values]

    def lookup(self, full: Sequence[int]) -> tuple[exp.Select, Present]:
        """The lookup's query (``key``, then ``s<stage>_<word>`` and ``l<layer>_<word>``), and which words it has.

        ``full`` has each word's campaigns. A code that is in no audience is left out where every word says so.
        """
        tried = select(*map(column, self.key)).from_(self.representatives.subquery("r", copy=False), copy=False)
        names: dict[str, str] = {}
        texts = [written(predicate.test) for predicate in self.predicates]
        for predicate, sql in zip(self.predicates, texts, strict=True):
            if sql not in names:
                names[sql] = f"p{len(names)}"
                truth = exp.Coalesce(this=predicate.test, expressions=[exp.false()])
                tried.select(named(truth, names[sql]), copy=False)
        query = select(*map(column, self.key)).from_(tried.subquery("t", copy=False), copy=False)
        present: Present = {}
        for words in sorted({predicate.words for predicate in self.predicates}):
            any_of_them = words.startswith("l")
            for word, all_ in enumerate(full):
                told = [
                    _masked(column(names[sql]), mask, set_by=any_of_them)
                    for p, sql in zip(self.predicates, texts, strict=True)
                    if p.words == words and (mask := p.mask >> word * WORD_BITS & FULL)
                ]
                if told:
                    held = union(told)
                    if not any_of_them:
                        held = exp.BitwiseXor(this=exp.Paren(this=held), expression=number(all_))
                    query.select(named(held, f"{words}_{word}"), copy=False)
                    present.setdefault(words, []).append(word)
        return _in_some_audience(query, present, full), present

    def features(self) -> Iterator[str]:
        """The columns of the base that the code is made from."""
        yield from (found.name for found in self.expression.find_all(exp.Column) if not found.table)
        yield from (part.feature for part in self.sought)


def together(codes: Sequence[Code], most: int) -> Iterator[Code]:
    """The codes, several made one as long as there are at most so many of it: profiles then look up less often."""
    bins: list[list[Code]] = []
    for code in sorted(codes, key=lambda code: -code.many):
        fitting = (several for several in bins if prod(one.many for one in several) * code.many <= most)
        several = next(fitting, None)
        if several:
            several.append(code)
        else:
            bins.append([code])
    for first, *others in bins:
        yield reduce(_beside, others, first)


def _beside(one: Code, other: Code) -> Code:
    return Code(
        f"{one.name} {other.name}",
        _both(one.expression.copy(), other.expression.copy(), other.many),
        one.representatives,
        one.predicates + other.predicates,
        many=one.many * other.many,
        parts=[*(one.parts or (one,)), other],
    )


def _both(one: E, other: E, many: int) -> E:
    """Two codes as one, where there are so many of the other."""
    first, second = (cast(code, "integer") for code in (one, other))
    return exp.Add(this=exp.Mul(this=first, expression=small(many)), expression=second)


def lookup_together(whole: Code, lookups: Mapping[str, Present], full: Sequence[int]) -> tuple[exp.Select, Present]:
    """The lookup of a code of several parts out of theirs, whose words are ``lookups``."""
    first, *others = whole.parts
    code: E = column("code", first.name)
    for part in others:
        code = _both(code, column("code", part.name), part.many)
    query = select(named(code, "code"))
    present: Present = {}
    for words in sorted({words for part in whole.parts for words in lookups[part.name]}):
        for word in range(len(full)):
            name = f"{words}_{word}"
            told = [column(name, part.name) for part in whole.parts if word in lookups[part.name].get(words, ())]
            if told:
                query.select(named(union(told) if words.startswith("l") else conjunction(told), name), copy=False)
                present.setdefault(words, []).append(word)
    for part in whole.parts:
        own = table(f"lookup {part.name}", part.name)
        query = query.join(own, join_type="cross", copy=False) if part is not first else query.from_(own, copy=False)
    return _in_some_audience(query, present, full), present


def _in_some_audience(query: exp.Select, present: Present, full: Sequence[int]) -> exp.Select:
    """A lookup without the codes that are in no audience, where every word says so."""
    if len(present.get("s0", ())) < len(full):
        return query
    some = exp.or_(*(exp.NEQ(this=column(f"s0_{word}"), expression=small(0)) for word in range(len(full))))
    return select(exp.Star()).from_(query.subquery("l", copy=False), copy=False).where(some, copy=False)


def _masked(test: E, mask: int, *, set_by: bool) -> E:
    """The bits of a mask where a test is true (``set_by``), or where it is not."""
    then, otherwise = (number(mask), small(0)) if set_by else (small(0), number(mask))
    return exp.Case(ifs=[exp.If(this=test, true=then)], default=otherwise)


def conjunction(words: Sequence[E]) -> E:
    """Words combined by bitwise and, as a balanced tree."""
    return _balanced(exp.BitwiseAnd, words)


def union(words: Sequence[E]) -> E:
    """Words combined by bitwise or, as a balanced tree."""
    return _balanced(exp.BitwiseOr, words)


def _balanced(operator: type[exp.Binary], words: Sequence[E]) -> E:
    if len(words) == 1:
        return words[0]
    half = len(words) // 2
    left, right = (exp.Paren(this=_balanced(operator, part)) for part in (words[:half], words[half:]))
    return operator(this=left, expression=right)
