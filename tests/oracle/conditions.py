"""Conditions (spec 3): whether one is true, false or unknown (None) of a profile."""

from __future__ import annotations

from collections.abc import Iterable

from . import behaviour
from .addresses import normalize
from .answers import Consent
from .draws import bucket
from .operators import near, operation, passes
from .times import Clock
from .world import Plain, Profile, Row, World


def every(results: Iterable[bool | None]) -> bool | None:
    """AND: false where one is false, else unknown where one is unknown."""
    seen = list(results)
    return False if False in seen else None if None in seen else True


def some(results: Iterable[bool | None]) -> bool | None:
    """OR: true where one is true, else unknown where one is unknown."""
    seen = list(results)
    return True if True in seen else None if None in seen else False


def negate(result: bool | None) -> bool | None:
    """NOT: what is unknown stays unknown."""
    return None if result is None else not result


def of_row(where: Plain, row: Row, types: dict[str, str], clock: Clock) -> bool | None:
    """A ``where`` of property leaves over one row, of profiles or of events."""
    if "all" in where:
        return every(of_row(item, row, types, clock) for item in where["all"])
    if "any" in where:
        return some(of_row(item, row, types, clock) for item in where["any"])
    if "not" in where:
        return negate(of_row(where["not"], row, types, clock))
    if "near" in where:
        return near(row, where["property"], where["near"])
    operator, operand = operation(where, besides=("property",))
    return passes(row[where["property"]], types[where["property"]], operator, operand, clock)


class Conditions:
    """Evaluates the conditions of a world."""

    def __init__(self, world: World, consent: Consent) -> None:
        self._world = world
        self._consent = consent

    def member(self, profile: Profile, segment: str) -> bool:
        """Whether a profile is in a segment: only where its condition is true."""
        return self.evaluate(self._world.segments[segment], profile) is True

    def evaluate(self, where: Plain, profile: Profile) -> bool | None:
        """What a condition says of a profile."""
        if "all" in where:
            return every(self.evaluate(item, profile) for item in where["all"])
        if "any" in where:
            return some(self.evaluate(item, profile) for item in where["any"])
        if "not" in where:
            return negate(self.evaluate(where["not"], profile))
        if "property" in where:
            return of_row(where, profile.row, self._world.types, self._world.clock)
        return self._two_valued(where, profile)

    def _two_valued(self, leaf: Plain, profile: Profile) -> bool:
        """Every leaf that is not about a property is true or false."""
        world, consent = self._world, self._consent
        match leaf:
            case {"did": name} | {"did_not": name}:
                return behaviour.did(leaf, self._events(profile, name), world.clock, self._of_event)
            case {"most_often": inner}:
                return behaviour.most_often(inner, self._events(profile, inner["event"]), world.clock, self._of_event)
            case {"share": inner}:
                return behaviour.share(inner, self._events(profile, inner["event"]), world.clock, self._of_event)
            case {"subscription_groups": inner}:
                return self._in_groups(inner, profile)
            case {"subscribed": channel}:
                return consent.channel_subscribed(profile, channel)
            case {"unsubscribed": channel}:
                return not consent.channel_subscribed(profile, channel)
            case {"reachable": channel}:
                return world.address(profile, channel) is not None
            case {"segment": segment}:
                return self.member(profile, segment)
            case {"in_list": inner}:
                return self._in_list(inner, profile)
            case {"bucket": inner}:
                low, high = inner["between"]
                return bool(low <= bucket(profile.key, inner.get("salt", "bucket")) <= high)
        raise ValueError(f"no condition in {sorted(leaf)}")

    def _events(self, profile: Profile, name: str) -> behaviour.Events:
        return behaviour.events_of(self._world, self._consent, profile, name)

    def _of_event(self, where: Plain, row: Row, types: dict[str, str]) -> bool | None:
        return of_row(where, row, types, self._world.clock)

    def _in_groups(self, leaf: Plain, profile: Profile) -> bool:
        if "exclude" in leaf:
            return not self._in_groups({"include": leaf["exclude"], "match": leaf.get("match", "any")}, profile)
        active = [name for name, group in self._world.groups.items() if group.get("status", "active") == "active"]
        groups = active if leaf["include"] == "all" else leaf["include"]
        subscribed = [self._consent.group_subscribed(profile, group) for group in groups]
        return all(subscribed) if leaf.get("match", "any") == "all" else any(subscribed)

    def _in_list(self, leaf: Plain, profile: Profile) -> bool:
        """A list holds keys, or addresses on a channel; both are compared as text."""
        listed = [row[leaf["column"]] for row in self._world.lists[leaf["source"]].rows]
        texts = [str(value) for value in listed if value is not None]
        if "channel" not in leaf:
            return str(profile.key) in texts
        channel_type = self._world.channels[leaf["channel"]]["type"]
        address = self._world.address(profile, leaf["channel"])
        return address is not None and address in [normalize(text, channel_type) for text in texts]
