"""The cases of tests/cases/status: people answer, and what that adds up to. Their format stands in the README there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maysend.documents import read
from maysend.events import Fact
from maysend.status import CHANNEL, Standing, statuses

DIRECTORY = Path(__file__).parent / "cases" / "status"


@dataclass(frozen=True)
class StatusCase:
    """One case; ``facts`` in order of arrival, ``recorded`` of each whether it becomes an event."""

    name: str
    channels: Mapping[str, str]
    groups: Mapping[str, Mapping[str, str]]
    profiles: Mapping[str, str | None]
    facts: tuple[Fact, ...]
    recorded: tuple[bool, ...]
    expected: Mapping[str, Mapping[str, Any]]

    def defaults(self, channel: str) -> dict[str, bool]:
        """What no answer means, for the channel and its groups."""
        of_groups = {
            name: group.get("default", "subscribed") == "subscribed"
            for name, group in self.groups.items()
            if group.get("channel", "email") == channel
        }
        return {CHANNEL: self.channels[channel] == "subscribed"} | of_groups

    def shown(self, channel: str, address: Standing, profile: Standing) -> dict[str, str]:
        """What two standings on a channel add up to, in the words of ``expected``."""
        found = statuses(address, profile, self.defaults(channel))
        return {name or channel: "subscribed" if yes else "unsubscribed" for name, yes in found.items()}


def status_cases() -> list[StatusCase]:
    """Every case, in the order of files."""
    return [_case(data) for file in sorted(DIRECTORY.glob("*.yaml")) for data in _read(file)]


def _read(file: Path) -> list[dict[str, Any]]:
    document, problems = read(file, file.name)
    assert document, problems
    assert not problems, problems
    cases: list[dict[str, Any]] = document.data
    return cases


def _case(data: Mapping[str, Any]) -> StatusCase:
    facts = data["facts"]
    return StatusCase(
        name=data["case"],
        channels=data.get("channels", {"email": "subscribed"}),
        groups=data.get("groups", {}),
        profiles=data["profiles"],
        facts=tuple(_fact(fact) for fact in facts),
        recorded=tuple(fact["recorded"] for fact in facts),
        expected=data["expected"],
    )


def _fact(data: Mapping[str, Any]) -> Fact:
    return Fact(
        channel=data.get("channel", "email"),
        group=data.get("group"),
        subscribed={"subscribed": True, "unsubscribed": False}[data["status"]],
        address=data.get("address"),
        profile=data.get("profile"),
        type=data.get("type"),
        occurred_at=datetime.fromisoformat(data["at"]).replace(tzinfo=UTC),
        source=data.get("source", "cli"),
    )
