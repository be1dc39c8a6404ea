"""Lookups: what each code of a feature, or each word of answers, lets pass, as words with a bit per campaign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from ..trees import cast, column, named, select, small

E = exp.Expr
FULL = (1 << 63) - 1
WORD_BITS = 63


@dataclass(frozen=True, slots=True)
class Predicate:
    """A test that the campaigns of ``mask`` make at ``stage`` (an index into the reasons); ``text`` is what it is
    ``written`` as.

    Those of one ``layer`` are parts of a clause for each campaign: any of them must be true.
    """

    stage: int
    test: E
    text: str
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
    a table of values (``value``, ``code``) on ``feature``, as ``expression`` then says.
    """

    name: str
    expression: E
    representatives: exp.Query
    predicates: list[Predicate]
    feature: str = ""
    values: exp.Query | None = None
    key: Sequence[str] = ("code",)

    def lookup(self, full: Sequence[int]) -> tuple[exp.Select, dict[str, list[int]]]:
        """The lookup's query (``key``, then ``s<stage>_<word>`` and ``l<layer>_<word>``), and which words it has.

        ``full`` has each word's campaigns. A code that is in no audience is left out where every word says so.
        """
        tests = {predicate.text: predicate.test for predicate in self.predicates}
        names = {text: f"p{place}" for place, text in enumerate(tests)}
        truths = [
            named(exp.Coalesce(this=tests[text], expressions=[exp.false()]), name) for text, name in names.items()
        ]
        tried = select(*map(column, self.key), *truths)
        tried.from_(self.representatives.subquery("r", copy=False), copy=False)
        by_words: dict[str, list[Predicate]] = {}
        for predicate in self.predicates:
            by_words.setdefault(predicate.words, []).append(predicate)
        present: dict[str, list[int]] = {}
        columns: list[E] = []
        for words, predicates in sorted(by_words.items()):
            any_of_them = words.startswith("l")
            for word, all_ in enumerate(full):
                told = [
                    _masked(column(names[p.text]), mask, set_by=any_of_them)
                    for p in predicates
                    if (mask := p.mask >> word * WORD_BITS & FULL)
                ]
                if told:
                    held = union(told)
                    if not any_of_them:
                        held = exp.BitwiseXor(this=exp.Paren(this=held), expression=small(all_))
                    columns.append(named(cast(held, "bigint"), f"{words}_{word}"))
                    present.setdefault(words, []).append(word)
        query = select(*map(column, self.key), *columns).from_(tried.subquery("t", copy=False), copy=False)
        if len(present.get("s0", ())) == len(full):
            some = exp.or_(*(exp.NEQ(this=column(f"s0_{word}"), expression=small(0)) for word in range(len(full))))
            query = select(exp.Star()).from_(query.subquery("l", copy=False), copy=False).where(some, copy=False)
        return query, present

    def features(self) -> Iterator[str]:
        """The columns of the base that the code is made from."""
        yield from (found.name for found in self.expression.find_all(exp.Column) if not found.table)
        if self.feature:
            yield self.feature


def _masked(test: E, mask: int, *, set_by: bool) -> E:
    """The bits of a mask where a test is true (``set_by``), or where it is not."""
    then, otherwise = (small(mask), small(0)) if set_by else (small(0), small(mask))
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
