"""Every profile's status, written by the engine, is what status.py says of the ledger's standings in plain Python."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import duckdb
import pytest

from maysend import addresses, exporting, loader, plugins, runner, status
from maysend.errors import OutputError
from maysend.events import Fact
from maysend.ledger import Ledger, Subject, open_ledger
from maysend.model import Project

PEOPLE = 120
GROUPS = {"email": {"news": "subscribed", "offers": "unsubscribed"}, "sms": {"alerts": "subscribed"}, "letter": {}}


def project_of(root: Path, keys: list[str]) -> Project:
    rows = [f"{key},{_mail(place)},+4915{place // 2:08}" for place, key in enumerate(keys)]
    files = {
        "project.yaml": "title: A\nprofiles: {source: p.parquet, key: the key}\n",
        "p.csv": "\n".join(["the key,mail,phone", *rows]),
        **{f"channels/{name}.yaml": "type: email\naddress: mail\n" for name in ("email", "letter")},
        "channels/sms.yaml": "type: sms\naddress: phone\n",
        **{
            f"subscription_groups/{name}.yaml": f"title: T\ndescription: D\nchannel: {channel}\ndefault: {default}\n"
            for channel, groups in GROUPS.items()
            for name, default in groups.items()
        },
    }
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    duckdb.read_csv(str(root / "p.csv")).write_parquet(str(root / "p.parquet"))
    return loader.load(root, plugins.load())


def _mail(place: int) -> str:
    return "" if place % 11 == 0 else "nobody" if place % 13 == 0 else f" Person{place // 3}@x.org"


def answered(ledger: Ledger, keys: list[str]) -> None:
    random = Random(4)
    facts = []
    for _ in range(400):
        channel = random.choice(list(GROUPS))
        address = f"+4915{random.randrange(60):08}" if channel == "sms" else f"person{random.randrange(40)}@x.org"
        facts.append(
            Fact(
                channel=channel,
                group=random.choice([None, *GROUPS[channel]]),
                subscribed=random.random() < 0.5,
                address=random.choice([address, None]),
                profile=random.choice(keys),
                source="api",
            )
        )
    ledger.append(facts)


@pytest.mark.parametrize(
    "keys", [[str(n) for n in range(7, 7 + PEOPLE)], [f"it's {n}" for n in range(PEOPLE)]], ids=["integers", "texts"]
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_the_engine_writes_is_what_the_rule_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[str], kind: str
) -> None:
    monkeypatch.setenv("MAYSEND_ERASURE_KEY", "a secret that is never rotated")
    project, found = project_of(tmp_path, keys), plugins.load()
    file = tmp_path / f"profiles.{kind}"
    with open_ledger(project.ledger, project.root, create=True) as ledger:
        answered(ledger, keys)
        ledger.erase([Subject("email", "profile", keys[5]), Subject("email", "address", "person9@x.org")])
        with runner.opened(project, datetime.now(UTC), found) as run:
            assert run.catalog.profiles
            written = exporting.write_subscription_groups(file, project, found.channel_types, run.catalog, run.backend)
        expected = [[key, *_status(project, ledger, place, key)] for place, key in enumerate(keys)]
    assert written == PEOPLE
    header, *rows = _read(file)
    assert header == ["the key", "alerts", "news", "offers"]
    assert rows == (expected if keys[0] == "7" else sorted(expected))
    assert all(len({row[place] for row in rows}) == 2 for place in (1, 2, 3))


def _status(project: Project, ledger: Ledger, place: int, key: str) -> list[str]:
    told = {}
    for channel, groups in GROUPS.items():
        raw = f"+4915{place // 2:08}" if channel == "sms" else _mail(place)
        kind = plugins.load().channel_types[project.channels[channel].type]
        standings = ledger.standing(channel, address=addresses.normalizer(kind.address)(raw), profile=key)
        told |= status.statuses(*standings, {name: default == "subscribed" for name, default in groups.items()})
    return ["Subscribed" if told[name] else "Unsubscribed" for name in sorted(told)]


def _read(file: Path) -> list[list[str]]:
    if file.suffix == ".csv":
        with file.open(newline="") as lines:
            return list(csv.reader(lines))
    relation = duckdb.read_parquet(str(file))
    return [relation.columns, *map(list, relation.fetchall())]


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(OutputError, match=r"taken\.csv: cannot be written: Is a directory"):
        exporting.write(tmp_path / "taken.csv", ["a"], [["1"]])
    with pytest.raises(OutputError, match=r"none.*cannot be written: No such file"):
        exporting.write(tmp_path / "none" / "x.parquet", ["a"], [["1"]])
    assert [file.name for file in tmp_path.iterdir()] == ["taken.csv"]
