"""What a decision depends on, as a value: where it is the same in two sets of declarations, so is every decision."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from ..columns import LEDGER_EVENT
from ..model import Campaign, Project
from ..where import All, AnyOf, Condition, Did, InGroups, InList, InSegment, Interest, Not, OnChannel


@dataclass(frozen=True, slots=True)
class Reach:
    """One project's campaigns and segments as values, in which every name stands for what it declares."""

    project: Project
    _segments: dict[str, Hashable] = field(default_factory=dict)

    def campaign(self, name: str) -> Hashable:
        """All that decides for a campaign; None where it is not declared."""
        one = self.project.campaigns.get(name)
        if not one:
            return None
        clause = one.groups and (one.groups.kind, one.groups.count, frozenset(map(self._group, one.groups.groups)))
        return (
            self._channel(one.channel),
            bool(one.ignore_unsubscribed),
            frozenset(map(self._member, one.include)),
            frozenset(map(self._member, one.exclude)),
            clause,
            self._caps(one),
            self._control_groups(one),
            one.target_cap,
            self.project.timezone,
        )

    def segment(self, name: str) -> Hashable:
        """All that decides who is in a segment; None where it is not declared."""
        return (self._member(name), self.project.timezone) if name in self.project.segments else None

    def _member(self, name: str) -> Hashable:
        if name not in self._segments:
            self._segments[name] = ("segment", self._condition(self.project.segments[name].where))
        return self._segments[name]

    def _condition(self, condition: Condition) -> Hashable:
        match condition:
            case All(items=items) | AnyOf(items=items):
                return type(condition).__name__, tuple(map(self._condition, items))
            case Not(item=item):
                return "not", self._condition(item)
            case InSegment(segment=name):
                return self._member(name)
            case InGroups(groups=groups):
                named = [group.name for group in self.project.active_groups()] if groups is None else groups
                return replace(condition, groups=()), groups is None, frozenset(map(self._group, named))
            case OnChannel(channel=channel):
                return condition, self._channel(channel)
            case InList(channel=channel) if channel:
                return condition, self._channel(channel)
            case Did(event=event) | Interest(event=event) if event == LEDGER_EVENT:
                return condition, frozenset(map(self._channel, self.project.channels))
        return condition

    def _group(self, name: str) -> Hashable:
        group = self.project.groups[name]
        return name, self._channel(group.channel), group.default

    def _channel(self, name: str) -> Hashable:
        channel = self.project.channels[name]
        return name, channel.type, channel.address

    def _caps(self, campaign: Campaign) -> Hashable:
        if campaign.purpose == "transactional":
            return ()
        caps = (*self.project.frequency_caps, *campaign.frequency_caps)
        return frozenset(cap for cap in caps if cap.channel == campaign.channel)

    def _control_groups(self, campaign: Campaign) -> Hashable:
        drawn = self.project.control_groups
        own = drawn[campaign.control_group] if isinstance(campaign.control_group, str) else campaign.control_group
        return drawn.get("system"), own
