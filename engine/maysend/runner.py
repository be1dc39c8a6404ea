"""One run: sources and ledger opened, campaigns decided in blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlglot import exp

from . import rosters, snapshot
from .addresses import normalizer
from .backends.backend import Backend, connect
from .backends.duckdb import DuckDB
from .columns import LEDGER_COLUMNS, Catalog, Table
from .declarations import meaning
from .errors import InvalidProjectError, LedgerError, SourceError, UnknownNameError, did_you_mean
from .fitting import key_problems, list_source, memory_problems, open_sources, unfit_list
from .garbage import seldom_collecting
from .ledger import Ledger, Mark, open_ledger
from .model import Campaign, Project, Source
from .moments import Clock
from .plugins import Plugins
from .targeting import reads
from .targeting.describing import outline
from .targeting.features import value
from .targeting.plan import CAPPED, Asked, Plan, blocks
from .targeting.preparing import prepare
from .targeting.standings import ANSWERS
from .targeting.tables import LEDGER
from .trees import cast, column, named, table

if TYPE_CHECKING:
    from .backends.backend import SparkSession

Progress = Callable[[str], None]
"""Told what a run does next, in a few words."""


@dataclass(frozen=True, slots=True)
class Run:
    """An open run over one project's data and the ledger's newest answers, up to event ``ledger_seq``; ``ledger_mark``
    says how far that is, and is None for a replay."""

    project: Project
    plugins: Plugins
    backend: Backend
    catalog: Catalog
    clock: Clock
    ledger: Ledger
    ledger_seq: int
    progress: Progress
    show_plan: Callable[[Iterator[str]], None] = lambda _: None
    ledger_mark: Mark | None = None
    lists: dict[str, tuple[str, Table]] = field(default_factory=dict)
    """The files of ``in_list`` that are open: under which name, and their columns."""

    def plans(
        self,
        campaigns: Sequence[Campaign],
        *,
        only: exp.Expr | None = None,
        through: int | None = CAPPED,
        addresses: bool = True,
    ) -> Iterator[Plan]:
        """The campaigns decided, a block at a time; each plan can be read until the next is asked for.

        ``only`` restricts the profiles (``p``); ``through`` is the last stage that will be read (None: only what
        profiles are, and nothing is decided), and ``addresses`` says whether any audience will be.
        """
        asked = [Asked(self.project, campaign) for campaign in campaigns]
        yield from self.decided(asked, only=only, through=through, addresses=addresses)

    def decided(
        self,
        asked: Sequence[Asked],
        *,
        only: exp.Expr | None = None,
        through: int | None = CAPPED,
        addresses: bool = True,
    ) -> Iterator[Plan]:
        """The same for campaigns of projects that read the same tables."""
        types, decided = self.plugins.channel_types, 0
        for block in blocks(asked, types, self.catalog, self.clock):
            decided += len(block)
            of = f"{decided} of {len(asked)} campaigns"
            plan = Plan(block, types, self.catalog, self.clock)
            self._open_lists(plan)
            if plan.reads_ledger:
                self._land_ledger()
            prepare(
                plan,
                self.backend,
                only=only,
                through=through,
                addresses=addresses,
                told=lambda step, of=of: self.progress(f"{of}: {step}"),  # type: ignore[misc] # mypy infers no lambda with a default
                looked_up=lambda plan: self.show_plan(outline(plan, self.backend)),
            )
            yield plan

    def write_roster(self) -> rosters.Written:
        """Keep the profiles with addresses and answers worked out, for later runs.

        DuckDB writes it in this process, for Spark too. Raises SourceError, also where the profiles are not files of
        this machine, or not to DuckDB what they are to Spark; OutputError; and LedgerError where somebody was erased
        meanwhile.
        """
        assert self.ledger_mark
        local, types, catalog = self.backend.local, self.plugins.channel_types, self.catalog
        if local is not self.backend:
            source = self.project.profiles.source
            if not source.local:
                raise SourceError(f"{source.location}: is no file of this machine, and a roster is made of such files")
            catalog = replace(catalog, profiles=local.open("profiles", source))
            _check_kinds(source, catalog.profiles or {}, self.catalog.profiles or {})
            local.settle()
        written = rosters.write(
            self.project, types, local, self.backend, catalog, self.clock, self.ledger_mark, self.progress
        )
        if not self.ledger.has(self.ledger_mark):
            snapshot.forget(snapshot.place(self.project))
            raise LedgerError("somebody was erased while the roster was written; write it again")
        return written

    def population(self) -> int:
        """How many profiles there are."""
        ((count,),) = self.backend.rows(exp.select(exp.Count(this=exp.Star())).from_(table("profiles")))
        return int(count)

    def _land_ledger(self) -> None:
        """Land the ledger's events for conditions that ask for them."""
        names = [name for name in LEDGER_COLUMNS if name != "occurred_at"]
        kinds = {name: "BOOLEAN" if name == "resubscribed" else "VARCHAR" for name in names} | {
            "occurred_at": "TIMESTAMPTZ"
        }
        events = (
            (*(getattr(event, name) for name in names), event.occurred_at.isoformat())
            for event in self.ledger.events()
            if event.seq <= self.ledger_seq
        )
        self.backend.land(LEDGER, kinds, events)

    def _open_lists(self, plan: Plan) -> None:
        """Land the files that ``in_list`` leaves name, each opened once a run."""
        for leaf, name in plan.features.lists.items():
            if leaf.source not in self.lists:
                file = f"list file {len(self.lists)}"
                self.lists[leaf.source] = file, self.backend.open(file, list_source(self.project, leaf))
            file, kinds = self.lists[leaf.source]
            if why := unfit_list(leaf, kinds):
                raise SourceError(why)
            member = named(column(leaf.column), "member")
            self.backend.create(f"source {name}", exp.select(member).from_(table(file)))


def _check_kinds(source: Source, own: Table, spark: Table) -> None:
    """Raises SourceError where a column is of another kind to DuckDB than to Spark: decisions could differ."""
    for name, type_ in own.items():
        if name in spark and (spark[name].kind, spark[name].item) != (type_.kind, type_.item):
            raise SourceError(
                f'{source.location}: column "{name}" is {spark[name]} to Spark, and {type_} to DuckDB,'
                " which writes rosters; write it as another type (docs/parity.md), or go without a roster"
            )


@contextmanager
def opened(
    project: Project,
    as_of: datetime,
    plugins: Plugins,
    *,
    memory: str | None = None,
    until: int | None = None,
    remember: bool = True,
    roster: bool = True,
    progress: Progress = lambda _: None,
    show_plan: Callable[[Iterator[str]], None] = lambda _: None,
    session: SparkSession | None = None,
) -> Iterator[Run]:
    """Open a run over a valid project. Consent is the newest; ``until`` goes back to that event, for a replay.

    The ledger remembers the project's groups from then on, unless ``remember`` is false: what is only reviewed may
    never come to be. ``show_plan`` gets each plan's outline, line by line, before it is asked of every profile.
    ``roster`` says whether the profiles' roster may be read, where there is one; a replay reads none.
    ``session`` is a running Spark session that takes the place of the engine that the project declares.

    Raises InvalidProjectError where the declarations do not fit the data or the ledger's memory, LedgerError where the
    ledger is missing, SourceError where data is broken.
    """
    clock = Clock(as_of, ZoneInfo(project.timezone))
    with (
        seldom_collecting(),
        open_ledger(project.ledger, project.root) as ledger,
        connect(project, memory=memory, session=session, told=progress) as backend,
    ):
        progress("opening sources")
        found = rosters.use(project, plugins.channel_types, backend, ledger) if roster and until is None else None
        catalog, problems = open_sources(project, backend, found)
        if not catalog.roster:
            problems += key_problems(project, backend, catalog)
        problems += meaning.problems(project, catalog, clock)
        if not problems:
            backend.settle(but=("profiles",) if catalog.roster else ())
        progress("reading answers")
        people = snapshot.people(project, plugins.channel_types, catalog.profiles or {})
        mark = None
        if until is None:
            mark = snapshot.land(ledger, backend, snapshot.place(project), ANSWERS, people)
            seq = mark.seq
            if catalog.roster:
                if catalog.roster.erased != mark.erased:
                    raise LedgerError("somebody was erased while the run began; run it again")
                catalog = replace(catalog, roster=replace(catalog.roster, current=catalog.roster.seq == seq))
        else:
            seq = snapshot.land_past(ledger, backend, ANSWERS, until, people)
        problems += memory_problems(project, plugins, ledger.known_groups(), backend, catalog, clock)
        if problems:
            raise InvalidProjectError(problems)
        if remember:
            ledger.remember_groups(project.groups.values())
        yield Run(project, plugins, backend, catalog, clock, ledger, seq, progress, show_plan, mark)


def chosen(project: Project, names: Sequence[str]) -> list[Campaign]:
    """The campaigns named, or all, in the order of their names.

    Raises UnknownNameError for a name that nothing declares.
    """
    for name in names:
        if name not in project.campaigns:
            raise UnknownNameError(f'there is no campaign "{name}"{did_you_mean(name, project.campaigns)}')
    return [project.campaigns[name] for name in sorted(set(names) or project.campaigns)]


def decide(project: Project, as_of: datetime, plugins: Plugins) -> dict[str, dict[str, str]]:
    """Every profile's reason for every campaign: campaign to key (as text) to reason."""
    found: dict[str, dict[str, str]] = {}
    with opened(project, as_of, plugins) as run:
        for plan in run.plans(chosen(project, ())):
            _, counted = reads.waterfall(plan, run.backend)
            for index, asked in enumerate(plan.asked):
                rows = run.backend.rows(reads.reasons(plan, index))
                reasons = found[asked.campaign.name] = {str(key): reason for key, _, reason in rows}
                # The waterfall and everybody's reasons are two reads of one plan: they may never disagree.
                assert Counter(reasons.values()) == +Counter(counted[index]), (asked.campaign.name, counted[index])
    return found


def has_profile(project: Project, profile: str) -> bool:
    """Whether the profile table has a key. Raises SourceError where it cannot be read on this machine."""
    with DuckDB() as backend:
        kinds = backend.open("profiles", project.profiles.source)
        same = exp.EQ(
            this=cast(value(kinds, project.profiles.key, "p"), "text"), expression=exp.Literal.string(profile)
        )
        return bool(backend.rows(exp.select("1").from_(table("profiles", "p")).where(same).limit(1)))


def address_of(project: Project, plugins: Plugins, channel: str, profile: str) -> str | None:
    """A profile's normalized address on a channel; None where there is no such profile, or no valid address."""
    declared = project.channels[channel]
    with connect(project) as backend:
        kinds = backend.open("profiles", project.profiles.source)
        key = cast(value(kinds, project.profiles.key, "p"), "text")
        found = backend.rows(
            exp.select(cast(value(kinds, declared.address, "p"), "text"))
            .from_(table("profiles", "p"))
            .where(exp.EQ(this=key, expression=exp.Literal.string(profile)))
        )
    return (
        normalizer(plugins.channel_types[declared.type].address)(found[0][0])
        if found and found[0][0] is not None
        else None
    )
