"""Recorded answers folded into words: for every profile with an answer on a channel, what it adds up to, a bit a group.

The rule itself is status.py's; here its masks are SQL. Profiles that nobody answered for have the word of defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce

from sqlglot import exp

from .. import status
from ..trees import column, missing, named, number, table

E = exp.Expr
ANSWERS = "answers"
BITS = 62
_SUPPRESSED = (status.CHANNEL, "suppressed")
_STATUS, _ANSWER = "status", "answer"


@dataclass(frozen=True, slots=True)
class Mask:
    """A SQL integer as the bits that status.py combines."""

    sql: E

    def __and__(self, other: Mask) -> Mask:
        return Mask(exp.paren(exp.BitwiseAnd(this=self.sql.copy(), expression=other.sql.copy())))

    def __or__(self, other: Mask) -> Mask:
        return Mask(exp.paren(exp.BitwiseOr(this=self.sql.copy(), expression=other.sql.copy())))

    def __invert__(self) -> Mask:
        return Mask(exp.BitwiseNot(this=exp.paren(self.sql.copy())))


@dataclass(slots=True)
class Standing:
    """One channel's words under one set of defaults. A bit is given out when a condition first asks for it."""

    alias: str
    channel: str
    address: str
    defaults: Mapping[str, bool]
    _slots: dict[tuple[str, str], int] = field(default_factory=dict)

    def slot(self, group: str = status.CHANNEL, *, by_answer: bool = False) -> tuple[int, int]:
        """Word and bit that say whether the group's (or the channel's) status is subscribed; with ``by_answer``,
        whether it is so by a recorded yes."""
        return self._slot((group, _ANSWER if by_answer else _STATUS))

    def suppressed_slot(self) -> tuple[int, int]:
        return self._slot(_SUPPRESSED)

    @property
    def words(self) -> range:
        return range((len(self._slots) + BITS - 1) // BITS)

    def default(self, word: int) -> int:
        """The word of a profile without any answer."""
        return sum(bit for (group, kind), bit in self._in(word) if kind == _STATUS and self.defaults[group])

    def described(self) -> Iterator[tuple[str, int, int]]:
        """Each bit given out: what it says (a group, the channel, ``suppressed``), its word and its place there."""
        for (group, kind), index in self._slots.items():
            name = "suppressed" if kind == _SUPPRESSED[1] else group or self.channel
            yield f"{name} by answer" if kind == _ANSWER else name, index // BITS, index % BITS

    def defaults_row(self) -> exp.Select:
        """The words of a profile that nobody answered for, under code 0."""
        words = [named(number(self.default(word)), f"w{word}") for word in self.words]
        return exp.select(named(number(0), "code"), *words)

    def representatives(self, features: Mapping[str, str]) -> exp.Select:
        """Every code there is, with its words as the features that ``features`` names by the word's column."""
        words = [named(column(word), feature) for word, feature in features.items()]
        return exp.select(column("code"), *words).from_(table(f"words {self.alias}"))

    def fold(self, key: E, subject: E, by_address: bool) -> exp.Select:
        """Every profile of ``people`` (``p``) with an answer on the channel: ``key``, and ``w0``, ``w1``, …

        ``subject`` is a profile's answers' subject (of ``s``) as a key. ``by_address`` says whether any address
        answered; where none did, no address is looked at.
        """
        sides = [("b", "profile", key, subject)]
        if by_address:
            sides.append(("a", "address", column(self.address, "p"), column("subject", "s")))
        query = exp.select(named(key, "key")).from_(table("people", "p"), copy=False)
        for alias, level, own, answered in sides:
            on = exp.EQ(this=own.copy(), expression=column("subject", alias))
            query.join(self._subjects(level, answered).subquery(alias, copy=False), on=on, join_type="left", copy=False)
        for word in self.words:
            query.select(named(self._word(word, by_address), f"w{word}"), copy=False)
        answers = [exp.not_(missing(column("subject", side[0]))) for side in sides]
        return query.where(exp.or_(*answers), copy=False)

    def _slot(self, slot: tuple[str, str]) -> tuple[int, int]:
        index = self._slots.setdefault(slot, len(self._slots))
        return index // BITS, 1 << index % BITS

    def _in(self, word: int) -> Iterator[tuple[tuple[str, str], int]]:
        for slot, index in self._slots.items():
            if index // BITS == word:
                yield slot, 1 << index % BITS

    def _subjects(self, level: str, subject: E) -> exp.Select:
        """One row per subject of a level: masks of the yes and no in force, whether the channel is a no, suppressed."""
        group, answer = column("group"), column("answer")
        marks: list[E] = []
        for word in self.words:
            bits: dict[str, int] = {}
            for (name, kind), bit in self._in(word):
                if kind != "suppressed":
                    bits[name] = bits.get(name, 0) | bit
            mark = (
                exp.Case(
                    this=group.copy(),
                    ifs=[exp.If(this=exp.Literal.string(name), true=number(bit)) for name, bit in bits.items()],
                    default=number(0),
                )
                if bits
                else number(0)
            )
            for name, wanted in ((f"yes{word}", 1), (f"no{word}", -1)):
                given = exp.EQ(
                    this=answer.copy(),
                    expression=exp.Literal.number(wanted) if wanted > 0 else exp.Neg(this=exp.Literal.number(1)),
                )
                marked = exp.Case(ifs=[exp.If(this=given, true=mark.copy())], default=number(0))
                marks.append(named(exp.BitwiseOrAgg(this=marked), name))
        whole = exp.and_(
            exp.EQ(this=group.copy(), expression=exp.Literal.string(status.CHANNEL)),
            exp.LT(this=answer.copy(), expression=exp.Literal.number(0)),
        )
        marks.append(
            named(
                exp.BitwiseOrAgg(this=exp.Case(ifs=[exp.If(this=whole, true=number(-1))], default=number(0))),
                "channel_no",
            )
        )
        suppressed = exp.Case(ifs=[exp.If(this=column("suppressed"), true=number(1))], default=number(0))
        marks.append(named(exp.Max(this=suppressed), "suppressed"))
        return (
            exp.select(named(subject, "subject"), *marks)
            .from_(table(ANSWERS, "s"))
            .where(exp.EQ(this=column("channel"), expression=exp.Literal.string(self.channel)))
            .where(exp.EQ(this=column("level"), expression=exp.Literal.string(level)))
            .group_by(subject.copy())
        )

    def _word(self, word: int, by_address: bool) -> E:
        def masks(alias: str) -> tuple[Mask, Mask]:
            yes, no, channel_no = (Mask(_or_zero(name, alias)) for name in (f"yes{word}", f"no{word}", "channel_no"))
            return status.covered(yes, no, channel_no)

        nobody = (Mask(number(0)), Mask(number(0)))
        yes, no = status.both_levels(masks("a") if by_address else nobody, masks("b"))
        whole = reduce(int.__or__, (bit for slot, bit in self._in(word) if slot != _SUPPRESSED), 0)
        found = (status.subscribed(yes, no, Mask(number(self.default(word)))) & Mask(number(whole))).sql
        for slot, bit in self._in(word):
            if slot == _SUPPRESSED and by_address:
                flag = exp.Mul(this=_or_zero("suppressed", "a"), expression=number(bit))
                found = exp.BitwiseOr(this=found, expression=exp.paren(flag))
        return found


def _or_zero(name: str, alias: str) -> E:
    return exp.Coalesce(this=column(name, alias), expressions=[number(0)])
