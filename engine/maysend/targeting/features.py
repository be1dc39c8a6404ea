"""What the conditions of all campaigns ask about a profile, collected while they compile.

A feature is a column ``f0``, ``f1``, … of the plan's base, whatever it is made of. Predicates speak of features only,
so that the same predicate runs over profiles and over one representative per bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from .. import draws, status
from ..addresses import normalized
from ..columns import HASH as HASH
from ..columns import LEDGER_EVENT, Catalog, ColumnType, Kind, Table
from ..conditions import Aggregate, Typed
from ..errors import SourceError
from ..hookspecs import ChannelType
from ..model import Channel, Project
from ..moments import Clock
from ..trees import cast, column, has, missing, named, select, table, written
from ..where import Condition, InList
from .standings import Standing
from .tables import event_table

E = exp.Expr
TRUTH, WORD = ColumnType("boolean"), ColumnType("other")


def value(table: Table, name: str, alias: str) -> E:
    """A column as conditions see it: a float that is no number is missing, a time has microseconds, text is text."""
    kind = table[name]
    first, *fields = kind.path or (name,)
    found: E = column(first, alias)
    for part in fields:
        found = exp.Dot(this=found, expression=exp.to_identifier(part, quoted=True))
    match kind.kind:
        case "float":
            return a_number(cast(found, "double"))
        case "timestamp":
            return cast(found, "timestamp")
        case "text":
            return cast(found, "text")
    return found


def a_number(real: E) -> E:
    """A double that is missing where it is NaN."""
    return exp.Case(ifs=[exp.If(this=exp.not_(exp.IsNan(this=real)), true=real.copy())])


def as_key(found: E, kind: Kind, key: Kind) -> E:
    """A column that names profiles, as the profile table's own key: keys are the same where they are the same text."""
    if key != "integer" or kind == "integer":
        return found if kind == key else cast(found, "text")
    number = exp.TryCast(this=cast(found, "text"), to=exp.DataType.build("bigint"))
    same = exp.EQ(this=cast(number.copy(), "text"), expression=cast(found.copy(), "text"))
    return exp.Case(ifs=[exp.If(this=same, true=number)])


@dataclass(frozen=True, slots=True)
class Feature:
    """A value per profile, as SQL over the base's joined tables. ``word`` marks a column of a standing's bits.

    ``span`` is (0, the largest) of a few whole numbers, none of them missing, where that is known beforehand. Where the
    roster has numbered a text's ``values`` (from 1 on; 0 where it is missing), ``numbered`` is the feature that has the
    numbers.
    """

    name: str
    expression: E
    type: ColumnType
    span: tuple[int, int] | None = None
    numbered: str | None = None
    values: Sequence[str] = ()

    @property
    def word(self) -> bool:
        return self.type is WORD

    @property
    def standing(self) -> tuple[str, str]:
        """Where a word comes from: the standing's alias, and the column there."""
        assert isinstance(self.expression, exp.Column)
        return self.expression.table, self.expression.name


@dataclass(slots=True)
class Features:
    """One plan's features: what to read, join and compute before any campaign is looked at."""

    catalog: Catalog
    clock: Clock
    key: str
    features: dict[str, Feature] = field(default_factory=dict)
    aggregates: dict[Aggregate, str] = field(default_factory=dict)
    standings: dict[tuple[str, str, tuple[tuple[str, bool], ...]], Standing] = field(default_factory=dict)
    addresses: dict[str, tuple[str, ChannelType]] = field(default_factory=dict)
    lists: dict[InList, str] = field(default_factory=dict)
    _by_sql: dict[str, Feature] = field(default_factory=dict)

    @property
    def key_kind(self) -> Kind:
        kind = (self.catalog.profiles or {})[self.key].kind
        return "integer" if kind == "integer" else "text"

    def add(self, expression: E, type_: ColumnType, span: tuple[int, int] | None = None) -> E:
        """The feature's column; the same expression is the same feature."""
        return column(self._added(expression, type_, span).name)

    def add_text(self, name: str, expression: E, type_: ColumnType) -> E:
        """A text column of the profiles (``name``), beside its numbers where the roster has them."""
        values = self.catalog.roster.texts.get(name, ()) if self.catalog.roster else ()
        if not values:
            return self.add(expression, type_)
        numbers = self._added(column(numbers_column(name), "p"), ColumnType("integer"), (0, len(values)))
        return column(self._added(expression, type_, None, numbers.name, values).name)

    def _added(self, expression: E, *of: Any) -> Feature:
        sql = written(expression)
        if sql not in self._by_sql:
            name = f"f{len(self.features)}"
            self._by_sql[sql] = self.features[name] = Feature(name, expression, *of)
        return self._by_sql[sql]

    def words_of(self, standing: Standing) -> dict[str, str]:
        """The features that are words of a standing: the word's column, and the feature's."""
        return {
            feature.standing[1]: feature.name
            for feature in self.features.values()
            if feature.word and feature.standing[0] == standing.alias
        }

    def people(self, project: Project) -> exp.Select:
        """The profiles (``p``), with each channel's normalized address, the key as text, and its hash."""
        profiles, roster = self.catalog.profiles or {}, self.catalog.roster
        drawn_by = project.profiles.drawn_by or self.key
        found: list[E] = [
            exp.Column(this=exp.Star(), table=exp.to_identifier("p")),
            named(cast(column(self.key, "p"), "text"), "key as text"),
            named(cast(column(drawn_by, "p"), "text"), "drawn by"),
        ]
        if not roster:
            found.append(named(draws.hashed(cast(column(drawn_by, "p"), "text")), HASH))
        wanted = {
            name: (cast(value(profiles, source, "p"), "text"), type_.address)
            for name, (source, type_) in self.addresses.items()
            if not roster or name not in roster.addresses
        }
        return select(*found).from_(normalized(table("profiles", "p"), wanted).subquery("p", copy=False), copy=False)

    def draw(self, salt: str) -> E:
        """The draw of a salt, over the one hash a row."""
        return self.add(draws.draw(column(HASH, "p"), salt), ColumnType("integer"))


@dataclass(frozen=True, slots=True)
class View:
    """One project's conditions asking one plan's features: the ``Scope`` of conditions.py."""

    project: Project
    types: Mapping[str, ChannelType]
    features: Features

    @property
    def clock(self) -> Clock:
        return self.features.clock

    def column(self, name: str) -> Typed:
        table = self.features.catalog.profiles or {}
        if name not in table:
            raise SourceError(f'{self.project.profiles.source.location}: has no column "{name}"')
        kept = self.features.catalog.roster and table[name].kind == "float" and not table[name].path
        found = column(name, "p") if kept else value(table, name, "p")
        return self.features.add_text(name, found, table[name]), table[name]

    def aggregate(self, aggregate: Aggregate) -> Typed:
        known = self.features.aggregates
        name = known.setdefault(aggregate, f"a{len(known)}")
        if aggregate.kept.event == LEDGER_EVENT:
            for channel in self.project.channels:
                self.address(channel)
        kind = self._aggregate_type(aggregate)
        found: E = column(name, aggregate_table(aggregate, name))
        if aggregate.function in ("count", "sum"):
            found = exp.Coalesce(this=found, expressions=[exp.Literal.number(0)])
        return self.features.add(a_number(found) if kind.kind == "float" else found, kind), kind

    def _aggregate_type(self, aggregate: Aggregate) -> ColumnType:
        event, _, kinds = event_table(self.project, self.features.catalog, aggregate.kept.event)
        match aggregate.function:
            case "count":
                return ColumnType("integer")
            case "sum":
                assert aggregate.column
                return ColumnType("float" if kinds[aggregate.column].kind == "float" else "decimal")
            case "most_often":
                assert aggregate.column
                return ColumnType(kinds[aggregate.column].kind)
        return ColumnType(kinds[event.at].kind)

    def in_group(self, group: str) -> E:
        standing = self.standing(self.project.groups[group].channel)
        return self._bit(standing, standing.slot(group))

    def in_groups(self, groups: Sequence[str]) -> list[tuple[E, int]]:
        """Words, and which of their bits say that the status of one of the groups is subscribed."""
        return self._bits(groups, by_answer=lambda _: False)

    def turned_on(self, groups: Sequence[str]) -> list[tuple[E, int]]:
        """Words, and which of their bits say that the status of one of the groups is subscribed by somebody's yes and
        not by default alone.

        Where no answer for the channel means subscribed, a channel that is unsubscribed was left by somebody, and then
        a group is subscribed only by a later yes: its status says the same, and no bit more is needed.
        """
        return self._bits(groups, by_answer=lambda standing: not standing.defaults[status.CHANNEL])

    def active_groups(self) -> Sequence[str]:
        return [group.name for group in self.project.active_groups()]

    def on_channel(self, channel: str) -> E:
        standing = self.standing(channel)
        return self._bit(standing, standing.slot())

    def suppressed(self, channel: str) -> E:
        standing = self.standing(channel)
        return self._bit(standing, standing.suppressed_slot())

    def reachable(self, channel: str) -> E:
        address = column(self.address(channel), "p")
        return self.features.add(exp.not_(missing(address)), TRUTH)

    def address(self, channel: str) -> str:
        """The base's column with the normalized address on a channel, NULL where it is missing or invalid."""
        declared = self.project.channels[channel]
        name = address_column(declared)
        self.features.addresses[name] = (declared.address, self.types[declared.type])
        return name

    def segment(self, name: str) -> Condition:
        return self.project.segments[name].where

    def listed(self, leaf: InList) -> E:
        lists = self.features.lists
        name = lists.setdefault(leaf, f"list {len(lists)}")
        if leaf.channel:
            self.address(leaf.channel)
        return self.features.add(exp.not_(missing(column("member", name))), TRUTH)

    def bucket(self, salt: str) -> E:
        return self.features.add(draws.bucket(draws.draw(column(HASH, "p"), salt)), ColumnType("integer"))

    def standing(self, channel: str) -> Standing:
        """The channel's answers under this project's defaults."""
        standings = self.features.standings
        address = self.address(channel)
        defaults = {group.name: group.default == "subscribed" for group in self.project.groups_of(channel)}
        defaults[status.CHANNEL] = self.types[self.project.channels[channel].type].default == "subscribed"
        roster = self.features.catalog.roster
        kept = roster.groups.get((channel, address)) if roster else None
        if kept is not None and not defaults.keys() <= {*kept, status.CHANNEL}:
            kept = None
        key = (channel, address, tuple(sorted(defaults.items())))
        return standings.setdefault(key, Standing(f"standing {len(standings)}", channel, address, defaults, kept))

    def _bit(self, standing: Standing, slot: tuple[int, int]) -> E:
        word, bit = slot
        return has(self._word(standing, word), bit)

    def _bits(self, groups: Sequence[str], by_answer: Callable[[Standing], bool]) -> list[tuple[E, int]]:
        found: dict[tuple[str, int], tuple[E, int]] = {}
        for group in groups:
            standing = self.standing(self.project.groups[group].channel)
            word, bit = standing.slot(group, by_answer=by_answer(standing))
            held, bits = found.get((standing.alias, word)) or (self._word(standing, word), 0)
            found[standing.alias, word] = held, bits | bit
        return list(found.values())

    def _word(self, standing: Standing, word: int) -> E:
        return self.features.add(column(f"w{word}", standing.alias), WORD)


def address_column(channel: Channel) -> str:
    return f"address {channel.address} as {channel.type}"


def shared_column(address: str) -> str:
    """The roster's column that says whether another profile has the same address; missing where there is none."""
    return f"{address}, shared"


def items_column(column: str, piece: int) -> str:
    """The roster's column of what is in a list, a bit a value; the first bit of the first says that there is a list."""
    return f"items {column} {piece}"


def numbers_column(column: str) -> str:
    """The roster's column of the numbers of a text's values."""
    return f"number of {column}"


def aggregate_table(aggregate: Aggregate, name: str) -> str:
    """The alias under which a plan joins an aggregate: one table for each event, but every favourite has its own."""
    return f"favourite {name}" if aggregate.function == "most_often" else f"event {aggregate.kept.event}"
