"""The oracle reads spec 4 as the cases of tests/cases/status do."""

from __future__ import annotations

import pytest

import oracle
from status_cases import StatusCase, status_cases

AS_OF = "2024-06-01T00:00:00Z"
TYPES = {"subscribed": "push", "unsubscribed": oracle.OPT_IN}


@pytest.mark.parametrize("case", status_cases(), ids=lambda case: case.name)
def test_status_cases(case: StatusCase) -> None:
    world = oracle.read(
        {
            "as_of": AS_OF,
            "columns": {"id": "text", "address": "text"},
            "profiles": [{"id": key, "address": address} for key, address in case.profiles.items()],
            "channels": {
                name: {"type": TYPES[default], "address": "address"} for name, default in case.channels.items()
            },
            "groups": {
                name: {"channel": "email", "default": "subscribed", **group} for name, group in case.groups.items()
            },
            "campaigns": {},
            "facts": [
                {
                    "channel": fact.channel,
                    "group": fact.group,
                    "address": fact.address,
                    "profile": fact.profile,
                    "answer": "subscribed" if fact.subscribed else "unsubscribed",
                    "at": str(fact.occurred_at),
                    "type": fact.type,
                    "source": fact.source,
                }
                for fact in case.facts
            ],
        }
    )
    assert tuple(oracle.recorded(world.facts)) == case.recorded
    consent = oracle.Consent(world)
    for profile in world.profiles:
        shown: dict[str, object] = {name: _word(consent.channel_subscribed(profile, name)) for name in case.channels}
        shown |= {name: _word(consent.group_subscribed(profile, name)) for name in case.groups}
        if suppressed := [name for name in case.channels if consent.suppressed(profile, name)]:
            shown["suppressed"] = suppressed
        assert shown == case.expected[str(profile.key)], profile.key


def _word(subscribed: bool) -> str:
    return "subscribed" if subscribed else "unsubscribed"
