"""One plan for a block of campaigns of one channel: what it asks about every profile, and the tables it asks it of.

The queries that decide are in deciding.py; waterfall, audience and explain are reads of those (reads.py).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from ..addresses import normalized
from ..columns import LEDGER_EVENT, Catalog
from ..conditions import Aggregate
from ..hookspecs import ChannelType
from ..model import Campaign, Project
from ..moments import Clock
from ..trees import cast, column, named, select, table, written
from .behaviour import Counter, Events
from .features import HASH, Feature, Features, View, aggregate_table, as_key, shared_column, value
from .lookups import FULL, WORD_BITS, Code, Predicate
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
SHARED = "shared"


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
    (whether a few profiles alone are asked), ``needs_address`` (whether addresses will be read), and ``counters``
    (where each count is, by table and name).
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
    needs_address: bool = field(init=False, default=True)
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
                key = (REASONS.index(reason), written(test))
                found[key] = (test, found.get(key, (test, 0))[1] | 1 << index)
        self.predicates = [Predicate(stage, test, text, mask) for (stage, text), (test, mask) in found.items()]
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
    def addressed(self) -> bool:
        """Whether the roster has the campaigns' addresses, and says which are shared."""
        return bool(self.catalog.roster and self.address in self.catalog.roster.addresses)

    @property
    def carries_address(self) -> bool:
        """Whether decisions have the address beside the key; where the roster has it, only if it will be read."""
        return self.needs_address or not self.addressed

    @property
    def reads_ledger(self) -> bool:
        """Whether conditions ask for the ledger's events: then relation ``ledger`` must be there."""
        return any(aggregate.kept.event == LEDGER_EVENT for aggregate in self.features.aggregates)

    @property
    def joins(self) -> bool:
        """Whether answers or events are joined to the profiles, and not all that is asked of them is in the roster."""
        roster = self.catalog.roster
        folded = all(standing.kept is not None for standing in self.features.standings.values())
        return not (roster and roster.current and folded) or bool(self.features.aggregates)

    # What is joined to every profile ---------------------------------------------------------------------------------

    def people(self) -> exp.Select:
        return self.features.people(self.asked[0].project)

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
        return self.as_key(column(self.features.key, "p"))

    def as_key(self, key: E) -> E:
        """A profile's key, given as the profile table has it, as other tables name it."""
        return as_key(key, self._key_type(), self.features.key_kind)

    def _key_type(self) -> Any:
        return (self.catalog.profiles or {})[self.features.key].kind

    # The query -------------------------------------------------------------------------------------------------------

    def base(self, wanted: Container[str] | None = None) -> exp.Select:
        """One row per profile: ``key``, the addresses (the campaigns' own also ``as found``), ``drawn by``, its hash,
        ``shared`` where the roster says it, and every feature, or those ``wanted``."""
        source, _ = self.features.addresses[self.address]
        as_found = cast(value(self.catalog.profiles or {}, source, "p"), "text")
        found: list[E] = [named(column(self.features.key, "p"), "key"), named(as_found, "as found")]
        found += [named(column(name, "p"), name) for name in (*self.features.addresses, "drawn by", HASH)]
        if self.addressed:
            found.append(named(column(shared_column(self.address), "p"), SHARED))
        joined: dict[str, E] = {}
        for feature in self.features.features.values():
            if wanted is None or feature.name in wanted:
                expression = self.stored(feature)
                if feature.word:
                    standing, word = self._standing(feature)
                    expression = standing.word(word, standing.by_address)
                    joined |= self.answers_of(standing, self.key(), column(standing.address, "p"))
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

    def answers_of(self, standing: Standing, key: E, address: E) -> dict[str, E]:
        """The tables that a standing's words need beside the profiles, and on what a profile's key and address join
        them: its sides, or what changed since the roster."""
        if standing.kept is None:
            return self.sides_of(standing, key, address)
        changes = standing.changes
        return {changes: exp.EQ(this=column("key", changes), expression=key)} if standing.changed else {}

    def sides_of(self, standing: Standing, key: E, address: E) -> dict[str, E]:
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
