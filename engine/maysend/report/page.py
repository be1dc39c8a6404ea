"""The report as one HTML file: no script, no request, and nothing that a strict content policy refuses."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from zoneinfo import ZoneInfo

from ..model import Project
from ..targeting.reads import INCLUDED
from ..targeting.stages import REASONS
from . import pictures
from .numbers import Answered, Report
from .pictures import draw, words

_WHOLE_MATRIX = 30
_PAIRS = 50
_FITS_A_PHONE = 430


@dataclass(frozen=True, slots=True)
class Table:
    """What a picture shows, as rows; the first cell of each is its heading."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with its table. ``title`` is as people wrote it, and ``note`` a sentence under it."""

    title: str
    svg: str
    table: Table
    note: str = ""

    @property
    def is_wide(self) -> bool:
        """Whether text would be too small where the picture is made to fit a phone; then it is moved sideways."""
        found = re.search(r'width="([0-9.]+)"', self.svg)
        return bool(found and float(found[1]) > _FITS_A_PHONE)


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter of the report; ``figures`` stand side by side where there is room."""

    title: str
    note: str
    figures: Sequence[Figure]


def page(report: Report, project: Project) -> str:
    """The whole file."""
    import jinja2

    folder = files(__package__)
    style = folder.joinpath("report.css").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(folder.joinpath("report.html.j2").read_text("utf-8"))
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    as_of = report.as_of.astimezone(ZoneInfo(project.timezone))
    return str(
        template.render(
            report=report,
            as_of=f"{as_of.day} {as_of:%B %Y, %H:%M} ({project.timezone})",
            sections=[section for section in _sections(report, project) if section.figures],
            style=style,
            digest=digest,
        )
    )


def _sections(report: Report, project: Project) -> Iterator[Section]:
    yield Section(
        "Campaigns",
        "Everybody of the population is included, or left out by the first check that they fail. Each bar is those "
        "whom one check leaves out.",
        [_waterfall(report, place) for place in range(len(report.waterfalls))],
    )
    yield Section(
        "Why people are left out",
        "Decisions of all campaigns by the reason that left somebody out; a person counts once for each campaign.",
        list(_lost(report)),
    )
    yield Section(
        "Whom campaigns share",
        "How much of a row's audience is in the column's audience, too.",
        list(_overlap(report)),
    )
    yield Section(
        "Messages per person",
        "How many people get how many of these campaigns, if each of them is sent once. Campaigns of one run ignore "
        "each other: what is sent first counts toward the frequency caps of what is evaluated after.",
        list(_messages(report)),
    )
    yield Section(
        "What was sent",
        f"Messages in the table of sends until as-of, by {report.steps[0]} and channel.",
        list(_sends(report)),
    )
    yield Section(
        "Who said yes and no",
        f"Answers in the ledger by {report.steps[1]} (UTC): columns up are a yes, columns down a no.",
        list(_answers(report, project)),
    )
    yield Section(
        "Where the answers came from", "The same answers by how they came, and by campaign.", list(_origins(report))
    )


def _waterfall(report: Report, place: int) -> Figure:
    one = report.waterfalls[place]
    name, counts, included = one.campaign.name, one.counts, one.counts[INCLUDED]
    share = _percent(included, report.population)
    said = f"{included:,} of {report.population:,} profiles are included, {share}."
    svg = draw(pictures.waterfall(counts, report.population), f"waterfall-{place}", f"Waterfall of {name}", said)
    rows = [(words(reason), f"{counts[reason]:,}") for reason in (*REASONS, INCLUDED)]
    why = one.campaign.ignore_unsubscribed
    note = said + (f" It ignores unsubscribed: {why}" if why else "")
    return Figure(one.campaign.title, svg, Table(f"{name}: profiles by reason", ("reason", "profiles"), rows), note)


def _lost(report: Report) -> Iterator[Figure]:
    lost = {words(reason): count for reason, count in report.lost.items() if count}
    if lost:
        first = next(iter(lost))
        said = f"The most frequent reason is {first}, with {lost[first]:,} decisions."
        svg = draw(pictures.bars(lost), "lost", "Decisions by reason", said)
        rows = [(reason, f"{count:,}") for reason, count in lost.items()]
        yield Figure("All campaigns", svg, Table("Decisions by reason", ("reason", "decisions"), rows), said)


def _overlap(report: Report) -> Iterator[Figure]:
    names = [one.campaign.name for one in report.waterfalls]
    if len(names) < 2:
        return
    pairs = [(report.overlap[a][b], names[a], names[b]) for a in range(len(names)) for b in range(len(names)) if a < b]
    most, one, other = max(pairs, key=lambda pair: pair[0])
    said = f"{one} and {other} share the most people: {most:,}."
    svg = draw(pictures.heat_map(names, report.overlap), "overlap", "Overlap of audiences", said)
    if len(names) <= _WHOLE_MATRIX:
        rows = [(name, *(f"{count:,}" for count in row)) for name, row in zip(names, report.overlap, strict=True)]
        table = Table("Profiles that two campaigns share", ("campaign", *names), rows)
    else:
        largest = sorted(pairs, key=lambda pair: -pair[0])[:_PAIRS]
        caption = f"The {_PAIRS} pairs that share the most profiles; maysend report --json has all"
        table = Table(caption, ("campaigns", "profiles"), [(f"{a} and {b}", f"{count:,}") for count, a, b in largest])
    yield Figure("Overlap of audiences", svg, table, said)


def _messages(report: Report) -> Iterator[Figure]:
    found = report.messages
    reached = report.population - found.get(0, 0)
    total = sum(many * people for many, people in found.items())
    average = f"{total / reached:.1f} each on average" if reached else "none"
    said = f"{reached:,} of {report.population:,} people get {total:,} messages, {average}."
    spec = pictures.columns({str(many): people for many, people in found.items()}, "messages")
    rows = [(str(many), f"{people:,}", _percent(people, report.population)) for many, people in found.items()]
    table = Table("People by how many messages they get", ("messages", "people", "share"), rows)
    yield Figure("All campaigns", draw(spec, "messages", "People by messages", said), table, said)


def _sends(report: Report) -> Iterator[Figure]:
    for place, channel in enumerate(sorted({one.channel for one in report.sends})):
        sent = [one for one in report.sends if one.channel == channel]
        counts = {_period(one.period, report.steps[0]): one.messages for one in sent}
        said = f"{sum(counts.values()):,} messages on {channel}."
        rows = [
            (period, f"{one.messages:,}", f"{one.people:,}", f"{one.messages / one.people:.2f}" if one.people else "")
            for period, one in zip(counts, sent, strict=True)
        ]
        table = Table(f"Messages on {channel}", (report.steps[0], "messages", "people", "per person"), rows)
        svg = draw(pictures.columns(counts, report.steps[0]), f"sends-{place}", f"Messages on {channel}", said)
        yield Figure(channel, svg, table, said)


def _answers(report: Report, project: Project) -> Iterator[Figure]:
    periods = sorted({one.period for one in report.answers})
    subjects = sorted({(one.channel, one.group) for one in report.answers})
    for place, (channel, group) in enumerate(subjects):
        of_group = {one.period: one for one in report.answers if (one.channel, one.group) == (channel, group)}
        title = group or f"The whole channel: {channel}"
        if group in project.groups:
            title = project.groups[group].title
        whole = [of_group.get(period) or Answered(period, channel, group, 0, 0) for period in periods]
        yes, no = [one.subscribed for one in whole], [one.unsubscribed for one in whole]
        said = f"{sum(yes):,} yes, {sum(no):,} no."
        spec = pictures.yes_and_no([_period(period, report.steps[1]) for period in periods], yes, no)
        shown = f"{channel}: {group or 'the whole channel'}"
        svg = draw(spec, f"answers-{place}", f"Answers on {shown}", said)
        rows = [
            (_period(one.period, report.steps[1]), f"{one.subscribed:,}", f"{one.unsubscribed:,}")
            for one in whole
            if one.subscribed or one.unsubscribed
        ]
        yield Figure(title, svg, Table(f"Answers on {shown}", (report.steps[1], "yes", "no"), rows), said)


def _origins(report: Report) -> Iterator[Figure]:
    origins: Sequence[tuple[str, Mapping[str, tuple[int, int]]]]
    origins = (("source", report.by_source), ("campaign", report.by_campaign))
    for what, counts in origins:
        noes = dict(sorted(((words(name), no) for name, (_, no) in counts.items()), key=lambda item: -item[1]))
        if noes:
            first = next(iter(noes))
            said = f"Most noes came by {first}: {noes[first]:,}." if what == "source" else f"Most noes: {first}."
            rows = [(words(name), f"{yes:,}", f"{no:,}") for name, (yes, no) in counts.items()]
            table = Table(f"Answers by {what}", (what, "yes", "no"), rows)
            yield Figure(
                f"No, by {what}", draw(pictures.bars(noes), f"by-{what}", f"Noes by {what}", said), table, said
            )


def _period(day: date, step: str) -> str:
    return {"month": f"{day:%Y-%m}", "year": f"{day:%Y}"}.get(step, day.isoformat())


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "0 %"
