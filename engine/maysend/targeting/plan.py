"""One plan for a block of campaigns of one channel: what it asks about every profile, and the query that decides.

The decisions are words: for every profile and stage, a bit per campaign that is still set where the profile passed this
stage and all before. Waterfall, audience and explain are reads of it (reads.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlglot import exp

from .. import draws
from ..addresses import normalized
from ..columns import LEDGER_EVENT, Catalog
from ..hookspecs import ChannelType
from ..model import Campaign, Project
from ..moments import Clock
from ..trees import cast, column, missing, named, number, table
from .behaviour import Events
from .coding import FULL, WORD_BITS, Code, Predicate, conjunction
from .features import Feature, Features, View, as_key, value
from .stages import REASONS, predicates
from .standings import Standing
from .tables import event_table, ledger_events

E = exp.Expr
BLOCK = 2 * WORD_BITS
AUDIENCE, NO_ADDRESS, GROUP = (
    REASONS.index(reason) for reason in ("not_in_audience", "no_address", "group_unsubscribed")
)
DUPLICATE, CAPPED = REASONS.index("duplicate_address"), REASONS.index("over_target_cap")
LATER = tuple(REASONS.index(reason) for reason in ("frequency_capped", "control_group"))
"""The stages behind the status that are looked up like the audience."""


class Engine(Protocol):
    """What a plan needs of a backend. Relations it may read: ``profiles``, ``answers``, ``events <name>``."""

    def create(self, name: str, query: exp.Query) -> None:
        """Keep a query's rows as a temporary table, replacing one of that name."""

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

    ``codes`` and ``lookups``, ``repeated`` (whether addresses are shared) and ``caps`` are filled in by preparing.py.
    """

    asked: Sequence[Asked]
    types: Mapping[str, ChannelType]
    catalog: Catalog
    clock: Clock
    features: Features = field(init=False)
    standing: Standing = field(init=False)
    address: str = field(init=False)
    predicates: list[Predicate] = field(init=False)
    draws: dict[int, str] = field(init=False, default_factory=dict)
    codes: list[Code] = field(init=False, default_factory=list)
    lookups: dict[str, dict[int, list[int]]] = field(init=False, default_factory=dict)
    repeated: bool = field(init=False, default=False)
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
            if (cap := asked.campaign.target_cap) and cap.when_exceeded == "sample":
                self.draws[index] = self.features.draw(cap.salt).name
        self.predicates = [Predicate(stage, test, mask) for (stage, _), (test, mask) in found.items()]

    def view(self, index: int) -> View:
        """What the conditions of one campaign are compiled through."""
        return View(self.asked[index].project, self.types, self.features)

    @property
    def words(self) -> int:
        return (len(self.asked) + WORD_BITS - 1) // WORD_BITS

    def full(self, word: int) -> int:
        """The bits of the campaigns there are in a word."""
        return ((1 << len(self.asked)) - 1) >> word * WORD_BITS & FULL

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
        key_text = cast(column(self.features.key, "p"), "text")
        found: list[E] = [
            exp.Column(this=exp.Star(), table=exp.to_identifier("p")),
            named(key_text, "key as text"),
            named(draws.hashed(key_text.copy()), "hash of key"),
        ]
        wanted = {
            name: (cast(value(profiles, source, "p"), "text"), type_.address)
            for name, (source, type_) in self.features.addresses.items()
        }
        return exp.select(*found).from_(normalized(table("profiles", "p"), wanted).subquery("p"), copy=False)

    def events_of_ledger(self) -> exp.Query:
        view = self.view(0)
        return ledger_events([(channel, view.address(channel)) for channel in view.project.channels])

    def behaviour(self) -> Iterator[tuple[str, exp.Query]]:
        """A table per event, and one per favourite, under the aliases that features use."""
        by_event: dict[str, dict[Any, str]] = {}
        for aggregate, name in self.features.aggregates.items():
            if aggregate.function == "most_often":
                yield f"favourite {name}", self._events(aggregate.kept.event).favourite(aggregate, name)
            else:
                by_event.setdefault(aggregate.kept.event, {})[aggregate] = name
        for event, wanted in by_event.items():
            yield f"event {event}", self._events(event).per_profile(wanted)

    def lists(self) -> Iterator[tuple[str, exp.Query]]:
        """The members of each list; relation ``source <alias>`` holds its file's column as ``member``."""
        for leaf, name in self.features.lists.items():
            members = exp.select(named(cast(column("member"), "text"), "member")).distinct()
            query = members.from_(table(f"source {name}"))
            if leaf.channel:
                _, type_ = self.features.addresses[self.view(0).address(leaf.channel)]
                address = normalized(query.subquery("m"), {"address": (column("member", "m"), type_.address)})
                query = exp.select(named(column("address"), "member")).distinct().from_(address.subquery("a"))
            yield name, query

    def _events(self, event: str) -> Events:
        declared, relation, kinds = event_table(self.asked[0].project, self.catalog, event)
        return Events(declared, relation, kinds, self.clock, self.features.key_kind)

    def key(self) -> E:
        """A profile's key (of ``p``) as other tables name it."""
        return as_key(column(self.features.key, "p"), self._key_type(), self.features.key_kind)

    def _key_type(self) -> Any:
        return (self.catalog.profiles or {})[self.features.key].kind

    # The query -------------------------------------------------------------------------------------------------------

    def base(self) -> exp.Select:
        """One row per profile: ``key``, the addresses, each standing's ``code <alias>``, and every feature."""
        found: list[E] = [named(column(self.features.key, "p"), "key")]
        found += [named(column(name, "p"), name) for name in self.features.addresses]
        for standing in self.features.standings.values():
            code = exp.Coalesce(this=column("code", standing.alias), expressions=[number(0)])
            found.append(named(code, f"code {standing.alias}"))
        joined = {standing.alias for standing in self.features.standings.values()}
        for feature in self.features.features.values():
            expression = feature.expression
            joined |= {part.table for part in expression.find_all(exp.Column)}
            if feature.word:
                expression = exp.Coalesce(this=expression.copy(), expressions=[self._default_word(feature)])
            found.append(named(expression, feature.name))
        query = exp.select(*found).from_(table("people", "p"), copy=False)
        for name in sorted(joined - {"p", ""}):
            query.join(table(name, name), on=self._on(name), join_type="left", copy=False)
        return query

    def _default_word(self, feature: Feature) -> E:
        """The word of a profile that nobody answered for."""
        alias, word = feature.standing
        standing = next(standing for standing in self.features.standings.values() if standing.alias == alias)
        return number(standing.default(int(word.removeprefix("w"))))

    def _on(self, name: str) -> E:
        if name.startswith("standing "):
            return exp.EQ(this=column("key", name), expression=self.key())
        if name.startswith("list "):
            leaf = next(leaf for leaf, alias in self.features.lists.items() if alias == name)
            subject = self.view(0).address(leaf.channel) if leaf.channel else "key as text"
            return exp.EQ(this=column("member", name), expression=column(subject, "p"))
        return exp.EQ(this=column("profile", name), expression=self.key())

    def passed(self) -> exp.Select:
        """One row per profile: ``key``, the address, ``standing`` (the code of its answers; -1 without an address), the
        draws of target caps, and ``o<stage>_<word>`` for the stages that are looked up: the campaigns it passes there.
        """
        kept = dict.fromkeys(self.draws.values())
        reached = missing(column(self.address))
        standing = exp.Case(ifs=[exp.If(this=reached, true=number(-1))], default=column(f"code {self.standing.alias}"))
        coded = exp.select(
            column("key"),
            column(self.address),
            named(standing, "standing"),
            *map(column, kept),
            *(named(code.expression.copy(), code.name) for code in self.codes),
        ).from_(self.base().subquery("b", copy=False), copy=False)
        for code in self.codes:
            if code.values:
                same = exp.EQ(this=column("value", f"v{code.name}"), expression=column(code.feature, "b"))
                coded.join(table(f"values {code.name}", f"v{code.name}"), on=same, join_type="left", copy=False)
        looked_up = [
            named(conjunction(tests), f"o{stage}_{word}")
            for stage in (AUDIENCE, *LATER)
            for word in range(self.words)
            if (tests := self._tests(stage, word))
        ]
        names = ("key", self.address, "standing", *kept)
        query = exp.select(*(column(name, "k") for name in names), *looked_up)
        query.from_(coded.subquery("k", copy=False), copy=False)
        for code in self.codes:
            same = exp.EQ(this=column("code", code.name), expression=column(code.name, "k"))
            query.join(table(f"lookup {code.name}", code.name), on=same, copy=False)
        return query

    def _tests(self, stage: int, word: int) -> list[E]:
        return [column(f"s{stage}_{word}", c.name) for c in self.codes if word in self.lookups[c.name].get(stage, ())]

    def looks_up(self, stage: int, word: int) -> bool:
        """Whether ``passed`` has a word for a stage: any campaign of the word asks something there."""
        return bool(self._tests(stage, word))

    def decisions(self, until: int = CAPPED) -> exp.Select:
        """``key``, the address, the draws of target caps, and ``s<stage>_<word>`` up to a stage.

        Reads the tables ``passed``, ``status``, and ``before`` where addresses repeat.
        """
        found: list[E] = [
            column("key", "d"),
            column(self.address, "d"),
            *(column(name, "d") for name in dict.fromkeys(self.draws.values())),
        ]
        for word in range(self.words):
            so_far: list[E] = [number(self.full(word))]
            for stage in range(until + 1):
                if test := self._passes(stage, word):
                    so_far.append(test)
                passed = conjunction([part.copy() for part in so_far])
                found.append(named(passed, f"s{stage}_{word}"))
        same = exp.EQ(this=column("code", "status"), expression=column("standing", "d"))
        query = exp.select(*found).from_(table("passed", "d")).join(table("status", "status"), on=same, copy=False)
        if self.repeated and until >= DUPLICATE:
            twin = exp.EQ(this=column("key", "before"), expression=column("key", "d"))
            query.join(table("before", "before"), on=twin, join_type="left", copy=False)
        return query

    def _passes(self, stage: int, word: int) -> E | None:
        """The campaigns that a profile passes at one stage, whatever it did at those before; None: all."""
        if NO_ADDRESS <= stage <= GROUP:
            return column(f"s{stage}_{word}", "status")
        if stage == DUPLICATE:
            if not self.repeated:
                return None
            taken = exp.Coalesce(this=column(f"d{word}", "before"), expressions=[number(0)])
            return exp.BitwiseNot(this=exp.paren(taken))
        if stage == CAPPED:
            tests: list[E] = []
            for index, cap in self.caps.items():
                at, bit = self.bit(index)
                if at == word:
                    kept = exp.If(this=cap.copy(), true=number(FULL))
                    tests.append(exp.Case(ifs=[kept], default=number(FULL & ~bit)))
            return conjunction(tests) if tests else None
        return column(f"o{stage}_{word}", "d") if self.looks_up(stage, word) else None

    def changes(self, stage: int, word: int) -> bool:
        """Whether any campaign of a word can lose somebody at a stage."""
        return self._passes(stage, word) is not None


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
