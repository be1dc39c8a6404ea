"""The consent rule (spec 4), once: for a subject's answers over time, and for what two levels add up to.

Sets of groups are bit masks. The two functions that combine masks use only ``&``, ``|`` and ``~``, so that the same
lines run on Python integers (the pages, the command line) and on SQL trees (an audience).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self, TypeVar

from .events import OWN_CHOICES

CHANNEL = ""
"""The key under which a subject's answer for the whole channel stands among its answers."""


class Bits(Protocol):
    def __and__(self, other: Self, /) -> Self: ...
    def __or__(self, other: Self, /) -> Self: ...
    def __invert__(self) -> Self: ...


B = TypeVar("B", bound=Bits)


def both_levels(address: tuple[B, B], profile: tuple[B, B]) -> tuple[B, B]:
    """What two subjects' (yes, no) masks add up to: either's no is a no; else either's yes is a yes."""
    no = address[1] | profile[1]
    return (address[0] | profile[0]) & ~no, no


def subscribed(yes: B, no: B, default: B) -> B:
    """The groups (or the channel) whose status is subscribed: no answer means the default."""
    return yes | (default & ~no)


def covered(yes: B, no: B, channel_no: B) -> tuple[B, B]:
    """One subject's (yes, no) answers in force: a channel's no covers every group without a yes in force.

    ``yes`` and ``no`` are what ``Standing.in_force`` says of the groups that have an answer of their own;
    ``channel_no`` is every bit where the channel's last answer is a no, and no bit otherwise.
    """
    return yes, no | (channel_no & ~yes)


def statuses(address: Standing, profile: Standing, defaults: Mapping[str, bool]) -> dict[str, bool]:
    """Whether each group of one channel (and the channel, under ``CHANNEL``) is subscribed, for one person.

    ``defaults`` maps the names to ask about to what no answer means.
    """
    bits = {name: 1 << place for place, name in enumerate(defaults)}
    yes, no = both_levels(address.masks(bits), profile.masks(bits))
    mask = subscribed(yes, no, sum(bits[name] for name, default in defaults.items() if default))
    return {name: bool(mask & bit) for name, bit in bits.items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """A subject's last answer for one group or the channel; ``at`` is microseconds since the epoch.

    ``source`` is how it came (``events.Source``), None where that does not matter.
    """

    subscribed: bool
    at: int
    source: str | None = None

    def yields_to(self, subscribed: bool, at: int) -> bool:
        """Whether a fact replaces this answer as the latest: by time, and on a tie a no wins."""
        return at > self.at or (at == self.at and self.subscribed and not subscribed)


@dataclass(slots=True)
class Standing:
    """All that one subject has answered on one channel, and what of it is in force.

    ``answers`` maps group (or ``CHANNEL``) to the last answer. ``types`` are the bounce, drop and spam reports that no
    later yes has lifted, each with its time; ``last_yes`` is when the subject last said yes to anything.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    last_yes: int | None = None

    @property
    def suppressed(self) -> bool:
        """Whether the address has a report (``type``) and no later yes for the channel or a group."""
        return bool(self.types)

    @property
    def latest(self) -> int | None:
        """When the subject last answered anything here: a live choice is stamped after it."""
        if not (self.answers or self.types):
            return self.last_yes
        times = [*(answer.at for answer in self.answers.values()), *self.types.values()]
        return max(times if self.last_yes is None else [*times, self.last_yes])

    def in_force(self, group: str) -> bool | None:
        """The answer in force for ``group`` (True: subscribed), or None where there is none.

        While the channel's last answer is no, a group is no unless its own yes is later.
        """
        own, channel = self.answers.get(group), self.answers.get(CHANNEL)
        if group != CHANNEL and channel and not channel.subscribed:
            return bool(own and own.subscribed and own.at > channel.at)
        return own.subscribed if own else None

    def noes(self, group: str) -> list[Answer]:
        """The answers that hold ``group`` at a no: its own, the channel's, or both; none where it is no no."""
        if self.in_force(group) is not False:
            return []
        keys = dict.fromkeys((group, CHANNEL))
        return [answer for key in keys if (answer := self.answers.get(key)) and not answer.subscribed]

    def hears(
        self, group: str, subscribed: bool, at: int, type: str | None = None, *, source: str | None = None
    ) -> bool:
        """Whether a fact changes anything here, and so must be recorded (spec 4).

        A no that others told (an import, the command line) and the person now says too is theirs from then on: that is
        a change.
        """
        if type and not subscribed and type not in self.types and (self.last_yes is None or at >= self.last_yes):
            return True
        own = self.answers.get(group)
        if own is None:
            return True
        if not own.yields_to(subscribed, at):
            return False
        if own.subscribed != subscribed or (source in OWN_CHOICES and own.source not in OWN_CHOICES and not subscribed):
            return True
        if group == CHANNEL:
            lifted = (self.answers[other] for other in self.groups() if self.in_force(other))
            return not subscribed and any(answer.at <= at for answer in lifted)
        channel = self.answers.get(CHANNEL)
        return subscribed and channel is not None and not channel.subscribed and own.at <= channel.at < at

    def apply(
        self, group: str, subscribed: bool, at: int, type: str | None = None, *, source: str | None = None
    ) -> None:
        """Take a recorded fact in. Older facts than the last answer leave it as it is."""
        own = self.answers.get(group)
        if own is None or own.yields_to(subscribed, at):
            self.answers[group] = Answer(subscribed, at, source)
        if subscribed:
            self.last_yes = at if self.last_yes is None else max(at, self.last_yes)
            self.types = {name: reported for name, reported in self.types.items() if reported >= at}
        elif type and (self.last_yes is None or at >= self.last_yes):
            self.types[type] = max(at, self.types.get(type, at))

    def groups(self) -> Iterator[str]:
        """The groups with an answer of their own, by name."""
        yield from sorted(group for group in self.answers if group != CHANNEL)

    def masks(self, bits: dict[str, int]) -> tuple[int, int]:
        """The (yes, no) answers in force as masks over the groups in ``bits``, where ``CHANNEL`` has the channel's."""
        yes = no = 0
        for group in self.answers:
            mark = bits.get(group, 0)
            match self.in_force(group):
                case True:
                    yes |= mark
                case False:
                    no |= mark
        channel_no = ~0 if self.in_force(CHANNEL) is False else 0
        whole = 0
        for mark in bits.values():
            whole |= mark
        yes, no = covered(yes, no, channel_no)
        return yes & whole, no & whole
