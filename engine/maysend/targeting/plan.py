"""One plan for a block of campaigns of one channel: what it asks about every profile, and the query that decides.

The decisions are words: for every profile and stage, a bit per campaign that is still set where the profile passed this
stage and all before. Waterfall, audience and explain are reads of it (reads.py).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlglot import exp

from .. import draws
from ..addresses import normalized
from ..columns import LEDGER_EVENT, Catalog
from ..conditions import Aggregate
from ..hookspecs import ChannelType
from ..model import Campaign, Project
from ..moments import Clock
from ..trees import both, cast, column, has, missing, named, number, select, small, table
from .behaviour import Counter, Events
from .coding import FULL, WORD_BITS, Code, Predicate, conjunction, union
from .features import Feature, Features, View, aggregate_table, as_key, value
from .stages import REASONS, predicates
from .standings import Level, Standing
from .tables import asked_for, event_table, ledger_events

E = exp.Expr
BLOCK = 8 * WORD_BITS
AUDIENCE, NO_ADDRESS, GROUP = (
    REASONS.index(reason) for reason in ("not_in_audience", "no_address", "group_unsubscribed")
)
DUPLICATE, FREQUENCY, CONTROL, CAPPED = (
    REASONS.index(reason) for reason in ("duplicate_address", "frequency_capped", "control_group", "over_target_cap")
)
LOOKED_UP = (AUDIENCE, FREQUENCY)
"""The stages that are looked up by what a profile is, whatever it answered."""
_HASH = "hash of key"


class Engine(Protocol):
    """What a plan needs of a backend. Relations it may read: ``profiles``, ``answers``, ``events <name>``."""

    def create(self, name: str, query: exp.Query, *, few: bool = False) -> None:
        """Keep a query's rows as a temporary table, replacing one of that name; ``few`` are not worth a good plan."""

    def view(self, name: str, query: exp.Query) -> None:
        """Give a query a name."""

    def rows(self, query: exp.Query) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A campaign to decide for, in the project that declares it."""

    project: Project
    campaign: Campaign


@dataclass(slots=True)
class Plan:
    """At most ``BLOCK`` campaigns whose channel, addresses and defaults are the same (see ``blocks``).

    ``drawn`` are the predicates of control groups. The rest is filled in by preparing.py: ``codes``, their ``layers``
    (the campaigns of each) and ``lookups``, ``repeated`` (whether addresses are shared), ``caps``, ``narrowed``
    (whether a few profiles alone are asked), and ``counters`` (where each count is, by table and name).
    """

    asked: Sequence[Asked]
    types: Mapping[str, ChannelType]
    catalog: Catalog
    clock: Clock
    features: Features = field(init=False)
    standing: Standing = field(init=False)
    address: str = field(init=False)
    predicates: list[Predicate] = field(init=False)
    drawn: list[Predicate] = field(init=False, default_factory=list)
    codes: list[Code] = field(init=False, default_factory=list)
    layers: list[int] = field(init=False, default_factory=list)
    lookups: dict[str, dict[str, list[int]]] = field(init=False, default_factory=dict)
    repeated: bool = field(init=False, default=False)
    narrowed: bool = field(init=False, default=False)
    counters: dict[str, dict[str, Counter]] = field(init=False, default_factory=dict)
    caps: dict[int, E] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        assert len(self.asked) <= BLOCK
        self.features = Features(self.catalog, self.clock, self.asked[0].project.profiles.key)
        self.standing = self.view(0).standing(self.asked[0].campaign.channel)
        self.address = self.standing.address
        found: dict[tuple[int, str], tuple[E, int]] = {}
        for index, asked in enumerate(self.asked):
            view = self.view(index)
            assert view.standing(asked.campaign.channel) is self.standing
            for reason, test in predicates(asked.campaign, view):
                key = (REASONS.index(reason), test.sql())
                found[key] = (test, found.get(key, (test, 0))[1] | 1 << index)
        self.predicates = [Predicate(stage, test, mask) for (stage, _), (test, mask) in found.items()]
        self.drawn = [predicate for predicate in self.predicates if predicate.stage == CONTROL]

    def view(self, index: int) -> View:
        """What the conditions of one campaign are compiled through."""
        return View(self.asked[index].project, self.types, self.features)

    @property
    def words(self) -> int:
        return (len(self.asked) + WORD_BITS - 1) // WORD_BITS

    @property
    def full(self) -> list[int]:
        """Each word with the bits of all its campaigns."""
        return [((1 << len(self.asked)) - 1) >> word * WORD_BITS & FULL for word in range(self.words)]

    def bit(self, index: int) -> tuple[int, int]:
        return index // WORD_BITS, 1 << index % WORD_BITS

    @property
    def reads_ledger(self) -> bool:
        """Whether conditions ask for the ledger's events: then relation ``ledger`` must be there."""
        return any(aggregate.kept.event == LEDGER_EVENT for aggregate in self.features.aggregates)

    # What is joined to every profile ---------------------------------------------------------------------------------

    def people(self) -> exp.Select:
        """The profiles (``p``), with each channel's normalized address, the key as text, and its hash."""
        profiles = self.catalog.profiles or {}
        drawn_by = self.asked[0].project.profiles.drawn_by or self.features.key
        found: list[E] = [
            exp.Column(this=exp.Star(), table=exp.to_identifier("p")),
            named(cast(column(self.features.key, "p"), "text"), "key as text"),
            named(cast(column(drawn_by, "p"), "text"), "drawn by"),
            named(draws.hashed(cast(column(drawn_by, "p"), "text")), _HASH),
        ]
        wanted = {
            name: (cast(value(profiles, source, "p"), "text"), type_.address)
            for name, (source, type_) in self.features.addresses.items()
        }
        return select(*found).from_(normalized(table("profiles", "p"), wanted).subquery("p", copy=False), copy=False)

    def events_of_ledger(self) -> exp.Query:
        view = self.view(0)
        return ledger_events([(channel, view.address(channel)) for channel in view.project.channels])

    def favourites(self) -> Iterator[tuple[str, exp.Query]]:
        """A table per most frequent value, under the alias that its feature uses."""
        for aggregate, name in self.features.aggregates.items():
            if aggregate.function == "most_often":
                yield aggregate_table(aggregate, name), self.events(aggregate.kept.event).favourite(aggregate, name)

    def measured(self) -> dict[str, dict[Aggregate, str]]:
        """By event, what is measured over all its events that are kept, and the name of each."""
        found: dict[str, dict[Aggregate, str]] = {}
        for aggregate, name in self.features.aggregates.items():
            if aggregate.function != "most_often":
                found.setdefault(aggregate.kept.event, {})[aggregate] = name
        return found

    def lists(self) -> Iterator[tuple[str, exp.Query]]:
        """The members of each list; relation ``source <alias>`` holds its file's column as ``member``."""
        for leaf, name in self.features.lists.items():
            members = select(named(cast(column("member"), "text"), "member")).distinct(copy=False)
            query = members.from_(table(f"source {name}"), copy=False)
            if leaf.channel:
                _, type_ = self.features.addresses[self.view(0).address(leaf.channel)]
                address = normalized(
                    query.subquery("m", copy=False), {"address": (column("member", "m"), type_.address)}
                )
                query = (
                    select(named(column("address"), "member"))
                    .distinct(copy=False)
                    .from_(address.subquery("a", copy=False), copy=False)
                )
            yield name, query

    def events(self, event: str) -> Events:
        """An event's table, as its conditions see it."""
        declared, relation, kinds = event_table(self.asked[0].project, self.catalog, event)
        relation = asked_for(relation) if self.narrowed else relation
        return Events(declared, relation, kinds, self.clock, self.features.key_kind)

    def key(self) -> E:
        """A profile's key (of ``p``) as other tables name it."""
        return self._as_key(column(self.features.key, "p"))

    def _as_key(self, key: E) -> E:
        return as_key(key, self._key_type(), self.features.key_kind)

    def _key_type(self) -> Any:
        return (self.catalog.profiles or {})[self.features.key].kind

    # The query -------------------------------------------------------------------------------------------------------

    def base(self, wanted: Container[str] | None = None) -> exp.Select:
        """One row per profile: ``key``, the addresses (the campaigns' own also ``as found``), ``drawn by``, and every
        feature, or those ``wanted``."""
        source, _ = self.features.addresses[self.address]
        as_found = cast(value(self.catalog.profiles or {}, source, "p"), "text")
        found: list[E] = [named(column(self.features.key, "p"), "key"), named(as_found, "as found")]
        found += [named(column(name, "p"), name) for name in (*self.features.addresses, "drawn by")]
        joined: dict[str, E] = {}
        for feature in self.features.features.values():
            if wanted is None or feature.name in wanted:
                expression = self.stored(feature)
                if feature.word:
                    standing, word = self._standing(feature)
                    expression = standing.word(word, standing.by_address)
                    joined |= self._answers(standing, self.key(), column(standing.address, "p"))
                for name in {part.table for part in feature.expression.find_all(exp.Column)} - {"p", ""}:
                    if not feature.word:
                        joined[name] = self._on(name)
                found.append(named(expression, feature.name))
        query = select(*found).from_(table("people", "p"), copy=False)
        for name, on in sorted(joined.items()):
            query.join(table(name, name), on=on, join_type="left", copy=False)
        return query

    def stored(self, feature: Feature) -> E:
        """A feature's expression over the tables as they are kept: a count is one of several in a column."""
        found = feature.expression.copy()
        for part in list(found.find_all(exp.Column)):
            if counter := self.counters.get(part.table, {}).get(part.name):
                part.replace(counter.read(part.table))
        return found

    def _standing(self, feature: Feature) -> tuple[Standing, int]:
        """What a word is of, and which word it is."""
        alias, word = feature.standing
        standing = next(standing for standing in self.features.standings.values() if standing.alias == alias)
        return standing, int(word.removeprefix("w"))

    def _answers(self, standing: Standing, key: E, address: E) -> dict[str, E]:
        """The tables of a standing's sides, and on what a profile's key and address join them."""
        sides: list[tuple[Level, E]] = [("profile", key)]
        if standing.by_address:
            sides.append(("address", address))
        return {
            standing.side(level): exp.EQ(this=column("subject", standing.side(level)), expression=own)
            for level, own in sides
        }

    def _on(self, name: str) -> E:
        if name.startswith("list "):
            leaf = next(leaf for leaf, alias in self.features.lists.items() if alias == name)
            subject = self.view(0).address(leaf.channel) if leaf.channel else "key as text"
            return exp.EQ(this=column("member", name), expression=column(subject, "p"))
        return exp.EQ(this=column("profile", name), expression=self.key())

    def passed(self) -> exp.Select:
        """One row per profile in the audience of any campaign: ``key``, the address, ``w0``, ``w1``, … (the words of
        its answers; -1 without an address), its hash, and ``o<stage>_<word>`` for the stages that are looked up: the
        campaigns it passes there.
        """
        asked = {name for code in self.codes for name in code.features()}
        answers = self.features.words_of(self.standing)
        early = bool(asked & set(answers.values()))
        words = {
            f"o{stage}_{word}": conjunction(tests)
            for stage in LOOKED_UP
            for word in range(self.words)
            if (tests := self._looked_up(stage, word))
        }
        kept = ("key", "as found", "drawn by", *(answers.values() if early else ()))
        audience = self._in_any_audience(asked | set(kept), kept, words).subquery("r", copy=False)
        _, type_ = self.features.addresses[self.address]
        reached = normalized(audience, {self.address: (column("as found", "r"), type_.address)})
        found = select(column("key", "d"), column(self.address, "d"))
        for word in self.standing.words:
            held = column(answers[f"w{word}"], "d") if early else self.standing.word(word, self.standing.by_address)
            no_address = exp.If(this=missing(column(self.address, "d")), true=small(-1))
            found.select(named(exp.Case(ifs=[no_address], default=held), f"w{word}"), copy=False)
        if self.drawn or self._draws():
            found.select(named(draws.hashed(column("drawn by", "d")), _HASH), copy=False)
        found.select(*(column(name, "d") for name in words), copy=False)
        found.from_(reached.subquery("d", copy=False), copy=False)
        if not early:
            sides = self._answers(self.standing, self._as_key(column("key", "d")), column(self.address, "d"))
            for name, on in sides.items():
                found.join(table(name, name), on=on, join_type="left", copy=False)
        return found

    def _in_any_audience(self, asked: Container[str], kept: Sequence[str], words: Mapping[str, E]) -> exp.Select:
        """The profiles that pass ``words`` of the audience, with those and the columns ``kept`` of the base."""
        coded = select(
            *map(column, kept),
            *(named(code.expression.copy(), code.name) for code in self.codes),
        ).from_(self.base(asked).subquery("b", copy=False), copy=False)
        for code in self.codes:
            if code.values:
                same = exp.EQ(this=column("value", f"v{code.name}"), expression=column(code.feature, "b"))
                coded.join(table(f"values {code.name}", f"v{code.name}"), on=same, join_type="left", copy=False)
        looked_up = select(
            exp.Column(this=exp.Star(), table=exp.to_identifier("k")),
            *(named(passes, name) for name, passes in words.items()),
        ).from_(coded.subquery("k", copy=False), copy=False)
        for code in self.codes:
            same = exp.EQ(this=column("code", code.name), expression=column(code.name, "k"))
            looked_up.join(table(f"lookup {code.name}", code.name), on=same, copy=False)
        found = select(exp.Star()).from_(looked_up.subquery("o", copy=False), copy=False)
        audience = [f"o{AUDIENCE}_{word}" for word in range(self.words)]
        if all(name in words for name in audience):
            found.where(exp.or_(*(exp.NEQ(this=column(name), expression=small(0)) for name in audience)), copy=False)
        return found

    def _draws(self) -> dict[str, str]:
        """The salts of target caps, by the name of the column of their draws."""
        caps = [asked.campaign.target_cap for asked in self.asked]
        return {f"draw {cap.salt}": cap.salt for cap in caps if cap and cap.when_exceeded == "sample"}

    def _looked_up(self, stage: int, word: int) -> list[E]:
        """The words of the lookups that must all have a campaign's bit."""
        found: list[E] = self._columns(f"s{stage}", word)
        for layer, mask in enumerate(self.layers if stage == AUDIENCE else ()):
            if parts := self._columns(f"l{layer}", word):
                unasked = self.full[word] & ~(mask >> word * WORD_BITS)
                found.append(union([*parts, number(unasked)]) if unasked else union(parts))
        return found

    def _columns(self, words: str, word: int) -> list[E]:
        return [column(f"{words}_{word}", c.name) for c in self.codes if word in self.lookups[c.name].get(words, ())]

    def looks_up(self, stage: int, word: int) -> bool:
        """Whether ``passed`` has a word for a stage: any campaign of the word asks something there."""
        return bool(self._looked_up(stage, word))

    def decisions(self, until: int = CAPPED) -> exp.Select:
        """Of the profiles of ``passed``: ``key``, the address, ``draw <salt>`` of target caps, and ``s<stage>_<word>``
        up to a stage.

        Reads the tables ``passed``, ``status``, and ``before`` where addresses repeat.
        """
        drawn = [named(draws.draw(column(_HASH, "d"), salt), name) for name, salt in self._draws().items()]
        hashed = [column(_HASH, "d")] if self.drawn and until >= CONTROL else []
        found: list[E] = [column("key", "d"), column(self.address, "d"), *hashed, *drawn]
        for word in range(self.words):
            so_far: list[E] = [number(self.full[word])]
            for stage in range(min(until, FREQUENCY) + 1):
                if test := self._passes(stage, word):
                    so_far.append(test)
                passed = conjunction([part.copy() for part in so_far])
                found.append(named(passed, f"s{stage}_{word}"))
        query = select(*found).from_(table("passed", "d"), copy=False)
        query.join(table("status", "status"), on=self.same_answers("status", "d"), copy=False)
        if self.repeated and until >= DUPLICATE:
            twin = exp.EQ(this=column("key", "before"), expression=column("key", "d"))
            query.join(table("before", "before"), on=twin, join_type="left", copy=False)
        for stage in range(CONTROL, until + 1):
            query = select(exp.Star(), *(self._later(stage, word) for word in range(self.words))).from_(
                query.subquery("d", copy=False), copy=False
            )
        return query

    def same_answers(self, one: str, other: str) -> E:
        """That two tables have the same words of answers."""
        same = [
            exp.EQ(this=column(f"w{word}", one), expression=column(f"w{word}", other)) for word in self.standing.words
        ]
        return both(list(same))

    def _passes(self, stage: int, word: int) -> E | None:
        """The campaigns that a profile passes at one stage up to the frequency caps; None: all of them."""
        if NO_ADDRESS <= stage <= GROUP:
            return column(f"s{stage}_{word}", "status")
        if stage == DUPLICATE:
            if not self.repeated:
                return None
            taken = exp.Coalesce(this=column(f"d{word}", "before"), expressions=[small(0)])
            return exp.BitwiseNot(this=exp.paren(taken))
        return column(f"o{stage}_{word}", "d") if self.looks_up(stage, word) else None

    def _later(self, stage: int, word: int) -> E:
        """The word of a stage that loses few: what was passed before, without the campaigns lost there."""
        before = column(f"s{stage - 1}_{word}")
        lost = [
            exp.Case(
                ifs=[exp.If(this=exp.and_(has(before.copy(), mask), exp.not_(test)), true=number(mask))],
                default=small(0),
            )
            for test, mask in self._losing(stage, word)
        ]
        kept = exp.BitwiseAnd(this=before, expression=exp.BitwiseNot(this=exp.paren(union(lost)))) if lost else before
        return named(kept, f"s{stage}_{word}")

    def _losing(self, stage: int, word: int) -> list[tuple[E, int]]:
        """The tests of control groups, or target caps, and which campaigns of a word they decide for."""
        if stage == CONTROL:
            tests = [(self._over_hash(predicate.test), predicate.mask) for predicate in self.drawn]
            return [(test, mask >> word * WORD_BITS & FULL) for test, mask in tests if mask >> word * WORD_BITS & FULL]
        return [(cap.copy(), bit) for index, cap in self.caps.items() for at, bit in [self.bit(index)] if at == word]

    def _over_hash(self, test: E) -> E:
        """A test of draws over the hash they are made of."""
        found = test.copy()
        for asked in list(found.find_all(exp.Column)):
            draw = self.features.features[asked.name].expression.copy()
            for part in draw.find_all(exp.Column):
                part.set("table", None)
            asked.replace(draw)
        return found

    def changes(self, stage: int, word: int) -> bool:
        """Whether any campaign of a word can lose somebody at a stage."""
        return bool(self._losing(stage, word)) if stage >= CONTROL else self._passes(stage, word) is not None


def blocks(
    asked: Sequence[Asked], types: Mapping[str, ChannelType], catalog: Catalog, clock: Clock
) -> Iterator[list[Asked]]:
    """The campaigns in blocks that one plan can take: of one channel, with one set of defaults."""
    together: dict[Any, list[Asked]] = {}
    for one in asked:
        view = View(one.project, types, Features(catalog, clock, one.project.profiles.key))
        standing = view.standing(one.campaign.channel)
        key = (standing.channel, standing.address, tuple(sorted(standing.defaults.items())))
        together.setdefault(key, []).append(one)
    for several in together.values():
        for start in range(0, len(several), BLOCK):
            yield several[start : start + BLOCK]
