"""One plan for a block of campaigns: the tables it prepares, and the query that decides for every profile.

The decisions are words: for every profile and stage, a bit per campaign that is still set where the profile passed this
stage and all before. Waterfall, audience and explain are reads of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlglot import exp

from .. import draws
from ..addresses import normalized
from ..columns import Catalog, Table
from ..hookspecs import ChannelType
from ..model import Campaign, EventTable, Project
from ..moments import Clock
from . import behaviour
from .coding import FULL, WORD_BITS, Code, Predicate, codes, conjunction
from .features import Feature, Features, View, value
from .names import column, table
from .stages import REASONS, predicates
from .standings import number
from .tables import LEDGER_EVENT, event_table, ledger_events

E = exp.Expr
BLOCK = 2 * WORD_BITS
_MOST_WORDS = 100_000
_DUPLICATE = REASONS.index("duplicate_address")
_CAPPED = REASONS.index("over_target_cap")


class Engine(Protocol):
    """What a plan needs of a backend. Relations it may read: ``profiles``, ``event <name>``, ``answers``."""

    def create(self, name: str, query: exp.Query) -> None:
        """Keep a query's rows as a temporary table, replacing one of that name."""

    def rows(self, query: exp.Query) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A campaign to decide for, in the project that declares it."""

    project: Project
    campaign: Campaign


@dataclass(slots=True)
class Plan:
    """A block of at most ``BLOCK`` campaigns. ``prepare`` makes the temporary tables that ``decisions`` reads."""

    asked: Sequence[Asked]
    types: Mapping[str, ChannelType]
    catalog: Catalog
    clock: Clock
    features: Features = field(init=False)
    predicates: list[Predicate] = field(init=False)
    codes: list[Code] = field(init=False, default_factory=list)
    lookups: dict[str, dict[int, list[int]]] = field(init=False, default_factory=dict)
    shared: set[str] = field(init=False, default_factory=set)
    draws: dict[int, str] = field(init=False, default_factory=dict)
    caps: dict[int, E] = field(init=False, default_factory=dict)
    kept: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        assert len(self.asked) <= BLOCK
        self.features = Features(self.catalog, self.clock, self.asked[0].project.profiles.key)
        found: dict[tuple[int, str], tuple[E, int]] = {}
        for index, (asked, view) in enumerate(zip(self.asked, self.views(), strict=True)):
            for reason, test in predicates(asked.campaign, view):
                key = (REASONS.index(reason), test.sql())
                found[key] = (test, found.get(key, (test, 0))[1] | 1 << index)
            if (cap := asked.campaign.target_cap) and cap.when_exceeded == "sample":
                self.draws[index] = self.features.draw(cap.salt).name
        self.predicates = [Predicate(stage, test, mask) for (stage, _), (test, mask) in found.items()]

    def views(self) -> list[View]:
        return [View(asked.project, self.types, self.features) for asked in self.asked]

    @property
    def words(self) -> int:
        return (len(self.asked) + WORD_BITS - 1) // WORD_BITS

    def full(self, word: int) -> int:
        """The bits of the campaigns there are in a word."""
        return ((1 << len(self.asked)) - 1) >> word * WORD_BITS & FULL

    def bit(self, index: int) -> tuple[int, int]:
        return index // WORD_BITS, 1 << index % WORD_BITS

    # Preparation -----------------------------------------------------------------------------------------------------

    def prepare(self, engine: Engine, *, only: E | None = None, keep: bool = False) -> None:
        """Make the tables that ``decisions`` reads.

        ``only`` restricts the profiles (``p``), for one explanation; ``keep`` lands the decisions, for several reads.
        """
        self.people(engine, only)
        if self.reads_ledger:
            view = self.views()[0]
            channels = [(channel, view.address(channel)) for channel in view.project.channels]
            engine.create(f"events {LEDGER_EVENT}", ledger_events(channels))
        for name, query in self.joined().items():
            engine.create(name, query)
        few = self._status_words(engine)
        self.codes = codes(self.predicates, self.features.features, few)
        for code in self.codes:
            if code.values:
                engine.create(f"values {code.name}", code.values)
            query, self.lookups[code.name] = code.lookup(self.words)
            engine.create(f"lookup {code.name}", query)
        self._duplicates(engine)
        if keep or any(asked.campaign.target_cap for asked in self.asked):
            engine.create("passed", self.passed())
            self.kept = True
        self._target_caps(engine)

    def people(self, engine: Engine, only: E | None) -> None:
        """``people``: the profiles, with each channel's normalized address, the key as text, and its hash."""
        profiles = self.catalog.profiles or {}
        key_text = exp.cast(column(self.features.key, "p"), "text")
        star = exp.Column(this=exp.Star(), table=exp.to_identifier("p"))
        query = exp.select(
            star,
            exp.alias_(key_text, "key_text", quoted=True),
            exp.alias_(draws.hashed(key_text.copy()), "h", quoted=True),
        ).from_(table("profiles", "p"))
        for name, (source, type_) in self.features.addresses.items():
            address = normalized(type_.address, exp.cast(value(profiles, source, "p"), "text"))
            query = query.select(exp.alias_(address, name, quoted=True))
        engine.create("people", query.where(only) if only else query)

    def joined(self) -> dict[str, exp.Query]:
        """The tables joined to every profile, by the alias that features use."""
        found: dict[str, exp.Query] = {}
        by_event: dict[str, dict[Any, str]] = {}
        for aggregate, name in self.features.aggregates.items():
            event = aggregate.kept.event
            if aggregate.function == "most_often":
                found[f"favourite {name}"] = behaviour.favourite(*self._events(event), aggregate, name, self.clock)
            else:
                by_event.setdefault(event, {})[aggregate] = name
        for event, wanted in by_event.items():
            found[f"event {event}"] = behaviour.per_profile(*self._events(event), wanted, self.clock)
        for standing in self.features.standings.values():
            found[standing.alias] = standing.fold(self.features.key)
        for leaf, name in self.features.lists.items():
            member = exp.alias_(exp.cast(column("member"), "text"), "member", quoted=True)
            if leaf.channel:
                _, type_ = self.features.addresses[self._list_address(leaf.channel)]
                member = exp.alias_(
                    normalized(type_.address, exp.cast(column("member"), "text")), "member", quoted=True
                )
            found[name] = exp.select(member).distinct().from_(table(f"source {name}"))
        return found

    def _events(self, event: str) -> tuple[EventTable, str, Table]:
        return event_table(self.asked[0].project, self.catalog, event)

    @property
    def reads_ledger(self) -> bool:
        """Whether conditions ask for the ledger's events: then relation ``ledger`` must be there."""
        return any(aggregate.kept.event == LEDGER_EVENT for aggregate in self.features.aggregates)

    def _list_address(self, channel: str) -> str:
        return View(self.asked[0].project, self.types, self.features).address(channel)

    def _status_words(self, engine: Engine) -> set[str]:
        """Keep the distinct words of every standing; name the features whose words are few enough for a lookup."""
        few: set[str] = set()
        for feature in self.features.features.values():
            if not feature.word:
                continue
            alias, word = feature.standing
            default = exp.select(exp.alias_(self._default_word(feature), "word", quoted=True))
            found = exp.select(exp.alias_(column(word), "word", quoted=True)).from_(table(alias))
            name = f"{alias} {word}"
            engine.create(name, exp.union(found, default, distinct=True))
            ((count,),) = engine.rows(exp.select(exp.Count(this=exp.Star())).from_(table(name)))
            if count <= _MOST_WORDS:
                few.add(feature.name)
        return few

    def _default_word(self, feature: Feature) -> E:
        """The word of a profile that nobody answered for."""
        alias, word = feature.standing
        standing = next(standing for standing in self.features.standings.values() if standing.alias == alias)
        return number(standing.default(int(word.removeprefix("w"))))

    def _duplicates(self, engine: Engine) -> None:
        """For each channel with an address that several profiles have: the words of those with a smaller key."""
        for name, mask in self._channels().items():
            repeated = exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1))
            several = (
                exp.select(column(name))
                .from_(table("people"))
                .where(exp.not_(exp.Is(this=column(name), expression=exp.null())))
            )
            engine.create(f"shared {name}", several.group_by(column(name)).having(repeated))
            ((count,),) = engine.rows(exp.select(exp.Count(this=exp.Star())).from_(table(f"shared {name}")))
            if not count:
                continue
            last = _DUPLICATE - 1
            passed = self.passed(until=last).where(
                exp.In(this=column(name), query=exp.select(column(name)).from_(table(f"shared {name}")).subquery())
            )
            before = [
                exp.alias_(
                    exp.Coalesce(
                        this=exp.Window(
                            this=exp.BitwiseOrAgg(
                                this=exp.BitwiseAnd(
                                    this=column(f"s{last}_{word}"), expression=number(mask >> word * WORD_BITS & FULL)
                                )
                            ),
                            partition_by=[column(name)],
                            order=exp.Order(expressions=[exp.Ordered(this=column("key"), desc=False)]),
                            spec=exp.WindowSpec(
                                kind="ROWS",
                                start="UNBOUNDED",
                                start_side="PRECEDING",
                                end=exp.Literal.number(1),
                                end_side="PRECEDING",
                            ),
                        ),
                        expressions=[number(0)],
                    ),
                    f"d{word}",
                    quoted=True,
                )
                for word in range(self.words)
            ]
            engine.create(f"before {name}", exp.select(column("key"), *before).from_(passed.subquery("w")))
            self.shared.add(name)

    def _target_caps(self, engine: Engine) -> None:
        """Where more passed than a campaign's cap lets: keep the first of the draw (ties by key), or nobody."""
        for index, asked in enumerate(self.asked):
            if not (cap := asked.campaign.target_cap):
                continue
            word, bit = self.bit(index)
            bit_set = exp.NEQ(
                this=exp.paren(exp.BitwiseAnd(this=column(f"s{_CAPPED - 1}_{word}"), expression=number(bit))),
                expression=number(0),
            )
            passed = exp.select().from_(table("passed")).where(bit_set)
            ((count,),) = engine.rows(passed.select(exp.Count(this=exp.Star())))
            if count <= cap.at_most:
                continue
            if cap.when_exceeded == "abort":
                self.caps[index] = exp.false()
                continue
            drawn = column(self.draws[index])
            order = (
                passed.select(drawn, column("key")).order_by(drawn.copy(), column("key")).limit(1).offset(cap.at_most)
            )
            ((draw, key),) = engine.rows(order)
            first_out = exp.Literal.string(key) if isinstance(key, str) else number(key)
            tied = exp.and_(
                exp.EQ(this=drawn.copy(), expression=number(draw)), exp.LT(this=column("key"), expression=first_out)
            )
            self.caps[index] = exp.or_(exp.LT(this=drawn.copy(), expression=number(draw)), tied)

    def _channels(self) -> dict[str, int]:
        """The address columns of the campaigns' channels, each with the bits of its campaigns."""
        found: dict[str, int] = {}
        for index, (asked, view) in enumerate(zip(self.asked, self.views(), strict=True)):
            name = view.address(asked.campaign.channel)
            found[name] = found.get(name, 0) | 1 << index
        return found

    # The query -------------------------------------------------------------------------------------------------------

    def base(self) -> exp.Select:
        """One row per profile: ``key``, the addresses, and every feature."""
        names = {
            found.table
            for feature in self.features.features.values()
            for found in feature.expression.find_all(exp.Column)
        }
        query = exp.select(exp.alias_(column(self.features.key, "p"), "key", quoted=True)).from_(table("people", "p"))
        query = query.select(*(exp.alias_(column(name, "p"), name, quoted=True) for name in self.features.addresses))
        for feature in self.features.features.values():
            expression = feature.expression
            if feature.word:
                expression = exp.Coalesce(this=expression.copy(), expressions=[self._default_word(feature)])
            query = query.select(exp.alias_(expression, feature.name, quoted=True))
        for name in sorted(names - {"p", ""}):
            query = query.join(table(name, name), on=self._on(name), join_type="left")
        return query

    def _on(self, name: str) -> E:
        if name.startswith("standing "):
            return exp.EQ(this=column("key", name), expression=column(self.features.key, "p"))
        if name.startswith("list "):
            leaf = next(leaf for leaf, alias in self.features.lists.items() if alias == name)
            subject = column(self._list_address(leaf.channel), "p") if leaf.channel else column("key_text", "p")
            return exp.EQ(this=column("member", name), expression=subject)
        return exp.EQ(this=column("profile", name), expression=column("key_text", "p"))

    def passed(self, until: int = _CAPPED - 1) -> exp.Select:
        """``key``, the addresses, the draws of target caps, and ``s<stage>_<word>``: the campaigns still passed."""
        kept = [*self.features.addresses, *self.draws.values()]
        coded = exp.select(column("key"), *map(column, dict.fromkeys(kept))).from_(self.base().subquery("b"))
        for code in self.codes:
            coded = coded.select(exp.alias_(code.expression.copy(), code.name, quoted=True))
            if code.values:
                same = exp.EQ(this=column("value", f"v{code.name}"), expression=column(code.feature, "b"))
                coded = coded.join(table(f"values {code.name}", f"v{code.name}"), on=same, join_type="left")
        own = exp.select(column("key", "k"), *(column(name, "k") for name in dict.fromkeys(kept))).from_(
            coded.subquery("k")
        )
        for code in self.codes:
            if any(stage <= until for stage in self.lookups[code.name]):
                same = exp.EQ(this=column("code", code.name), expression=column(code.name, "k"))
                own = own.join(table(f"lookup {code.name}", code.name), on=same)
        for name in sorted(self.shared if until >= _DUPLICATE else ()):
            same = exp.EQ(this=column("key", f"before {name}"), expression=column("key", "k"))
            own = own.join(table(f"before {name}", f"before {name}"), on=same, join_type="left")
        query = exp.select(column("key"), *map(column, dict.fromkeys(kept)))
        for word in range(self.words):
            so_far: list[E] = [number(self.full(word))]
            for stage in range(until + 1):
                if tests := self._tests(stage, word):
                    own = own.select(exp.alias_(conjunction(tests), f"o{stage}_{word}", quoted=True))
                    so_far.append(column(f"o{stage}_{word}"))
                query = query.select(
                    exp.alias_(conjunction([test.copy() for test in so_far]), f"s{stage}_{word}", quoted=True)
                )
        return query.from_(own.subquery("o"))

    def decisions(self) -> exp.Select:
        """``key``, the addresses, and ``s<stage>_<word>`` for every stage, target caps included."""
        last = _CAPPED - 1
        columns: list[E] = [column("key"), *map(column, self.features.addresses)]
        columns += [column(f"s{stage}_{word}") for stage in range(_CAPPED) for word in range(self.words)]
        for word in range(self.words):
            tests: list[E] = [column(f"s{last}_{word}")]
            for index, cap in self.caps.items():
                at, bit = self.bit(index)
                if at == word:
                    tests.append(
                        exp.Case(ifs=[exp.If(this=cap.copy(), true=number(FULL))], default=number(FULL & ~bit))
                    )
            columns.append(exp.alias_(conjunction(tests), f"s{_CAPPED}_{word}", quoted=True))
        source: E = table("passed") if self.kept else self.passed().subquery("passed")
        return exp.select(*columns).from_(source)

    def changes(self, stage: int, word: int) -> bool:
        """Whether any campaign of a word can lose somebody at a stage."""
        if stage == _CAPPED:
            return any(self.bit(index)[0] == word for index in self.caps)
        return stage == 0 or bool(self._tests(stage, word))

    def _tests(self, stage: int, word: int) -> list[E]:
        """The words of those campaigns that a profile passes at one stage, whatever it did at those before."""
        if stage == _DUPLICATE:
            return [
                exp.BitwiseNot(
                    this=exp.paren(exp.Coalesce(this=column(f"d{word}", f"before {name}"), expressions=[number(0)]))
                )
                for name in sorted(self.shared)
            ]
        return [
            column(f"s{stage}_{word}", code.name)
            for code in self.codes
            if word in self.lookups[code.name].get(stage, ())
        ]
