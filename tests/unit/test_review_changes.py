"""Which changes there are between two files, and at which line: two changed conditions are two changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine import loaded_plugins
from maysend import documents, loader
from maysend.documents import Document
from maysend.review import changes, variants
from maysend.review.changes import Change

BASE = """\
title: Regulars
where:
  all:
    - {did: Charged, count: {at_least: 3}}
    - {property: country, in: [US, CA]}
    - {not: {segment: staff}}
"""


def document(text: str, file: str = "segments/regulars.yaml") -> Document:
    found, problems = documents.parse(text, file)
    assert found
    assert not problems
    return found


def found(old: str, new: str) -> list[Change]:
    return changes.find({"segments/regulars.yaml": document(old)}, {"segments/regulars.yaml": document(new)})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("at_least: 3", "at_least: 2", [(4, "changed")]),
        ("[US, CA]", "[US, CA, MX]", [(5, "changed")]),
        ("title: Regulars", "title: Regular people", []),
        ("    - {property: country, in: [US, CA]}\n", "", [(4, "removed")]),
        ("    - {not:", "    - {reachable: email}\n    - {not:", [(6, "added")]),
        ("{at_least: 3}", "{at_most: 3}", [(4, "added"), (4, "removed")]),
        ("{property: country, in: [US, CA]}", "{in: [US, CA], property: country}", []),
        ("count: {at_least: 3}", "count: {at_least: true}", [(4, "changed")]),
    ],
)
def test_a_change_is_at_its_line(old: str, new: str, expected: list[tuple[int, str]]) -> None:
    assert sorted((one.line, one.kind) for one in found(BASE, BASE.replace(old, new))) == expected


def test_two_changed_conditions_are_two_changes() -> None:
    new = BASE.replace("at_least: 3", "at_least: 2").replace("[US, CA]", "[US]")
    assert [one.line for one in found(BASE, new)] == [4, 5]


@pytest.mark.parametrize("removed", range(3))
@pytest.mark.parametrize("added", range(4))
def test_taking_every_change_back_gives_the_base(removed: int, added: int) -> None:
    """One condition taken out, another put in, a third changed: each is taken back by itself, and at its place."""
    lines = BASE.splitlines()
    del lines[3 + removed]
    lines.insert(3 + added % len(lines[3:]), "    - {reachable: email}")
    before, after = document(BASE), document("\n".join(lines).replace("staff", "crew"))
    base, head = {before.file: before}, {after.file: after}
    kept = [str(item) for item in before.data["where"]["all"]]
    for one in changes.find(base, head):
        reverted = one.reverted(base, head)
        assert reverted
        now, then = (sorted(str(item) for item in side.data["where"]["all"]) for side in (reverted, after))
        assert now != then
        assert sum(item in kept for item in now) >= sum(item in kept for item in then)
    whole = Change(after.file, 1, (), (), "changed").reverted(base, head)
    assert whole is before


def test_an_operator_that_was_changed_is_taken_back_whole(tmp_path: Path) -> None:
    """Neither "at_least" nor "at_most" can be taken back alone: what is left would have two operators, or none."""
    (tmp_path / "channels").mkdir()
    (tmp_path / "segments").mkdir()
    (tmp_path / "campaigns").mkdir()
    (tmp_path / "project.yaml").write_text("profiles: {source: people.csv, key: id}\n")
    (tmp_path / "channels/email.yaml").write_text("type: email\naddress: email\n")
    (tmp_path / "campaigns/hello.yaml").write_text("channel: email\naudience: {include: [adults]}\n")
    segment = tmp_path / "segments/adults.yaml"
    segment.write_text("where:\n  all:\n    - {property: age, at_least: 18}\n    - {property: age, exists: true}\n")
    base = loader.load(tmp_path, loaded_plugins())
    segment.write_text("where:\n  all:\n    - {property: age, at_most: 18}\n    - {property: age, exists: true}\n")
    head = loader.load(tmp_path, loaded_plugins())
    (one,) = variants.find(base, head, loaded_plugins(), lambda _: [])
    assert (one.change.file, one.change.line, one.change.head) == ("segments/adults.yaml", 3, ("where", "all", 0))
    assert one.project.segments["adults"].where == base.segments["adults"].where


def test_a_new_segment_cannot_be_taken_back_while_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "campaigns").mkdir()
    (tmp_path / "project.yaml").write_text("profiles: {source: people.csv, key: id}\n")
    (tmp_path / "channels/email.yaml").write_text("type: email\naddress: email\n")
    campaign = tmp_path / "campaigns/hello.yaml"
    campaign.write_text("channel: email\n")
    base = loader.load(tmp_path, loaded_plugins())
    campaign.write_text("channel: email\naudience: {include: [adults]}\n")
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments/adults.yaml").write_text("where: {property: age, at_least: 18}\n")
    head = loader.load(tmp_path, loaded_plugins())
    (one,) = variants.find(base, head, loaded_plugins(), lambda _: [])
    assert (one.change.file, one.change.line) == ("campaigns/hello.yaml", 2)


def test_beyond_the_most_changes_those_of_a_file_are_one(tmp_path: Path) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "segments").mkdir()
    (tmp_path / "project.yaml").write_text("profiles: {source: people.csv, key: id}\n")
    (tmp_path / "channels/email.yaml").write_text("type: email\naddress: email\n")
    segment = tmp_path / "segments/many.yaml"

    def several(start: int) -> str:
        lines = [f"    - {{property: age, at_least: {start + index}}}" for index in range(variants.MOST + 1)]
        return "\n".join(["where:", "  all:", *lines, ""])

    segment.write_text(several(0))
    base = loader.load(tmp_path, loaded_plugins())
    segment.write_text(several(1000))
    head = loader.load(tmp_path, loaded_plugins())
    assert variants.find(base, head, loaded_plugins(), lambda _: []) == []
    (one,) = variants.find(base, head, loaded_plugins(), lambda _: [], whole_files=True)
    assert (one.change.line, replace(one.change, line=1).whole) == (3, True)
