"""The numbers of a report: every campaign's waterfall, whom campaigns share, what was sent and answered, over time.

What is about people is counted by the words of the decisions, as they are, in the engine: no key ever leaves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlglot import exp

from ..events import isoformat
from ..model import Campaign
from ..operators import instant, on_wall_clock
from ..runner import Run
from ..targeting import reads
from ..targeting.behaviour import Events
from ..targeting.deciding import decisions
from ..targeting.lookups import WORD_BITS
from ..targeting.plan import Plan
from ..targeting.stages import REASONS
from ..targeting.tables import SENDS, event_table
from ..trees import cast, column, named, number, small, table

E = exp.Expr
Step = Literal["day", "week", "month", "year"]
_LANE = 32
_LAST = len(REASONS) - 1
_STEPS: tuple[tuple[Step, int], ...] = (("day", 45), ("week", 315), ("month", 1500))
"""How many days are shown day by day, week by week, month by month; more go year by year."""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """One campaign: ``counts`` has every reason, and ``included``; they add up to the population."""

    campaign: Campaign
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Sent:
    """Messages of one channel in one period, and how many people they went to."""

    period: date
    channel: str
    messages: int
    people: int


@dataclass(frozen=True, slots=True)
class Answered:
    """How many said yes and no in one period, about one group (empty: the whole channel) of a channel."""

    period: date
    channel: str
    group: str
    subscribed: int
    unsubscribed: int


@dataclass(frozen=True, slots=True)
class Report:
    """``overlap`` has, by two places in ``waterfalls``, how many profiles both campaigns include; ``messages`` has, by
    how many of the campaigns include somebody, how many people that is. ``by_source`` and ``by_campaign`` are yes and
    no; ``steps`` says how long the periods of ``sends`` and of ``answers`` are."""

    title: str
    as_of: datetime
    population: int
    ledger_seq: int
    waterfalls: Sequence[Waterfall]
    overlap: Sequence[Sequence[int]]
    messages: Mapping[int, int]
    sends: Sequence[Sent]
    answers: Sequence[Answered]
    by_source: Mapping[str, tuple[int, int]]
    by_campaign: Mapping[str, tuple[int, int]]
    steps: tuple[Step, Step]

    @property
    def lost(self) -> dict[str, int]:
        """Decisions by the reason that left somebody out, over all campaigns, the largest first."""
        totals = {reason: sum(one.counts[reason] for one in self.waterfalls) for reason in REASONS}
        return dict(sorted(totals.items(), key=lambda item: -item[1]))

    def as_json(self) -> dict[str, Any]:
        names = [one.campaign.name for one in self.waterfalls]
        return {
            "as_of": isoformat(self.as_of),
            "population": self.population,
            "ledger": {"seq": self.ledger_seq},
            "campaigns": [
                {
                    "name": one.campaign.name,
                    "included": one.counts[reads.INCLUDED],
                    "excluded": {reason: one.counts[reason] for reason in REASONS},
                }
                for one in self.waterfalls
            ],
            "overlap": [
                {"campaigns": [names[a], names[b]], "profiles": self.overlap[a][b]}
                for a in range(len(names))
                for b in range(a + 1, len(names))
            ],
            "messages_per_profile": [{"messages": many, "profiles": count} for many, count in self.messages.items()],
            "lost": self.lost,
            "sends": [_plain(one) for one in self.sends],
            "answers": [_plain(one) | {"group": one.group or None} for one in self.answers],
            "answers_by_source": _split(self.by_source, "source"),
            "answers_by_campaign": _split(self.by_campaign, "campaign"),
            "periods": {"sends": self.steps[0], "answers": self.steps[1]},
        }


def gather(run: Run, campaigns: Sequence[Campaign]) -> Report:
    """Decide for the campaigns, and count; campaigns of one run ignore each other."""
    population = 0 if campaigns else run.population()
    waterfalls: list[Waterfall] = []
    places: list[tuple[int, int]] = []
    included: list[int] = []
    for place, plan in enumerate(run.plans(campaigns)):
        population, counted = reads.waterfall(plan, run.backend)
        for index, counts in enumerate(counted):
            waterfalls.append(Waterfall(plan.asked[index].campaign, counts))
            places.append((len(included) + index // WORD_BITS, index % WORD_BITS))
        _keep(run, plan, f"included {place}", len(included))
        included += [place] * plan.words
    order = sorted(range(len(waterfalls)), key=lambda index: waterfalls[index].campaign.name)
    waterfalls, places = [waterfalls[index] for index in order], [places[index] for index in order]
    run.progress("counting whom campaigns share")
    _combine(run, included)
    sends, sends_step = _sends(run)
    answers, by_source, by_campaign, answers_step = _answers(run)
    run.backend.check_sources()
    return Report(
        title=run.project.title,
        as_of=run.clock.as_of,
        population=population,
        ledger_seq=run.ledger_seq,
        waterfalls=waterfalls,
        overlap=_overlap(run, places, len(included)),
        messages=_messages(run, len(included), population),
        sends=sends,
        answers=answers,
        by_source=by_source,
        by_campaign=by_campaign,
        steps=(sends_step, answers_step),
    )


# People ---------------------------------------------------------------------------------------------------------------


def _keep(run: Run, plan: Plan, name: str, first: int) -> None:
    """A table of the profiles that any campaign of a plan includes: ``key``, and its words from ``w<first>`` on."""
    words = [column(f"s{_LAST}_{word}") for word in range(plan.words)]
    some = exp.or_(*(exp.NEQ(this=word.copy(), expression=number(0)) for word in words))
    kept = [named(word, f"w{first + place}") for place, word in enumerate(words)]
    everyone = decisions(plan).subquery("d", copy=False)
    run.backend.create(name, exp.select(column("key"), *kept).from_(everyone, copy=False).where(some))


def _combine(run: Run, included: Sequence[int]) -> None:
    """``combinations``: every set of campaigns that includes the same people, as words, and how ``many`` those are."""
    names = [f"w{word}" for word in range(len(included))]
    parts = []
    for place in sorted(set(included)):
        own = [named(column(n), n) if included[w] == place else named(number(0), n) for w, n in enumerate(names)]
        parts.append(exp.select(column("key"), *own).from_(table(f"included {place}")))
    if not parts:
        return
    everyone: exp.Query = parts[0]
    for part in parts[1:]:
        everyone = exp.union(everyone, part, distinct=False)
    if len(parts) > 1:
        whole = [named(exp.BitwiseOrAgg(this=column(name)), name) for name in names]
        everyone = exp.select(*whole).from_(everyone.subquery("e")).group_by(column("key"))
    many = named(exp.Count(this=exp.Star()), "many")
    words = [column(name) for name in names]
    query = exp.select(*words, many).from_(everyone.subquery("e")).group_by(*(word.copy() for word in words))
    run.backend.create("combinations", query)


def _overlap(run: Run, places: Sequence[tuple[int, int]], words: int) -> list[list[int]]:
    """How many profiles each two campaigns share: for the bits of each word, the sums of all bits beside them."""
    bits: dict[tuple[int, int], Sequence[int]] = {}
    sums = [lane for word in range(words) for lane in _lanes(word)]
    for word in range(words):
        wanted = [(bit,) for at, bit in places if at == word]
        run.backend.land("campaign bits", {"bit": "BIGINT"}, wanted)
        shifted = exp.BitwiseRightShift(this=column(f"w{word}", "c"), expression=column("bit", "b"))
        one = exp.BitwiseAnd(this=exp.paren(shifted), expression=number(1))
        has = exp.EQ(this=exp.paren(one), expression=number(1))
        query = exp.select(column("bit", "b"), *sums).from_(table("combinations", "c"))
        query = query.join(table("campaign bits", "b"), on=has).group_by(column("bit", "b"))
        for bit, *counted in run.backend.rows(query):
            bits[word, bit] = counted

    def shared(one: tuple[int, int], other: tuple[int, int]) -> int:
        if one not in bits:
            return 0
        word, bit = other
        return int(bits[one][word * _LANE + bit % _LANE]) >> _LANE * (bit // _LANE) & (1 << _LANE) - 1

    return [[shared(one, other) for other in places] for one in places]


def _lanes(word: int) -> list[E]:
    """How many people have each bit of a word, two at a time, in the halves of 64 bits: bit i low, bit i + 32 high."""
    found: list[E] = []
    for bit in range(_LANE):
        shifted = exp.BitwiseRightShift(this=column(f"w{word}", "c"), expression=exp.Literal.number(bit))
        lanes = exp.BitwiseAnd(this=exp.paren(shifted), expression=number(1 << _LANE | 1))
        many = exp.Mul(this=exp.paren(lanes), expression=column("many", "c"))
        found.append(named(cast(exp.Sum(this=many), "bigint"), f"l{word}_{bit}"))
    return found


def _messages(run: Run, words: int, population: int) -> dict[int, int]:
    """How many people are included by how many campaigns, those by none among them."""
    if not words:
        return {0: population}
    total: E = small(0)
    for word in range(words):
        total = exp.Add(this=total, expression=exp.BitwiseCount(this=column(f"w{word}")))
    counted = exp.select(named(total, "messages"), named(exp.Sum(this=column("many")), "people"))
    query = counted.from_(table("combinations")).group_by(total.copy()).order_by(column("messages"))
    found = {int(messages): int(people) for messages, people in run.backend.rows(query)}
    most = max(found, default=0)
    return {0: population - sum(found.values())} | {many: found.get(many, 0) for many in range(1, most + 1)}


# Over time ------------------------------------------------------------------------------------------------------------


def _sends(run: Run) -> tuple[list[Sent], Step]:
    """What was sent until as-of, by period and channel."""
    if not (declared := run.project.sends):
        return [], "day"
    event, relation, kinds = event_table(run.project, run.catalog, SENDS)
    sends = Events(event, relation, kinds, run.clock, "text")
    time, kind = sends.column(declared.at)
    day = cast(on_wall_clock(time, kind.kind, run.clock), "date")
    so_far = exp.LTE(this=time.copy(), expression=instant(run.clock.as_of, kind.kind, run.clock))
    source = exp.select().from_(table(relation, "e")).where(so_far)
    ((first, last),) = run.backend.rows(source.select(exp.Min(this=day), exp.Max(this=day.copy())))
    step = _step(first, last)
    period = cast(exp.TimestampTrunc(this=day.copy(), unit=exp.var(step.upper())), "date")
    channel, _ = sends.column(declared.channel)
    people = exp.Count(this=exp.Distinct(expressions=[sends.column(declared.profile)[0]]))
    rows = run.backend.rows(
        source.select(period, channel, exp.Count(this=exp.Star()), people)
        .group_by(period.copy(), channel.copy())
        .order_by(period.copy(), channel.copy())
    )
    return [Sent(*row) for row in rows if row[1] is not None], step


def _answers(
    run: Run,
) -> tuple[list[Answered], dict[str, tuple[int, int]], dict[str, tuple[int, int]], Step]:
    """The ledger's answers by period and group, by source, and by campaign; (yes, no)."""
    tallies = list(run.ledger.tally(run.ledger_seq))
    step = _step(*((tallies[0].day, tallies[-1].day) if tallies else (None, None)))
    about = _counted(((_start(one.day, step), one.channel, one.group), one.subscribed, one.many) for one in tallies)
    by_source = _counted((one.source, one.subscribed, one.many) for one in tallies)
    by_campaign = _counted((one.campaign, one.subscribed, one.many) for one in tallies if one.campaign)
    answers = [Answered(day, channel, group, yes, no) for (day, channel, group), (yes, no) in sorted(about.items())]
    return answers, dict(sorted(by_source.items())), dict(sorted(by_campaign.items())), step


def _counted(answers: Iterable[tuple[Any, bool, int]]) -> dict[Any, tuple[int, int]]:
    found: dict[Any, tuple[int, int]] = {}
    for key, subscribed, count in answers:
        yes, no = found.get(key, (0, 0))
        found[key] = (yes + count, no) if subscribed else (yes, no + count)
    return found


def _step(first: date | None, last: date | None) -> Step:
    days = (last - first).days if first and last else 0
    return next((step for step, most in _STEPS if days <= most), "year")


def _start(day: date, step: Step) -> date:
    """The first day of a day's period; weeks begin on Monday."""
    match step:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day


def _plain(one: Sent | Answered) -> dict[str, Any]:
    found = {name: getattr(one, name) for name in one.__slots__}
    return found | {"period": one.period.isoformat()}


def _split(counts: Mapping[str, tuple[int, int]], name: str) -> list[dict[str, Any]]:
    return [{name: key, "subscribed": yes, "unsubscribed": no} for key, (yes, no) in counts.items()]
