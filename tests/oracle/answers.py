"""Answers and status (spec 4): which facts become events, and what the events add up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .addresses import OPT_IN
from .world import Fact, Profile, World

CHANNEL_DEFAULTS = {"email": "subscribed", "sms": "subscribed", "push": "subscribed", OPT_IN: "unsubscribed"}

OWN_CHOICES = ("page", "one_click", "api", "reply", "feedback")
"""How people say themselves that they leave."""

Events = list[Fact]
Subject = tuple[str, str]
"""Who answers: ``("address", a)`` or ``("profile", p)``."""


def recorded(facts: Iterable[Fact]) -> list[bool]:
    """Of each fact in order of arrival, whether it became an event."""
    events: Events = []
    heard = []
    for fact in facts:
        heard.append(any(_changes(fact, subject, said(events, fact.channel, subject)) for subject in _subjects(fact)))
        if heard[-1]:
            events.append(fact)
    return heard


def history(facts: Iterable[Fact]) -> Events:
    """The facts that became events."""
    kept = list(facts)
    return [fact for fact, heard in zip(kept, recorded(kept), strict=True) if heard]


def said(events: Events, channel: str, subject: Subject) -> Events:
    """The events on a channel that name the subject: its answers."""
    return [event for event in events if event.channel == channel and subject in _subjects(event)]


def own_answer(answers: Events, group: str | None) -> Fact | None:
    """A subject's last answer for a group, or for the channel: the latest; on a tie a no wins."""
    about = [answer for answer in answers if answer.group == group]
    return max(about, key=lambda answer: (answer.at, not answer.subscribed), default=None)


def in_force(answers: Events, group: str | None) -> bool | None:
    """The answer in force, True for yes: a channel's no covers its groups, a group's later yes lifts it for itself."""
    own, channel = own_answer(answers, group), own_answer(answers, None)
    if group is not None and channel and not channel.subscribed:
        return bool(own and own.subscribed and own.at > channel.at)
    return own.subscribed if own else None


def reports(address_answers: Events) -> set[str]:
    """The bounces, drops and complaints of an address that no later yes, to the channel or a group, has lifted."""
    yeses = [answer.at for answer in address_answers if answer.subscribed]
    return {answer.type for answer in address_answers if answer.type and not any(yes > answer.at for yes in yeses)}


def _changes(fact: Fact, subject: Subject, answers: Events) -> bool:
    """Whether the fact changes anything that holds for this subject."""
    if fact.type and subject[0] == "address" and fact.type in reports([*answers, fact]) - reports(answers):
        return True
    own = own_answer(answers, fact.group)
    if own is None:
        return True
    later = fact.at > own.at or (fact.at == own.at and own.subscribed and not fact.subscribed)
    if not later:
        return False
    if own.subscribed != fact.subscribed:
        return True
    if not fact.subscribed and fact.source in OWN_CHOICES and own.source not in OWN_CHOICES:
        return True
    groups = {None, *(answer.group for answer in answers)}
    return any(in_force(answers, group) != in_force([*answers, fact], group) for group in groups)


def _subjects(fact: Fact) -> Iterator[Subject]:
    if fact.address is not None:
        yield "address", fact.address
    if fact.profile is not None:
        yield "profile", fact.profile


class Consent:
    """What everybody's answers add up to."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.events = history(world.facts)

    def answer(self, profile: Profile, channel: str, group: str | None) -> bool | None:
        """Both levels together: either subject's no is a no, else either's yes is a yes, else there is none."""
        levels = [in_force(said(self.events, channel, who), group) for who in self._who(profile, channel)]
        if False in levels:
            return False
        return True if True in levels else None

    def channel_subscribed(self, profile: Profile, channel: str) -> bool:
        answer = self.answer(profile, channel, None)
        default = CHANNEL_DEFAULTS[self._world.channels[channel]["type"]]
        return default == "subscribed" if answer is None else answer

    def group_subscribed(self, profile: Profile, group: str) -> bool:
        declared = self._world.groups[group]
        answer = self.answer(profile, declared["channel"], group)
        return declared["default"] == "subscribed" if answer is None else answer

    def turned_on(self, profile: Profile, group: str) -> bool:
        """Whether the group is on by somebody's own yes, whatever the channel says."""
        return self.answer(profile, self._world.groups[group]["channel"], group) is True

    def suppressed(self, profile: Profile, channel: str) -> bool:
        address = self._world.address(profile, channel)
        return address is not None and bool(reports(said(self.events, channel, ("address", address))))

    def named(self, profile: Profile) -> Events:
        """The events that name the profile, or an address that is its own on the event's channel."""
        return [
            event
            for event in self.events
            if event.channel in self._world.channels
            and any(who in self._who(profile, event.channel) for who in _subjects(event))
        ]

    def _who(self, profile: Profile, channel: str) -> list[Subject]:
        address = self._world.address(profile, channel)
        return [("profile", str(profile.key))] + ([("address", address)] if address is not None else [])
