"""A directory of declarations as a Project, or all its problems."""

from __future__ import annotations

import os
import time
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from maysend import ChannelType, loader, plugins
from maysend.errors import InvalidProjectError, MaysendError
from maysend.hookspecs import FeedbackParser, SinkType
from maysend.model import ControlGroup, FrequencyCap, GroupClause, TargetCap
from maysend.where import All, Comparison, Did, InGroups, Measure, Property

PROJECT = """\
title: CDNOW store
timezone: Europe/Paris
profiles: {source: data/profiles.parquet, key: customer_id, columns: {age: integer}}
events: {Charged: {source: "data/purchases/*.parquet", profile: customer_id, at: purchased_on}}
sends: {source: data/sends.parquet, profile: customer_id, channel: channel, at: sent_at}
frequency_caps: [{channel: email, at_most: 3, days: 7}]
control_groups: {system: {percent: 5, salt: s1}, loyalty: {percent: 2.5, salt: s2}}
ledger: "postgresql://maysend:${MAYSEND_TEST_PASSWORD}@db/maysend"
pages: {base_url: "https://mail.example.com", renderer: default, origins: ["https://example.com"]}
"""
GROUP = "title: {name}\nchannel: email\ndefault: subscribed\nstatus: {status}\n"
WIN_BACK = """\
title: We miss you
channel: email
audience: {include: [regulars], exclude: [staff]}
subscription_groups: {at_least: {count: 1, of: [new_releases, offers]}}
frequency_caps: [{at_most: 1, days: 30}]
control_group: {percent: 10, salt: winter}
target_cap: {at_most: 9, when_exceeded: abort}
"""
RECEIPT = """\
channel: email
purpose: transactional
ignore_unsubscribed: they bought it
control_group: loyalty
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write files under a project's directory: the whole sound project without arguments, more with them."""
    monkeypatch.setenv("MAYSEND_TEST_PASSWORD", "correct horse")
    sound = {
        "project.yaml": PROJECT,
        "channels/email.yaml": "type: email\naddress: email\n",
        "subscription_groups/new_releases.yaml": GROUP.format(name="New releases", status="active"),
        "subscription_groups/offers.yaml": GROUP.format(name="Offers", status="active") + "visibility: private\n",
        "segments/staff.yaml": "where: {property: email, ends_with: '@example.com'}\n",
        "segments/regulars.yaml": "title: Regulars\nwhere:\n  all:\n    - {did: Charged, count: {at_least: 3}}\n"
        "    - {subscription_groups: {include: [new_releases, offers], match: all}}\n",
        "campaigns/win_back.yaml": WIN_BACK,
        "campaigns/receipt.yaml": RECEIPT,
    }

    def write(**files: str) -> Path:
        for name, text in (sound | files).items():
            file = tmp_path / "store" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return tmp_path / "store"

    return write


def problems(root: Path, loaded: plugins.Plugins | None = None) -> list[str]:
    return [str(problem) for problem in loader.check(root, loaded or plugins.load())[1]]


def test_a_sound_project_is_loaded_whole(write: Write) -> None:
    root = write()
    project = loader.load(root, plugins.load())
    assert (project.title, project.timezone, project.active_groups_limit) == ("CDNOW store", "Europe/Paris", 50)
    assert project.profiles.key == "customer_id"
    assert project.profiles.source.path == str(root / "data/profiles.parquet")
    assert project.profiles.source.columns == {"age": "integer"}
    assert project.events["Charged"].source.path == str(root / "data/purchases/*.parquet")
    assert project.sends
    assert project.sends.at == "sent_at"
    assert project.frequency_caps == (FrequencyCap("email", 3, 7),)
    assert project.control_groups["loyalty"] == ControlGroup(2.5, "s2")
    assert project.ledger == "postgresql://maysend:correct horse@db/maysend"
    assert project.settings["pages"]["origins"] == ["https://example.com"]
    assert project.channels["email"].address == "email"
    assert project.groups["offers"].visibility == "private"
    assert project.segments["staff"].title == "staff"
    assert project.segments["regulars"].where == All(
        (
            Did("Charged", measures=(Measure("count", None, Comparison("at_least", 3)),)),
            InGroups(("new_releases", "offers"), match="all"),
        )
    )
    assert project.segments["staff"].where == Property("email", "ends_with", "@example.com")
    campaign = project.campaigns["win_back"]
    assert campaign.groups == GroupClause("at_least", ("new_releases", "offers"), 1)
    assert (campaign.include, campaign.exclude, campaign.purpose) == (("regulars",), ("staff",), "marketing")
    assert campaign.frequency_caps == (FrequencyCap("email", 1, 30),)
    assert campaign.control_group == ControlGroup(10, "winter")
    assert campaign.target_cap == TargetCap(9, "abort", "")
    assert project.campaigns["receipt"].control_group == "loyalty"
    assert project.campaigns["receipt"].ignore_unsubscribed == "they bought it"


def test_the_revision_changes_with_every_byte_and_every_name_and_with_nothing_else(write: Write) -> None:
    root = write()
    first = loader.load(root, plugins.load()).revision
    assert len(first) == 12
    os.utime(root / "project.yaml", (0, 0))
    (root / "data").mkdir()
    (root / "data" / "profiles.parquet").write_bytes(b"anything")
    assert loader.load(root, plugins.load()).revision == first
    (root / "campaigns" / "receipt.yaml").rename(root / "campaigns" / "receipts.yaml")
    second = loader.load(root, plugins.load()).revision
    (root / "segments" / "staff.yaml").write_text("where: {property: email, ends_with: '@example.com'} \n")
    assert len({first, second, loader.load(root, plugins.load()).revision}) == 3


def test_the_nearest_project_is_found_upward_and_only_where_asked(write: Write) -> None:
    root = write()
    inside = root / "campaigns"
    assert loader.find(root, upward=False) == root
    assert loader.find(inside, upward=True) == root
    with pytest.raises(
        MaysendError, match=r'^no project\.yaml in .*/campaigns; "maysend init DIR" makes an example project$'
    ):
        loader.find(inside, upward=False)
    with pytest.raises(MaysendError, match=r"^.*/nowhere is not a directory$"):
        loader.find(root / "nowhere", upward=True)


def test_fifty_one_active_groups_are_a_problem_and_archiving_one_makes_room(write: Write) -> None:
    many = {f"subscription_groups/g{n}.yaml": GROUP.format(name=f"Group {n}", status="active") for n in range(49)}
    root = write(**many)
    assert problems(root) == [
        "project.yaml:1:1: 51 subscription groups are active, and limits.active_groups is 50; archive one to make room"
    ]
    write(**{"subscription_groups/g7.yaml": GROUP.format(name="Group 7", status="archived")})
    project = loader.load(root, plugins.load())
    assert (len(project.groups), len(project.active_groups()), len(project.groups_of("email"))) == (51, 50, 51)


def test_all_problems_are_shown_at_once_and_one_hides_no_other(write: Write) -> None:
    root = write(
        **{
            "segments/regulars.yaml": "where: {propery: email, equals: x}\n",
            "segments/a.yaml": "where: {segment: b}\n",
            "segments/b.yaml": "where: {segment: a}\n",
            "campaigns/win_back.yaml": "chanel: email\n",
            "campaigns/second.yaml": "channel: emial\naudience: {include: [regulars, stuff]}\n",
        }
    )
    with pytest.raises(InvalidProjectError) as caught:
        loader.load(root, plugins.load())
    assert str(caught.value).splitlines() == [
        'campaigns/second.yaml:1:10: unknown channel "emial"; did you mean "email"?',
        'campaigns/second.yaml:2:32: unknown segment "stuff"; did you mean "staff"?',
        'campaigns/win_back.yaml:1:1: unknown key "chanel"; did you mean "channel"?',
        "segments/a.yaml:1:18: segments go round in a circle: a -> b -> a",
        'segments/regulars.yaml:1:9: unknown condition "propery"; did you mean "property"?',
    ]


def test_a_broken_project_file_does_not_hide_problems_elsewhere(write: Write) -> None:
    root = write(**{"project.yaml": "title: x\n", "segments/staff.yaml": "where: {segment: nobody}\n"})
    project, _ = loader.check(root, plugins.load())
    assert project is None
    assert problems(root) == [
        'project.yaml:1:1: "profiles" is missing',
        'segments/staff.yaml:1:18: unknown segment "nobody"; known: regulars, staff',
    ]


def test_a_variable_that_is_not_set_is_named_and_nothing_else_is_said_of_its_value(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write()
    monkeypatch.delenv("MAYSEND_TEST_PASSWORD")
    assert problems(root) == ["project.yaml:8:9: the environment has no variable MAYSEND_TEST_PASSWORD"]


def test_an_eleventh_custom_control_group_is_one_too_many(write: Write) -> None:
    eleven = "".join(f"  c{n}: {{percent: 1, salt: c{n}}}\n" for n in range(11))
    text = PROJECT.replace("control_groups: {", "limits: {active_groups: 3}\n#").replace("loyalty", "c1")
    root = write(**{"project.yaml": f"{text}control_groups:\n{eleven}", "campaigns/receipt.yaml": "channel: email\n"})
    assert problems(root) == [
        "project.yaml:11:1: 11 custom control groups, and 10 are the most there can be",
    ]


def test_a_plugin_that_failed_to_load_is_named_where_its_channel_type_is_missed(write: Write) -> None:
    failed = plugins.Loaded("telex", "maysend-telex", "1.0", "ImportError: no module named telex")
    loaded = plugins.load()
    root = write(**{"channels/telex.yaml": "type: telex\naddress: telex\n"})
    (problem,) = problems(root, replace(loaded, loaded=(*loaded.loaded, failed)))
    assert problem.startswith('channels/telex.yaml:1:7: unknown channel type "telex"; known: email, ')
    assert problem.endswith("; plugin telex of maysend-telex failed to load: ImportError: no module named telex")


def test_settings_of_a_channel_type_are_checked_like_our_own(write: Write) -> None:
    telex = ChannelType("telex", "Telex", (), settings={"answerback": {"type": "string", "minLength": 1}})
    loaded = plugins.load()
    types = {**loaded.channel_types, "telex": telex}
    loaded = replace(loaded, registered={**loaded.registered, "register_channel_types": types})
    root = write(**{"channels/telex.yaml": "type: telex\naddress: telex\nanswerbak: 12345 oslo n\n"})
    assert problems(root, loaded) == ['channels/telex.yaml:3:1: unknown key "answerbak"; did you mean "answerback"?']
    write(**{"channels/telex.yaml": "type: telex\naddress: telex\nanswerback: 12345 oslo n\n"})
    assert loader.load(root, loaded).channels["telex"].document.data["answerback"] == "12345 oslo n"


def test_hidden_files_are_nobodys_business(write: Write) -> None:
    assert (
        problems(write(**{"segments/.draft.yaml": "where: [", "campaigns/.gitkeep": "", ".github/x.yaml": "a: 1"}))
        == []
    )


def test_links_that_lead_nowhere_are_told(write: Write) -> None:
    root = write()
    for name, target in (("segments/loop.yaml", "loop.yaml"), ("segments/lost.yaml", "none.yaml"), ("loop", "loop")):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).symlink_to(target)
    _, problems = loader.check(root, plugins.load())
    assert [str(problem) for problem in problems if "only *.yaml" in str(problem)] == [
        "segments/loop.yaml:0:0: is not read; only *.yaml files stand in segments/",
        "segments/lost.yaml:0:0: is not read; only *.yaml files stand in segments/",
    ]


def test_two_projects_in_one_file_are_refused(write: Write) -> None:
    root = write(**{"segments/staff.yaml": "where: {segment: regulars}\n---\nwhere: {segment: regulars}\n"})
    assert problems(root) == [
        'segments/staff.yaml:2:1: holds more than one document; remove the "---" and what follows it'
    ]


def test_three_hundred_declarations_load_within_five_times_of_reading_them(write: Write) -> None:
    segment = "where:\n  all:\n    - {did: Charged, count: {at_least: 3}}\n    - {property: country, in: [US, CA]}\n"
    root = write(
        **{f"segments/s{n}.yaml": segment for n in range(150)}, **{f"campaigns/c{n}.yaml": WIN_BACK for n in range(150)}
    )
    loaded, files = plugins.load(), sorted(root.glob("*/*.yaml"))

    def fastest(work: Callable[[], object]) -> float:
        return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=5))

    reading = fastest(lambda: [yaml.load(file.read_bytes(), yaml.CSafeLoader) for file in files])
    assert fastest(lambda: loader.load(root, loaded)) < 5 * reading


def test_settings_of_a_sink_type_are_checked_where_they_stand(write: Write) -> None:
    telex = SinkType("telex", open=lambda _: None, settings={"line": {"type": "integer"}}, required=("line",))
    loaded = plugins.load()
    loaded = replace(loaded, registered={**loaded.registered, "register_sink_types": {"telex": telex}})
    sinks = "sinks:\n  - {type: telex, line: 3, name: oslo}\n  - {type: telex, lime: 3}\n  - {type: telx}\n"
    assert problems(write(**{"project.yaml": PROJECT + sinks}), loaded) == [
        'project.yaml:12:19: unknown key "lime"; did you mean "line"?',
    ]
    root = write(**{"project.yaml": PROJECT + sinks.replace("lime", "line")})
    assert problems(root, loaded) == ['project.yaml:13:12: unknown sink type "telx"; did you mean "telex"?']


def test_feedback_is_checked_by_the_parser_of_its_name(write: Write) -> None:
    parser = FeedbackParser("post", parse=lambda *_: (), settings={"secret": {"type": "string"}}, required=("secret",))
    loaded = plugins.load()
    loaded = replace(loaded, registered={**loaded.registered, "register_feedback_parsers": {"post": parser}})
    feedback = "feedback:\n  post: {channel: email}\n  pots: {channel: fax}\npages: {renderer: deflaut}\n"
    text = PROJECT.replace("pages:", "# pages:") + feedback
    assert problems(write(**{"project.yaml": text}), loaded) == ['project.yaml:11:9: "secret" is missing in "post"']
    assert problems(write(**{"project.yaml": text.replace("post: {", "post: {secret: x, ")}), loaded) == [
        'project.yaml:12:3: unknown feedback parser "pots"; did you mean "post"?',
        'project.yaml:12:19: unknown channel "fax"; known: email',
        'project.yaml:13:19: unknown page renderer "deflaut"; did you mean "default"?',
    ]
