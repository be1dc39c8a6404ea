"""A campaign as predicates, stage by stage: the table of spec 5, in its order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Literal

from sqlglot import exp

from .. import draws
from ..conditions import Aggregate, Kept, compile
from ..errors import SourceError
from ..model import Campaign, ControlGroup, FrequencyCap, GroupClause
from ..trees import both, either, has, has_all, how_many, opposite
from ..where import All, Condition, Duration, InSegment, Property, Window
from .features import View
from .tables import SENDS

E = exp.Expr

Reason = Literal[
    "not_in_audience",
    "no_address",
    "suppressed",
    "channel_unsubscribed",
    "group_unsubscribed",
    "duplicate_address",
    "frequency_capped",
    "control_group",
    "over_target_cap",
]
REASONS: tuple[Reason, ...] = (
    "not_in_audience",
    "no_address",
    "suppressed",
    "channel_unsubscribed",
    "group_unsubscribed",
    "duplicate_address",
    "frequency_capped",
    "control_group",
    "over_target_cap",
)
"""Why a profile is left out, in the order in which the first that applies is its reason."""


def predicates(campaign: Campaign, view: View) -> Iterator[tuple[Reason, E]]:
    """What must be true of a profile to pass each stage; a stage without a predicate lets everyone pass.

    ``duplicate_address`` and ``over_target_cap`` look at other profiles and have none.
    """
    for test in _audience(campaign, view):
        yield "not_in_audience", test
    yield "no_address", view.reachable(campaign.channel)
    yield "suppressed", opposite(view.suppressed(campaign.channel))
    if not campaign.ignore_unsubscribed:
        yield "channel_unsubscribed", _on_channel(campaign, view)
        if campaign.groups:
            yield (
                "group_unsubscribed",
                _clause(campaign.groups, view.in_groups(campaign.groups.groups)),
            )
    for cap in frequency_caps(campaign, view):
        yield "frequency_capped", exp.LT(this=sent(cap, view), expression=exp.Literal.number(cap.at_most))
    for group in control_groups(campaign, view):
        yield (
            "control_group",
            exp.GTE(this=view.features.draw(group.salt), expression=exp.Literal.number(draws.threshold(group.percent))),
        )


def _audience(campaign: Campaign, view: View) -> Iterator[E]:
    if len(campaign.include) == 1:
        for part in flatten(InSegment(campaign.include[0]), view):
            yield compile(part, view)
    elif campaign.include:
        yield either([compile(InSegment(name), view) for name in campaign.include])
    for name in campaign.exclude:
        yield opposite(compile(InSegment(name), view))


def flatten(condition: Condition, view: View) -> Iterator[Condition]:
    """The parts that must all be true: top-level ``all``, through the segments it names."""
    match condition:
        case All(items=items):
            for item in items:
                yield from flatten(item, view)
        case InSegment(segment=name):
            yield from flatten(view.segment(name), view)
        case _:
            yield condition


def _on_channel(campaign: Campaign, view: View) -> E:
    """The channel's status, or the campaign's own groups turned on since."""
    subscribed = view.on_channel(campaign.channel)
    if not campaign.groups or campaign.groups.kind == "none":
        return subscribed
    return either([subscribed, _clause(campaign.groups, view.turned_on(campaign.groups.groups))])


def _clause(clause: GroupClause, groups: Sequence[tuple[E, int]]) -> E:
    """What a clause says of its ``groups``, given as words and the bits of those that are on."""
    match clause.kind:
        case "all":
            return both([has_all(word, bits) for word, bits in groups])
        case "any":
            return either([has(word, bits) for word, bits in groups])
        case "none":
            return opposite(either([has(word, bits) for word, bits in groups]))
    on = [how_many(word, bits) for word, bits in groups]
    total = reduce(lambda left, right: exp.Add(this=left, expression=right), on)
    return exp.GTE(this=total, expression=exp.Literal.number(clause.count))


def frequency_caps(campaign: Campaign, view: View) -> list[FrequencyCap]:
    """The caps that bind a campaign: the project's on its channel, and its own; none where it is transactional."""
    if campaign.purpose == "transactional":
        return []
    return [cap for cap in (*view.project.frequency_caps, *campaign.frequency_caps) if cap.channel == campaign.channel]


def sent(cap: FrequencyCap, view: View) -> E:
    """How many messages the profile was sent on the cap's channel within its days."""
    sends = view.project.sends
    if not sends:
        raise SourceError('project.yaml: a frequency cap needs "sends", the table of what was sent')
    kept = Kept(SENDS, Window(last=Duration(cap.days, "day")), (Property(sends.channel, "equals", cap.channel),))
    count, _ = view.aggregate(Aggregate(kept, "count"))
    return count


def control_groups(campaign: Campaign, view: View) -> Iterator[ControlGroup]:
    """Those a campaign leaves out: the system's, and the custom one it names or its own."""
    declared = view.project.control_groups
    if "system" in declared:
        yield declared["system"]
    if isinstance(campaign.control_group, ControlGroup):
        yield campaign.control_group
    elif campaign.control_group:
        yield declared[campaign.control_group]
