"""``maysend explain``: for every reason a phrase with the values it saw."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import engine
from maysend.events import Fact
from maysend.ledger import open_ledger
from maysend.targeting.stages import REASONS

Run = Callable[..., Any]

PROFILES = [
    {"id": 1, "email": "Ana@Example.com", "country": "BR", "age": 17, "tags": ["rock"]},
    {"id": 2, "email": "ben@example.com", "country": "US", "age": 40, "tags": ["jazz"], "since": "2024-05-03"},
    {"id": 3, "email": "n/a", "country": "US", "age": 40},
    {"id": 4, "email": "dora@example.com", "country": "CA", "age": 40},
    {"id": 5, "email": "ed@example.com", "country": "US", "age": 40},
    {"id": 6, "email": "flo@example.com", "country": "US", "age": 40, "phone": "+1 212 555 0100"},
    {"id": 7, "email": " BEN@example.com", "country": "US", "age": 40},
    {"id": 8, "email": "hal@example.com", "country": "US", "age": 40},
    {"id": 9, "email": None, "age": None},
    {"id": 10, "email": "jo@example.com", "country": "US", "age": 41, "phone": "+12125550100"},
    {"id": 11, "email": "kim@example.com", "country": "US", "age": 41},
]
NEWS = {"title": "News", "description": "D", "channel": "email", "default": "subscribed"}
WORLD: Mapping[str, Any] = {
    "as_of": "2024-06-01T12:00:00Z",
    "columns": {
        "id": "integer",
        "email": "text",
        "country": "text",
        "age": "integer",
        "tags": "list of text",
        "since": "date",
        "phone": "text",
    },
    "profiles": PROFILES,
    "channels": {"email": {"type": "email", "address": "email"}, "sms": {"type": "sms", "address": "phone"}},
    "groups": {
        "news": NEWS,
        "offers": {**NEWS, "title": "Offers"},
        "club": {**NEWS, "title": "Club", "default": "unsubscribed"},
    },
    "events": {
        "Charged": {
            "profile": "who",
            "at": "at",
            "columns": {"who": "integer", "at": "date", "paid": "decimal"},
            "rows": [
                {"who": 1, "at": "2024-05-01", "paid": "12.50"},
                {"who": 1, "at": "2024-05-02", "paid": "2.50"},
                {"who": 2, "at": "2023-05-01", "paid": "2.50"},
            ],
        }
    },
    "sends": {
        "profile": "who",
        "channel": "on",
        "at": "at",
        "columns": {"who": "integer", "on": "text", "at": "timestamp"},
        "rows": [
            {"who": who, "on": "email", "at": f"2024-05-3{day}T00:00:00"} for who, day in ((8, 0), (8, 1), (6, 1))
        ],
    },
    "frequency_caps": [{"channel": "email", "at_most": 2, "days": 7}],
    "segments": {
        "north": {"property": "country", "in": ["US", "CA"]},
        "adults": {"property": "age", "at_least": 18},
        "staff": {"property": "id", "equals": 11},
        "both": {"all": [{"segment": "north"}, {"segment": "adults"}]},
        "either": {"any": [{"segment": "north"}, {"property": "age", "greater_than": 65}]},
        "not_north": {"not": {"segment": "north"}},
        "fans": {"property": "tags", "has_any": ["jazz", "blues"]},
        "new": {"property": "since", "within": {"last": "30 days"}},
        "regulars": {"did": "Charged", "count": {"at_least": 3}},
        "lapsed": {"did_not": "Charged", "within": {"last": "90 days"}},
        "spenders": {"did": "Charged", "sum": {"of": "paid", "at_least": 100}},
        "readers": {"subscription_groups": {"include": ["club"]}},
        "tenth": {"bucket": {"between": [0, 0]}},
        "named": {"property": "country", "exists": True},
    },
    "campaigns": {
        "sale": {
            "channel": "email",
            "audience": {"include": ["north"], "exclude": ["staff"]},
            "subscription_groups": {"all": ["news", "offers"]},
            "control_group": {"percent": 0, "salt": "winter"},
        },
        "invitation": {"channel": "email", "subscription_groups": {"any": ["club"]}},
        "held": {"channel": "email", "control_group": {"percent": 100, "salt": "winter"}},
        "sampled": {"channel": "email", "target_cap": {"at_most": 2, "when_exceeded": "sample", "salt": "winter"}},
        "aborted": {"channel": "email", "target_cap": {"at_most": 2, "when_exceeded": "abort"}},
        "receipt": {"channel": "email", "purpose": "transactional", "ignore_unsubscribed": "the law asks for it"},
        "text": {"channel": "sms"},
        "leavers": {"channel": "email", "subscription_groups": {"none": ["news"]}},
    },
}


def moment(month: int, day: int) -> datetime:
    return datetime(2024, month, day, 9, tzinfo=UTC)


def left(group: str | None, when: datetime, source: Any, **also: Any) -> Fact:
    return Fact(channel="email", group=group, subscribed=False, occurred_at=when, source=source, **also)


FACTS = [
    left(
        "offers",
        moment(5, 3),
        "one_click",
        address="dora@example.com",
        profile="4",
        campaign="win_back",
        reason="too many",
    ),
    left(None, moment(4, 1), "feedback", address="ed@example.com", type="bounced", reason="550"),
    left(None, moment(4, 2), "page", address="jo@example.com", profile="10"),
    left("news", moment(3, 9), "reply", address="ben@example.com"),
]
AS_OF = ("--as-of", "2024-06-01T12:00:00Z")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("explain") / "project"
    root.mkdir()
    named = {f"to_{name}": {"channel": "email", "audience": {"include": [name]}} for name in WORLD["segments"]}
    engine.write_project({**WORLD, "campaigns": {**WORLD["campaigns"], **named}}, root)
    with open_ledger("sqlite:///ledger.db", root, create=True) as ledger:
        assert all(ledger.append(FACTS))
    return root


@pytest.fixture
def project(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def everything(project: Path, here_json: Run) -> Callable[[int], dict[str, Any]]:
    """What ``explain --all`` says of a profile, by campaign."""
    return lambda profile: {
        found["campaign"]: found for found in here_json("explain", "--all", profile, *AS_OF, cwd=project)
    }


SAID = [
    (1, "sale", "not_in_audience", "not in north: country is 'BR', not in US, CA"),
    (9, "sale", "not_in_audience", "not in north: country is missing"),
    (11, "sale", "not_in_audience", "in staff, which is excluded"),
    (1, "to_both", "not_in_audience", "not in both: country is 'BR', not in US, CA; age is 17, not at least 18"),
    (1, "to_either", "not_in_audience",
     "not in either: country is 'BR', not in US, CA; age is 17, not greater than 65"),
    (2, "to_not_north", "not_in_audience", "not in not_north: country is 'US': in US, CA"),
    (1, "to_fans", "not_in_audience", "not in fans: tags is ['rock'], not a list with any of jazz, blues"),
    (1, "to_new", "not_in_audience", "not in new: since is missing"),
    (1, "to_regulars", "not_in_audience", "not in regulars: did Charged 2 times, asked for at least 3"),
    (1, "to_lapsed", "not_in_audience",
     "not in lapsed: did Charged 2 times in the last 90 days; asked for never"),
    (1, "to_spenders", "not_in_audience",
     "not in spenders: did Charged 2 times, sum of paid is 15, asked for at least 100"),
    (1, "to_readers", "not_in_audience", "not in readers: subscribed to none; asked for any of club"),
    (1, "to_tenth", "not_in_audience", "not in tenth: bucket is 502, not between 0 and 0"),
    (9, "to_named", "not_in_audience", "not in named: country is missing"),
    (3, "sale", "no_address", "email is missing, or no valid email address"),
    (5, "sale", "suppressed", "bounced on 1 April 2024 by feedback (550)"),
    (10, "sale", "channel_unsubscribed", "left email on 2 April 2024 by page"),
    (4, "sale", "group_unsubscribed", "left 'Offers' on 3 May 2024 by one-click from campaign win_back (too many)"),
    (2, "sale", "group_unsubscribed", "left 'News' on 9 March 2024 by reply"),
    (7, "sale", "group_unsubscribed", "left 'News' on 9 March 2024 by reply"),
    (1, "invitation", "group_unsubscribed", "never subscribed to 'Club', which is opt-in"),
    (1, "leavers", "group_unsubscribed", "subscribed to 'News'"),
    (7, "held", "duplicate_address", "a profile with a smaller key has ben@example.com and passed"),
    (10, "text", "duplicate_address", "a profile with a smaller key has +12125550100 and passed"),
    (8, "sale", "frequency_capped", "2 messages on email in the 7 days before as-of, at most 2"),
    (1, "held", "control_group", "drawn into the 100 % of salt winter"),
    (1, "aborted", "over_target_cap", "more than 2 people passed, so nobody is sent it"),
]  # fmt: skip


@pytest.mark.parametrize("profile", sorted({profile for profile, *_ in SAID}))
def test_a_reason_says_what_it_saw(profile: int, everything: Callable[[int], dict[str, Any]]) -> None:
    found = everything(profile)
    for _, campaign, reason, detail in (said for said in SAID if said[0] == profile):
        explained = found[campaign]
        assert (campaign, explained["reason"], explained["decision"]) == (campaign, reason, "excluded")
        (failed,) = [check for check in explained["checks"] if check["check"] == reason]
        assert (failed["passed"], failed["detail"]) == (False, detail)


def test_every_reason_is_among_what_is_said_here() -> None:
    assert {reason for _, _, reason, _ in SAID} == set(REASONS)


def test_all_is_an_array_of_explanations_of_the_promised_shape(project: Path, here_json: Run) -> None:
    found = here_json("explain", "--all", "6", *AS_OF, cwd=project)
    assert [one["campaign"] for one in found] == sorted(file.stem for file in (project / "campaigns").iterdir())
    for one in found:
        assert list(one) == ["campaign", "profile", "decision", "reason", "checks"]
        assert one["profile"] == "6"
        assert one["decision"] == ("included" if one["reason"] == "included" else "excluded")
        assert all(list(check) == ["check", "passed", "detail"] for check in one["checks"])
        assert all(type(check["passed"]) is bool for check in one["checks"])
        order = [REASONS.index(check["check"]) for check in one["checks"]]
        assert order == sorted(order)
        failed = [check["check"] for check in one["checks"] if not check["passed"]]
        assert (failed or ["included"])[0] == one["reason"]
    assert here_json("explain", "sale", "6", *AS_OF, cwd=project) == next(o for o in found if o["campaign"] == "sale")


def test_it_says_what_evaluate_decides(project: Path, here: Run, everything: Callable[[int], dict[str, Any]]) -> None:
    here("evaluate", *AS_OF, "--out", "out", "--decisions", "--format", "csv", cwd=project, code=1)
    for profile in (2, 6, 7, 10):
        for campaign, explained in everything(profile).items():
            lines = (project / "out" / f"{campaign}.decisions.csv").read_text("utf-8").splitlines()
            (decided,) = [line for line in lines if line.startswith(f"{profile},")]
            assert decided.rpartition(",")[2] == explained["reason"], (campaign, profile)


def test_what_is_passed_is_said_too(project: Path, here: Run) -> None:
    assert here("explain", "sale", "6", *AS_OF, cwd=project).stdout == (
        "sale: profile 6 is included\n"
        "  ✓ audience: in north\n"
        "  ✓ address: flo@example.com\n"
        "  ✓ not suppressed: nothing came back\n"
        "  ✓ channel: subscribed on email\n"
        "  ✓ groups: subscribed to 'News', 'Offers'\n"
        "  ✓ address not taken: no smaller key has this address\n"
        "  ✓ frequency cap: 1 message on email in the 7 days before as-of, at most 2\n"
        "  ✓ control group: in no control group\n"
        "  ✓ target cap: no target cap\n"
    )


def test_a_sample_says_who_is_among_it(everything: Callable[[int], dict[str, Any]]) -> None:
    said = {everything(profile)["sampled"]["checks"][-1]["detail"] for profile in (1, 2, 4, 6)}
    assert said <= {"among the first 2 of the draw", "beyond the first 2 of the draw"}
    assert len(said) == 2


def test_what_is_not_asked_says_why(everything: Callable[[int], dict[str, Any]]) -> None:
    explained = everything(10)["receipt"]
    assert explained["reason"] == "included"
    (channel,) = [check for check in explained["checks"] if check["check"] == "channel_unsubscribed"]
    assert (channel["passed"], channel["detail"]) == (True, "not asked for: the law asks for it")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sale", "99"), 'there is no profile "99" in profiles.parquet\n'),
        (("--all", "01"), 'there is no profile "01" in profiles.parquet\n'),
        (("sampled", "x' OR 1=1"), 'there is no profile "x\' OR 1=1" in profiles.parquet\n'),
        (("sal", "1"), 'there is no campaign "sal"; did you mean "sale"?\n'),
    ],
)
def test_an_unknown_name_is_wrong_usage(arguments: tuple[str, ...], said: str, project: Path, here: Run) -> None:
    assert here("explain", *arguments, *AS_OF, cwd=project, code=2).stderr == said


def test_too_few_or_too_many_names_is_wrong_usage(project: Path, here: Run) -> None:
    for arguments in (("sale",), ("sale", "1", "2"), ("--all", "sale", "1"), ("--all",)):
        assert "Usage: " in here("explain", *arguments, cwd=project, code=2).stderr
