"""Recorded answers folded into words: for every profile with an answer on a channel, what it adds up to, a bit a group.

The rule itself is status.py's; here its masks are SQL. Profiles that nobody answered for have the word of defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

from sqlglot import exp

from .. import status
from ..trees import column, missing, named, number, select, table

E = exp.Expr
ANSWERS = "answers"
BITS = 62
_SUPPRESSED = (status.CHANNEL, "suppressed")
_STATUS, _ANSWER = "status", "answer"
Level = Literal["profile", "address"]
"""Who answers: a profile, or an address for every profile that shares it."""


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
    """One channel's words under one set of defaults. A bit is given out when a condition first asks for it.

    ``kept`` are the groups whose answers the roster has: then every group has its own bits there. preparing.py finds
    out ``by_address``, whether any address answered, and ``changed``, whether anybody did after the roster was written.
    """

    alias: str
    channel: str
    address: str
    defaults: Mapping[str, bool]
    kept: Sequence[str] | None = None
    by_address: bool = True
    changed: bool = False
    _slots: dict[tuple[str, str], int] = field(default_factory=dict)

    def slot(self, group: str = status.CHANNEL, *, by_answer: bool = False) -> tuple[int, int]:
        """Word and bit that say whether the group's (or the channel's) status is subscribed; with ``by_answer``,
        whether it is so by a recorded yes."""
        return self._slot((group, _ANSWER if by_answer else _STATUS))

    def suppressed_slot(self) -> tuple[int, int]:
        return self._slot(_SUPPRESSED)

    @property
    def words(self) -> list[int]:
        return sorted({index // BITS for index in self._slots.values()})

    def default(self, word: int) -> int:
        """The word of a profile without any answer."""
        return sum(bit for (group, kind), bit in self._in(word) if kind == _STATUS and self.defaults[group])

    def described(self) -> Iterator[tuple[str, int, int]]:
        """Each bit given out: what it says (a group, the channel, ``suppressed``), its word and its place there."""
        for (group, kind), index in self._slots.items():
            name = "suppressed" if kind == _SUPPRESSED[1] else group or self.channel
            yield f"{name} by answer" if kind == _ANSWER else name, index // BITS, index % BITS

    @property
    def changes(self) -> str:
        """The table of those whose answers changed after the roster was written: ``key``, and their masks."""
        return f"{self.alias} changes"

    def side(self, level: Level) -> str:
        """The table of the answers of one level, a row for each ``subject``, and its alias."""
        return f"{self.alias} {level}"

    def sides(self) -> list[tuple[Level, str]]:
        """The levels that answered, each with the word for many of them."""
        both: list[tuple[Level, str]] = [("profile", "profiles"), ("address", "addresses")]
        return both if self.by_address else both[:1]

    def fold(self, key: E, subject: E, by_address: bool) -> exp.Select:
        """Every profile of ``people`` (``p``) with an answer on the channel: ``key``, and ``w0``, ``w1``, …

        ``subject`` is a profile's answers' subject (of ``s``) as a key. ``by_address`` says whether any address
        answered; where none did, no address is looked at.
        """
        sides: list[tuple[Level, E, E]] = [("profile", key, subject)]
        if by_address:
            sides.append(("address", column(self.address, "p"), column("subject", "s")))
        query = select(named(key, "key")).from_(table("people", "p"), copy=False)
        for level, own, answered in sides:
            on = exp.EQ(this=own.copy(), expression=column("subject", self.side(level)))
            answers = self.subjects(level, answered).subquery(self.side(level), copy=False)
            query.join(answers, on=on, join_type="left", copy=False)
        for word in self.words:
            query.select(named(self.word(word, by_address), f"w{word}"), copy=False)
        answered_any = [exp.not_(missing(column("subject", self.side(level)))) for level, _, _ in sides]
        return query.where(exp.or_(*answered_any), copy=False)

    def _slot(self, slot: tuple[str, str]) -> tuple[int, int]:
        index = self._slots.setdefault(slot, len(self._slots) if self.kept is None else self._place(slot, self.kept))
        return index // BITS, 1 << index % BITS

    def _place(self, slot: tuple[str, str], kept: Sequence[str]) -> int:
        if slot == _SUPPRESSED:
            return 0
        group, kind = slot
        place = kept.index(group) + 1 if group != status.CHANNEL else 0
        return 1 + 2 * place + (kind == _ANSWER)

    def ask_for_all(self) -> None:
        """Give out every bit that a roster has."""
        self.suppressed_slot()
        for group in self.defaults:
            self.slot(group)
            self.slot(group, by_answer=True)

    def _in(self, word: int) -> Iterator[tuple[tuple[str, str], int]]:
        for slot, index in self._slots.items():
            if index // BITS == word:
                yield slot, 1 << index % BITS

    def subjects(self, level: Level, subject: E, answers: str = ANSWERS) -> exp.Select:
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
            select(named(subject, "subject"), *marks)
            .from_(table(answers, "s"), copy=False)
            .where(exp.EQ(this=column("channel"), expression=exp.Literal.string(self.channel)), copy=False)
            .where(exp.EQ(this=column("level"), expression=exp.Literal.string(level)), copy=False)
            .group_by(subject.copy())
        )

    def word(self, word: int, by_address: bool) -> E:
        """A profile's word: of the roster's columns (of ``p``) and what changed since, or of its sides."""
        yes, no = self._kept(word) if self.kept is not None else self._answered(word, by_address)
        whole = reduce(int.__or__, (bit for _, bit in self._in(word)), 0)
        return (status.subscribed(yes, no, Mask(number(self.default(word)))) & Mask(number(whole))).sql

    def folded(self) -> Iterator[E]:
        """What a profile's sides add up to, as the roster's columns."""
        for word in self.words:
            yes, no = self._answered(word, self.by_address)
            yield named(yes.sql, folded_column(self.channel, "yes", word))
            yield named(no.sql, folded_column(self.channel, "no", word))

    def _kept(self, word: int) -> tuple[Mask, Mask]:
        def kept(kind: Literal["yes", "no"]) -> Mask:
            name = folded_column(self.channel, kind, word)
            found: E = column(name, "p")
            if self.changed:
                found = exp.Coalesce(this=column(name, self.changes), expressions=[found])
            return Mask(found)

        return kept("yes"), kept("no")

    def _answered(self, word: int, by_address: bool) -> tuple[Mask, Mask]:
        """The (yes, no) of both sides; that an address is suppressed is a yes to just that."""

        def masks(level: Level) -> tuple[Mask, Mask]:
            names = (f"yes{word}", f"no{word}", "channel_no")
            yes, no, channel_no = (Mask(_or_zero(name, self.side(level))) for name in names)
            return status.covered(yes, no, channel_no)

        nobody = (Mask(number(0)), Mask(number(0)))
        yes, no = status.both_levels(masks("address") if by_address else nobody, masks("profile"))
        for slot, bit in self._in(word):
            if slot == _SUPPRESSED and by_address:
                flag = exp.Mul(this=_or_zero("suppressed", self.side("address")), expression=number(bit))
                yes = yes | Mask(exp.paren(flag))
        return yes, no


def folded_column(channel: str, kind: Literal["yes", "no"], word: int) -> str:
    """The roster's column of a channel's recorded yes or no, a bit a group."""
    return f"answers {channel} {kind}{word}"


def _or_zero(name: str, alias: str) -> E:
    return exp.Coalesce(this=column(name, alias), expressions=[number(0)])
