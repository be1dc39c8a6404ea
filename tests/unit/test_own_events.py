"""Our own events taken in again, by a ledger that was restored from before they were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine import loaded_project, write_project
from maysend import plugins
from maysend.delivery.cloud_events import cloud_event
from maysend.errors import SourceError
from maysend.events import SOURCES, ChannelUnsubscribed, Fact
from maysend.importing import import_answers
from maysend.importing.formats import recorded
from maysend.ledger import Ledger, open_ledger
from maysend.model import Project

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORLD: dict[str, Any] = {
    "columns": {"id": "integer", "email": "text"},
    "profiles": [],
    "channels": {"email": {"type": "email", "address": "email"}},
    "groups": {name: {"channel": "email", "default": "subscribed"} for name in ("weekly_news", "offers")},
    "campaigns": {},
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_project(WORLD, tmp_path)
    return loaded_project(tmp_path)


@pytest.fixture
def ledger(project: Project) -> Iterator[Ledger]:
    with open_ledger("sqlite:///now.db", project.root, create=True) as ledger:
        yield ledger


@pytest.mark.parametrize("as_", ["a sink's lines", "history --json"])
@pytest.mark.parametrize("seed", range(5))
def test_a_ledger_from_before_takes_its_own_events_in_as_they_were(
    project: Project, ledger: Ledger, tmp_path: Path, seed: int, as_: str
) -> None:
    """Told late, told twice, by others or by the people themselves: all is as if it had never been away."""
    random = Random(seed)
    for _ in range(120):
        fact = Fact(
            channel="email",
            group=random.choice([None, "offers", "weekly_news"]),
            subscribed=random.random() < 0.4,
            address=f"a{random.randrange(3)}@x.org",
            profile=random.choice([None, str(random.randrange(3))]),
            source=random.choice(SOURCES),
            occurred_at=random.choice([None, datetime(2024, 1, random.randrange(1, 28), tzinfo=UTC)]),
            campaign=random.choice([None, "daily"]),
        )
        ledger.append([fact if fact.subscribed else replace(fact, type=random.choice([None, "spam"]))])
    events = list(ledger.events())
    with open_ledger("sqlite:///before.db", tmp_path, create=True) as before:
        for event in events[: len(events) // 2]:
            before.append([_as_fact(event)])
        file = tmp_path / ("events.jsonl" if as_ == "a sink's lines" else "events.json")
        if file.suffix == ".jsonl":
            file.write_bytes(b"".join(cloud_event(event, "here").body + b"\n" for event in events[5:]))
        else:
            file.write_text(json.dumps({"events": [event.as_json() for event in events]}), "utf-8")
        types = plugins.load().channel_types
        outcome = import_answers(project, types, before, recorded(file), allow_resubscribe=True)
        assert (outcome.changed, outcome.refused) == (len(events) - len(events) // 2, [])
        assert import_answers(project, types, before, recorded(file), allow_resubscribe=True).changed == 0
        assert [replace(e, recorded_at=NOW) for e in before.events()] == [replace(e, recorded_at=NOW) for e in events]
        then, now = ([row._replace(seq=0) for row in sorted(one.answers())] for one in (before, ledger))
        assert then == now
        for who in range(3):
            named = {"address": f"a{who}@x.org", "profile": str(who)}
            assert before.standing("email", **named) == ledger.standing("email", **named)


def _as_fact(event: ChannelUnsubscribed) -> Fact:
    told = {field.name: getattr(event, field.name, None) for field in fields(Fact)}
    return Fact(**told | {"subscribed": event.resubscribed, "campaign": event.campaign_id})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"specversion": "1.0", "type": "other"}, r"record 1 is no event of ours \('data'\)"),
        ({"channel": "email"}, r"record 1 is no event of ours \('address'\)"),
        (["email"], "record 1 is no event of ours"),
    ],
)
def test_what_is_no_event_of_ours_is_told(tmp_path: Path, line: Any, said: str) -> None:
    (tmp_path / "events.jsonl").write_text(json.dumps(line), "utf-8")
    with pytest.raises(SourceError, match=said):
        list(recorded(tmp_path / "events.jsonl"))
