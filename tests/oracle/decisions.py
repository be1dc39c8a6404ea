"""A campaign's decisions (spec 5): the first reason that leaves a profile out, or ``included``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .answers import Consent
from .conditions import Conditions
from .draws import draw, drawn
from .world import Key, Plain, Profile, World, read

Reasons = dict[str, dict[Key, str]]
"""By campaign, every profile's reason."""


def decide(plain: Plain) -> Reasons:
    """Every campaign's decision about every profile of a plain world."""
    world = read(plain)
    decisions = _Decisions(world)
    return {name: decisions.of_campaign(campaign) for name, campaign in world.campaigns.items()}


class _Decisions:
    def __init__(self, world: World) -> None:
        self._world = world
        self._consent = Consent(world)
        self._conditions = Conditions(world, self._consent)

    def of_campaign(self, campaign: Plain) -> dict[Key, str]:
        reasons: dict[Key, str] = {}
        addresses: set[str | None] = set()
        for profile in sorted(self._world.profiles, key=lambda each: _order(each.key)):
            reason = self._about_consent(profile, campaign)
            if reason is None:
                address = self._world.address(profile, campaign["channel"])
                reason = "duplicate_address" if address in addresses else self._about_policy(profile, campaign)
                addresses.add(address)
            reasons[profile.key] = reason or "included"
        return reasons | self._over_cap(campaign, [key for key, reason in reasons.items() if reason == "included"])

    def _about_consent(self, profile: Profile, campaign: Plain) -> str | None:
        """Who is meant, whether they can be reached, and whether they said no."""
        channel = campaign["channel"]
        if not self._in_audience(profile, campaign.get("audience", {})):
            return "not_in_audience"
        if self._world.address(profile, channel) is None:
            return "no_address"
        if self._consent.suppressed(profile, channel):
            return "suppressed"
        if "ignore_unsubscribed" in campaign:
            return None
        clause = campaign.get("subscription_groups")
        if not self._consent.channel_subscribed(profile, channel) and not self._turned_on(profile, clause):
            return "channel_unsubscribed"
        if clause and not self._clause_met(profile, clause):
            return "group_unsubscribed"
        return None

    def _about_policy(self, profile: Profile, campaign: Plain) -> str | None:
        """Whether they had enough already, or are held back to compare with."""
        if campaign.get("purpose", "marketing") != "transactional" and self._capped(profile, campaign):
            return "frequency_capped"
        if self._in_control_group(profile, campaign.get("control_group")):
            return "control_group"
        return None

    def _in_audience(self, profile: Profile, audience: Plain) -> bool:
        included = "include" not in audience or any(
            self._conditions.member(profile, segment) for segment in audience["include"]
        )
        return included and not any(self._conditions.member(profile, each) for each in audience.get("exclude", ()))

    def _clause_met(self, profile: Profile, clause: Plain) -> bool:
        return _enough(clause, lambda group: self._consent.group_subscribed(profile, group))

    def _turned_on(self, profile: Profile, clause: Plain | None) -> bool:
        """Whether groups that people turned on themselves meet a clause that asks for groups."""
        if not clause or "none" in clause:
            return False
        return _enough(clause, lambda group: self._consent.turned_on(profile, group))

    def _capped(self, profile: Profile, campaign: Plain) -> bool:
        channel = campaign["channel"]
        of_project = [cap for cap in self._world.frequency_caps if cap["channel"] == channel]
        return any(
            self._sends(profile, channel, cap["days"]) >= cap["at_most"]
            for cap in [*of_project, *campaign.get("frequency_caps", ())]
        )

    def _sends(self, profile: Profile, channel: str, days: int) -> int:
        """How many messages went to the profile on the channel in the days before as-of."""
        sends, table = self._world.sends, self._world.sent
        if not sends["columns"]:
            return 0
        low, high = self._world.clock.window({"last": f"{days} days"}, table.types[sends["at"]])
        return sum(
            row[sends["profile"]] is not None
            and str(row[sends["profile"]]) == str(profile.key)
            and row[sends["channel"]] == channel
            and row[sends["at"]] is not None
            and low <= row[sends["at"]] <= high
            for row in table.rows
        )

    def _in_control_group(self, profile: Profile, own: Plain | str | None) -> bool:
        """The system's control group, and the campaign's: a custom one that it names, or its own."""
        declared = self._world.control_groups
        groups = [declared["system"]] if "system" in declared else []
        if isinstance(own, str):
            groups.append(declared[own])
        elif own:
            groups.append(own)
        return any(drawn(profile.key, group["salt"], group["percent"]) for group in groups)

    def _over_cap(self, campaign: Plain, included: list[Key]) -> dict[Key, str]:
        """The keys beyond a target cap: the last in the draw's order, or with ``abort`` all."""
        cap = campaign.get("target_cap")
        if not cap or len(included) <= cap["at_most"]:
            return {}
        if cap["when_exceeded"] == "abort":
            return dict.fromkeys(included, "over_target_cap")
        in_order = sorted(included, key=lambda key: (draw(key, cap["salt"]), _order(key)))
        return dict.fromkeys(in_order[cap["at_most"] :], "over_target_cap")


def _enough(clause: Plain, on: Callable[[str], bool]) -> bool:
    """Whether a clause is met by the groups that are ``on``."""
    match clause:
        case {"all": groups}:
            return all(on(group) for group in groups)
        case {"any": groups}:
            return any(on(group) for group in groups)
        case {"none": groups}:
            return not any(on(group) for group in groups)
        case {"at_least": {"count": count, "of": groups}}:
            return bool(sum(on(group) for group in groups) >= count)
    raise ValueError(f"no clause in {sorted(clause)}")


def _order(key: Key) -> Any:
    """Integers by value, text by bytes."""
    return key if isinstance(key, int) else key.encode()
