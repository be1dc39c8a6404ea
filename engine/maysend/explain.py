"""Why one profile is in or out of a campaign: the same decisions, read for one key, in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from . import conditions, draws, status
from .addresses import normalized
from .conditions import known
from .errors import UnknownNameError
from .events import ChannelUnsubscribed
from .model import Campaign
from .runner import Run
from .targeting import reads
from .targeting.features import View, address_column, value
from .targeting.plan import SHARED, Plan
from .targeting.stages import REASONS, Reason, control_groups, frequency_caps, predicates, sent
from .trees import cast, column, named, number, select, table, written
from .where import All, AnyOf, Condition, InSegment, Not
from .wording import day, describe, seen

E = exp.Expr
_WHOLE = re.compile("0|-?[1-9][0-9]{0,18}")
"""A key that is a whole number, as it is written."""


@dataclass(frozen=True, slots=True)
class Check:
    check: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """``reason`` is ``included`` or the first check that failed; ``checks`` stand in the order of spec 5."""

    campaign: str
    profile: str
    reason: str
    checks: list[Check]

    def as_json(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign,
            "profile": self.profile,
            "decision": "included" if self.reason == reads.INCLUDED else "excluded",
            "reason": self.reason,
            "checks": [{"check": c.check, "passed": c.passed, "detail": c.detail} for c in self.checks],
        }


def explain(run: Run, campaigns: Sequence[Campaign], profile: str) -> list[Explanation]:
    """Explain one profile (its key as text) for the campaigns.

    Raises UnknownNameError where there is no such profile.
    """
    found = []
    whole = [campaign for campaign in campaigns if campaign.target_cap]
    alone = [campaign for campaign in campaigns if not campaign.target_cap]
    is_it = _is(run, profile)
    for plan in run.plans(alone, only=is_it, through=None):
        for index in range(len(plan.asked)):
            if explanation := _Explainer(run, plan, index, profile).by_itself():
                found.append(explanation)
    done = {explanation.campaign for explanation in found}
    if shared := [campaign for campaign in alone if campaign.name not in done]:
        found += _explained(run, shared, profile, _neighbours(run, shared, is_it))
    found += _explained(run, whole, profile, None)
    return sorted(found, key=lambda explanation: explanation.campaign)


def _explained(run: Run, campaigns: Sequence[Campaign], profile: str, only: E | None) -> Iterator[Explanation]:
    for plan in run.plans(campaigns, only=only):
        for index in range(len(plan.asked)):
            yield _Explainer(run, plan, index, profile).explanation()


def _is(run: Run, profile: str) -> E:
    """That a row of the profile table (``p``) is the profile; by the key as it is stored, so that few rows are read."""
    kind = (run.catalog.profiles or {})[run.project.profiles.key].kind
    key = column(run.project.profiles.key, "p")
    if kind == "integer" and _WHOLE.fullmatch(profile):
        return exp.EQ(this=key, expression=number(int(profile)))
    return exp.EQ(this=key if kind == "text" else cast(key, "text"), expression=exp.Literal.string(profile))


def _neighbours(run: Run, campaigns: Sequence[Campaign], is_it: E) -> E:
    """The profile and those that share an address with it: all that a decision without a target cap depends on."""
    profiles = run.catalog.profiles or {}
    key = cast(value(profiles, run.project.profiles.key, "p"), "text")
    channels = [run.project.channels[name] for name in sorted({campaign.channel for campaign in campaigns})]
    names = [address_column(channel) for channel in channels]
    roster = run.catalog.roster
    wanted = {
        name: (cast(value(profiles, channel.address, "p"), "text"), run.plugins.channel_types[channel.type].address)
        for name, channel in zip(names, channels, strict=True)
        if not roster or name not in roster.addresses
    }
    people = normalized(table("profiles", "p"), wanted).subquery("p")
    (row,) = run.backend.rows(exp.select(*map(column, names)).from_(people).where(is_it.copy()))
    same = [
        exp.EQ(this=column(address, "p"), expression=exp.Literal.string(found))
        for address, found in zip(names, row, strict=True)
        if found
    ]
    keys = run.backend.rows(exp.select(key.copy()).from_(people.copy()).where(exp.or_(is_it.copy(), *same)))
    return exp.or_(*(_is(run, found) for (found,) in keys))


_OF_OTHERS = ("duplicate_address", "over_target_cap")
"""The reasons that other profiles have a part in."""
_BEFORE_OTHERS = REASONS[: REASONS.index(_OF_OTHERS[0])]


class _Explainer:
    """One campaign's checks for one profile, read with one query over the plan's base."""

    def __init__(self, run: Run, plan: Plan, index: int, profile: str) -> None:
        self.run, self.plan, self.index, self.profile = run, plan, index, profile
        self.campaign = plan.asked[index].campaign
        self.view: View = plan.view(index)
        self._asked: dict[str, E] = {}
        self._row: dict[str, Any] = {}
        self._tests: dict[str, list[E]] = {}

    def explanation(self) -> Explanation:
        """What was decided, and the checks behind it."""
        self._read()
        return self._explanation(self._decided())

    def by_itself(self) -> Explanation | None:
        """The same without deciding, of a campaign without a target cap; None where it depends on other profiles."""
        shared = [column(SHARED, "b")] if self.plan.addressed else []
        self._read(shared)
        failed = [reason for reason in REASONS if reason not in _OF_OTHERS and not self._passed(reason)]
        alone = bool(shared) and not self._value(shared[0])
        first = failed[0] if failed else reads.INCLUDED
        return self._explanation(first) if alone or first in _BEFORE_OTHERS else None

    def _explanation(self, decided: str) -> Explanation:
        checks = []
        for reason in REASONS:
            if reason in _OF_OTHERS:
                if REASONS.index(reason) > (REASONS.index(decided) if decided in REASONS else len(REASONS)):
                    continue
                passed = decided != reason
            else:
                passed = self._passed(reason)
            checks.append(Check(reason, passed, self._detail(reason, passed)))
        return Explanation(self.campaign.name, self.profile, decided, checks)

    def _passed(self, reason: str) -> bool:
        return all(self._value(test) for test in self._tests.get(reason, ()))

    # Reading ---------------------------------------------------------------------------------------------------------

    def _decided(self) -> str:
        everyone = reads.reasons(self.plan, self.index).subquery("r")
        key = cast(column(self.run.project.profiles.key), "text")
        rows = self.run.backend.rows(
            exp.select(column("reason"))
            .from_(everyone)
            .where(exp.EQ(this=key, expression=exp.Literal.string(self.profile)))
        )
        return str(rows[0][0])

    def _ask(self, expression: E) -> None:
        self._asked[written(expression)] = expression

    def _value(self, expression: E) -> Any:
        return self._row[written(expression)]

    def _read(self, further: Sequence[E] = ()) -> None:
        """Ask for every test, what details show beside them, and what is needed further."""
        for reason, test in predicates(self.campaign, self.view):
            self._tests.setdefault(reason, []).append(known(test))
        for asked in (*(test for several in self._tests.values() for test in several), *self._needed(), *further):
            self._ask(asked)
        names = {sql: f"x{index}" for index, sql in enumerate(self._asked)}
        chosen = [named(self._asked[sql], name) for sql, name in names.items()]
        is_it = exp.EQ(this=cast(column("key", "b"), "text"), expression=exp.Literal.string(self.profile))
        query = select(*chosen).from_(self.plan.base().subquery("b", copy=False), copy=False).where(is_it, copy=False)
        rows = self.run.backend.rows(query)
        if not rows:
            source = self.run.project.profiles.source.location
            raise UnknownNameError(f'there is no profile "{self.profile}" in {source}')
        self._row = dict(zip(names, rows[0], strict=True))

    def _needed(self) -> Iterator[E]:
        """Everything that details show beside the tests themselves."""
        yield column(self.view.address(self.campaign.channel), "b")
        yield self.view.on_channel(self.campaign.channel)
        for segment in (*self.campaign.include, *self.campaign.exclude):
            for node in _nodes(InSegment(segment), self.view):
                yield conditions.compile(node, self.view)
                if not isinstance(node, (All, AnyOf, Not)):
                    yield from seen(node, self.view)
        for name in self.campaign.groups.groups if self.campaign.groups else ():
            yield self.view.in_group(name)
        for cap in frequency_caps(self.campaign, self.view):
            yield sent(cap, self.view)
        for group in control_groups(self.campaign, self.view):
            yield self.view.features.draw(group.salt)

    # Checks in words -------------------------------------------------------------------------------------------------

    def _detail(self, reason: Reason, passed: bool) -> str:
        match reason:
            case "not_in_audience":
                return self._not_in_audience(passed)
            case "no_address":
                return self._no_address(passed)
            case "suppressed":
                return self._suppressed(passed)
            case "channel_unsubscribed":
                return self._channel_unsubscribed(passed)
            case "group_unsubscribed":
                return self._group_unsubscribed(passed)
            case "duplicate_address":
                return (
                    "no smaller key has this address"
                    if passed
                    else f"a profile with a smaller key has {self._address} and passed"
                )
            case "frequency_capped":
                return self._frequency_capped()
            case "control_group":
                return self._control_group()
            case "over_target_cap":
                return self._over_target_cap(passed)

    def _not_in_audience(self, passed: bool) -> str:
        included = {name: self._truth(InSegment(name)) for name in self.campaign.include}
        excluded = [name for name in self.campaign.exclude if self._truth(InSegment(name))]
        if passed:
            return f"in {', '.join(name for name, truth in included.items() if truth)}" if included else "everyone"
        said = [f"in {name}, which is excluded" for name in excluded]
        if included and not any(included.values()):
            said += [f"not in {name}: {'; '.join(self._why(InSegment(name)))}" for name in included]
        return "; ".join(said)

    def _truth(self, node: Condition) -> bool | None:
        truth: bool | None = self._value(conditions.compile(node, self.view))
        return truth

    def _why(self, node: Condition) -> list[str]:
        """What makes a condition true, or keeps it from being true."""
        truth = self._truth(node)
        match node:
            case InSegment(segment=name):
                return self._why(self.view.segment(name))
            case All(items=items):
                return [why for item in items if truth or not self._truth(item) for why in self._why(item)]
            case AnyOf(items=items):
                return [why for item in items if not truth or self._truth(item) for why in self._why(item)]
            case Not(item=item):
                return self._why(item)
        values = [self._value(feature) for feature in seen(node, self.view)]
        return [describe(node, truth, values, self.view)]

    @property
    def _address(self) -> str | None:
        address: str | None = self._value(column(self.view.address(self.campaign.channel), "b"))
        return address

    def _no_address(self, passed: bool) -> str:
        channel = self.run.project.channels[self.campaign.channel]
        return str(self._address) if passed else f"{channel.address} is missing, or no valid {channel.type} address"

    def _suppressed(self, passed: bool) -> str:
        if passed:
            return "nothing came back"
        last = [event for event in self._events() if event.type and event.address]
        return _said(last[-1], f"{last[-1].type}") if last else "reported"

    def _channel_unsubscribed(self, passed: bool) -> str:
        if self.campaign.ignore_unsubscribed:
            return f"not asked for: {self.campaign.ignore_unsubscribed}"
        name = self.campaign.channel
        if not passed:
            return self._left(status.CHANNEL, name)
        subscribed = self._value(self.view.on_channel(name))
        return f"subscribed on {name}" if subscribed else f"left {name}, and turned the campaign's groups on since"

    def _group_unsubscribed(self, passed: bool) -> str:
        if self.campaign.ignore_unsubscribed:
            return f"not asked for: {self.campaign.ignore_unsubscribed}"
        clause = self.campaign.groups
        if not clause:
            return "no groups named"
        held = {name: bool(self._value(self.view.in_group(name))) for name in clause.groups}
        if passed or clause.kind == "none":
            subscribed = [self._title(name) for name, truth in held.items() if truth]
            return f"subscribed to {', '.join(subscribed) or 'none of them'}"
        left = [self._left(name, self._title(name)) for name, truth in held.items() if not truth]
        return "; ".join(dict.fromkeys(left))

    def _title(self, group: str) -> str:
        return f"'{self.run.project.groups[group].title}'"

    def _frequency_capped(self) -> str:
        said = [
            f"{_counted(self._value(sent(cap, self.view)), 'message')} on {cap.channel}"
            f" in the {_counted(cap.days, 'day').removeprefix('1 ')} before as-of,"
            f" at most {cap.at_most}"
            for cap in frequency_caps(self.campaign, self.view)
        ]
        return "; ".join(said) or "no frequency cap"

    def _control_group(self) -> str:
        drawn = [
            f"drawn into the {group.percent:g} % of salt {group.salt}"
            for group in control_groups(self.campaign, self.view)
            if self._value(self.view.features.draw(group.salt)) < draws.threshold(group.percent)
        ]
        return "; ".join(drawn) or "in no control group"

    def _over_target_cap(self, passed: bool) -> str:
        cap = self.campaign.target_cap
        if not cap:
            return "no target cap"
        if cap.when_exceeded == "abort" and not passed:
            return f"more than {cap.at_most:,} people passed, so nobody is sent it"
        return f"{'among' if passed else 'beyond'} the first {cap.at_most:,} of the draw"

    def _left(self, group: str, shown: str) -> str:
        """Why a group (or the channel) is unsubscribed: who said so, or that nobody said yes."""
        events = [event for event in self._events() if not event.resubscribed and event.group in (group or None, None)]
        address, profile = self.run.ledger.standing(self.campaign.channel, address=self._address, profile=self.profile)
        for standing, level in ((address, "address"), (profile, "profile")):
            if standing.in_force(group) is False:
                own = [event for event in events if getattr(event, level)]
                if own:
                    return _said(
                        own[-1], f"left {shown}" if (own[-1].group or "") == group else f"left {self.campaign.channel}"
                    )
        return f"never subscribed to {shown}, which is opt-in"

    def _events(self) -> list[ChannelUnsubscribed]:
        return self.run.ledger.history(channel=self.campaign.channel, address=self._address, profile=self.profile)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _said(event: ChannelUnsubscribed, what: str) -> str:
    """An event in words: left 'Offers' on 3 May 1998 by one-click from campaign win_back."""
    campaign = f" from campaign {event.campaign_id}" if event.campaign_id else ""
    why = f" ({event.reason})" if event.reason else ""
    return f"{what} on {day(event.occurred_at)} by {event.source.replace('_', '-')}{campaign}{why}"


def _nodes(node: Condition, view: View) -> Iterator[Condition]:
    """A condition and all inside it, through the segments it names."""
    yield node
    match node:
        case All(items=items) | AnyOf(items=items):
            for item in items:
                yield from _nodes(item, view)
        case Not(item=item):
            yield from _nodes(item, view)
        case InSegment(segment=name):
            yield from _nodes(view.segment(name), view)
