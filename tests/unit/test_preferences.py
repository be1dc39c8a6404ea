"""What a link's person may change, over a real ledger: whatever is clicked, in any order, in however stale a tab."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maysend import loader, plugins
from maysend.errors import InvalidTokenError, UnknownNameError
from maysend.ledger import Ledger, open_ledger
from maysend.model import Project
from maysend.preferences import Form, Preferences, masked
from maysend.status import CHANNEL
from maysend.tokens import Link, read_keys
from serving import KEY, write

NEWCOMERS = count(100)
SWITCHES = (CHANNEL, "news", "offers", "concerts", "surveys")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("project")
    write(root, "sqlite:///ledger.db")
    return loader.load(root, plugins.load())


@pytest.fixture(scope="module")
def ledger(project: Project) -> Iterator[Ledger]:
    with open_ledger(project.ledger, project.root, create=True) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def preferences(project: Project, ledger: Ledger) -> Preferences:
    return Preferences(project, plugins.load().channel_types, ledger, read_keys(KEY))


def newcomer(*groups: str, **fields: object) -> Link:
    """A link to somebody who never answered."""
    number = next(NEWCOMERS)
    link = Link("email", "daily", groups, str(number), f"{number}@example.com")
    return replace(link, **fields)  # type: ignore[arg-type] # fields by name


def form_of(preferences: Preferences, link: Link) -> Form:
    """What the preference page shows now."""
    view = preferences.view(link)
    shown = {CHANNEL: view.subscribed} | {switch.name: switch.subscribed for switch in view.groups}
    return Form(shown, "revision", "hash")


def on(preferences: Preferences, link: Link) -> dict[str, bool]:
    """Every group's status, and the channel's."""
    everything = preferences.view(replace(link, groups=("news", "offers", "concerts", "surveys", "club", "letter")))
    return {CHANNEL: everything.subscribed} | {switch.name: switch.subscribed for switch in everything.named}


def send(preferences: Preferences, ledger: Ledger, link: Link, form: Form, *flipped: str) -> int:
    """Send a form with some of its switches flipped; how many events it became."""
    wanted = {name for name, shown in form.shown.items() if shown != (name in flipped)}
    return sum(event is not None for event in ledger.append(preferences.choosing(link, form, wanted, "page")))


def leave(preferences: Preferences, ledger: Ledger, link: Link) -> int:
    return sum(event is not None for event in ledger.append(preferences.leaving(link, "one_click")))


def test_the_page_shows_visible_active_groups_and_the_link_s_own_whatever_they_are(preferences: Preferences) -> None:
    view = preferences.view(newcomer("club", "letter", "gone"))
    assert [(switch.name, switch.subscribed) for switch in view.groups] == [
        ("concerts", False),
        ("news", True),
        ("offers", True),
        ("surveys", True),
    ]
    assert [(switch.title, switch.subscribed) for switch in view.named] == [
        ("The club", False),
        ("The letter", True),
        ("gone", True),
    ]


def test_a_group_for_those_subscribed_goes_when_it_is_left(preferences: Preferences, ledger: Ledger) -> None:
    link = newcomer()
    send(preferences, ledger, link, form_of(preferences, link), "surveys")
    assert "surveys" not in {switch.name for switch in preferences.view(link).groups}


def test_leaving_names_address_and_profile_in_one_event_for_each_group(
    preferences: Preferences, ledger: Ledger, project: Project
) -> None:
    link = newcomer("news", "offers")
    events = [event for event in ledger.append(preferences.leaving(link, "one_click")) if event]
    assert [(event.group, event.address, event.profile) for event in events] == [
        ("news", link.address, link.profile),
        ("offers", link.address, link.profile),
    ]
    assert {(e.campaign_id, e.campaign_type, e.revision, e.source) for e in events} == {
        ("daily", "email", project.revision, "one_click")
    }
    assert leave(preferences, ledger, link) == 0


def test_leaving_is_heard_again_after_a_return_by_the_same_old_link(preferences: Preferences, ledger: Ledger) -> None:
    link = newcomer("news")
    for _ in range(3):
        assert leave(preferences, ledger, link) == 1
        assert not on(preferences, link)["news"]
        assert send(preferences, ledger, link, form_of(preferences, link), "news") == 1
        assert on(preferences, link)["news"]


def test_a_link_without_groups_leaves_the_whole_channel(preferences: Preferences, ledger: Ledger) -> None:
    link = newcomer()
    assert leave(preferences, ledger, link) == 1
    assert not any(on(preferences, link).values())


def test_a_later_yes_lifts_the_channel_s_no_for_that_group_alone(preferences: Preferences, ledger: Ledger) -> None:
    link = newcomer()
    leave(preferences, ledger, link)
    send(preferences, ledger, link, form_of(preferences, link), "news")
    assert [name for name, subscribed in on(preferences, link).items() if subscribed] == ["news"]


def test_all_messages_turned_off_wins_over_every_other_switch(preferences: Preferences, ledger: Ledger) -> None:
    link = newcomer()
    send(preferences, ledger, link, form_of(preferences, link), CHANNEL, "concerts", "offers")
    assert not any(on(preferences, link).values())
    send(preferences, ledger, link, form_of(preferences, link), CHANNEL)
    now = on(preferences, link)
    assert now[CHANNEL]
    assert now["news"]
    assert not now["concerts"], "it was off before, and never recorded as on"
    assert not now["offers"], "it was turned off together with everything"


def test_a_stale_tab_revives_nothing(preferences: Preferences, ledger: Ledger) -> None:
    link = newcomer("news", "offers")
    stale = form_of(preferences, link)
    leave(preferences, ledger, link)
    assert send(preferences, ledger, link, stale) == 0
    assert send(preferences, ledger, link, stale, "surveys") == 1
    assert not any(on(preferences, link)[name] for name in ("news", "offers", "surveys"))


def test_a_form_that_is_sent_again_later_turns_nothing_on_again(preferences: Preferences, ledger: Ledger) -> None:
    link = newcomer()
    form = form_of(preferences, link)
    assert send(preferences, ledger, link, form, "concerts") == 1
    send(preferences, ledger, link, form_of(preferences, link), "concerts")
    assert send(preferences, ledger, link, form, "concerts") == 0
    assert not on(preferences, link)["concerts"]


def test_a_form_can_turn_on_only_what_can_be_joined_now(
    preferences: Preferences, ledger: Ledger, project: Project
) -> None:
    link = newcomer()
    form = Form({"letter": False, "news": True, "gone": False, "club": False, "offers": True}, "r", "h")
    facts = preferences.choosing(link, form, {"letter", "gone", "club", "offers"}, "page")
    assert {(fact.group, fact.subscribed) for fact in facts} == {("news", False), ("club", True)}


def test_a_test_link_shows_everything_and_saves_nothing(preferences: Preferences, ledger: Ledger) -> None:
    link = newcomer("news", test=True)
    assert preferences.leaving(link, "page") == []
    assert preferences.choosing(link, form_of(preferences, link), (), "page") == []
    assert preferences.changing(link, {"news": False, CHANNEL: False}, "api") == []


def test_the_api_changes_only_groups_that_the_page_shows(preferences: Preferences) -> None:
    link = newcomer("club")
    assert len(preferences.changing(link, {"news": False, "club": True}, "api")) == 2
    for name in ("letter", "alerts", "nwes", "gone"):
        with pytest.raises(UnknownNameError, match=f'there is no group "{name}" to join'):
            preferences.changing(link, {"news": False, name: True}, "api")


def test_a_yes_is_heard_to_the_same_groups_from_the_page_and_the_api(preferences: Preferences) -> None:
    """The link names them all: one archived, one that no file declares any more, one of another channel."""
    names = ("news", "club", "letter", "gone", "alerts")
    link, form = newcomer(*names), Form(dict.fromkeys((*names, CHANNEL), False), "r", "h")
    heard = {fact.group for fact in preferences.choosing(link, form, (*names, CHANNEL), "page")}
    assert heard == {"news", "club", None}
    for name in (*names, CHANNEL):
        if (name or None) in heard:
            assert preferences.changing(link, {name: True}, "api")
        else:
            with pytest.raises(UnknownNameError, match=f'there is no group "{name}" to join'):
                preferences.changing(link, {"news": False, name: True}, "api")
        assert preferences.changing(link, {name: False}, "api"), "a no is always heard"


def test_the_api_hears_the_same_no_twice(preferences: Preferences, ledger: Ledger) -> None:
    link = newcomer()
    assert [bool(event) for event in ledger.append(preferences.changing(link, {"surveys": False}, "api"))] == [True]
    assert [bool(event) for event in ledger.append(preferences.changing(link, {"surveys": False}, "api"))] == [False]
    with pytest.raises(UnknownNameError):
        preferences.changing(link, {"surveys": True}, "api")


def test_a_form_opens_only_for_its_own_link(preferences: Preferences) -> None:
    sealed = preferences.seal_form("one", {CHANNEL: True, "news": False}, "All that it says")
    form = preferences.open_form("one", sealed)
    assert form.shown == {CHANNEL: True, "news": False}
    assert form.text_hash == hashlib.sha256(b"All that it says").hexdigest()
    for token, text in (("another", sealed), ("one", sealed[:-1]), ("one", ""), ("one", "é")):
        with pytest.raises(InvalidTokenError):
            preferences.open_form(token, text)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ann@example.com", "a•••@e•••.com"),
        ("a@b.co.uk", "a•••@b•••.uk"),
        ("root@localhost", "r•••@•••"),
        ("+15551230001", "+15•••01"),
        ("4711", "•••"),
    ],
)
def test_an_address_is_shown_masked(address: str, shown: str) -> None:
    assert masked(address) == shown


ACTION = st.one_of(
    st.sampled_from([("load", frozenset[str]()), ("leave", frozenset[str]())]),
    st.tuples(st.just("send"), st.frozensets(st.sampled_from(SWITCHES), max_size=3)),
)


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(st.sampled_from(["news", "offers", "concerts", "club"]), unique=True, max_size=2).map(tuple),
    actions=st.lists(st.tuples(ACTION, st.integers(0, 2)), min_size=1, max_size=12),
)
def test_only_what_is_turned_on_comes_on_whatever_the_order(
    preferences: Preferences,
    ledger: Ledger,
    groups: tuple[str, ...],
    actions: list[tuple[tuple[str, frozenset[str]], int]],
) -> None:
    link = newcomer(*groups)
    tabs = [form_of(preferences, link)] * 3
    for (action, names), tab in actions:
        before = on(preferences, link)
        turned_on: set[str] = set()
        match action:
            case "load":
                tabs[tab] = form_of(preferences, link)
            case "leave":
                leave(preferences, ledger, link)
                assert not any(on(preferences, link)[name] for name in groups or SWITCHES)
            case _:
                form = tabs[tab]
                flipped = names & form.shown.keys()
                turned_on = {name for name in flipped if not form.shown[name]}
                send(preferences, ledger, link, form, *flipped)
                after = on(preferences, link)
                turned_off = flipped - turned_on
                assert not any(after[name] for name in turned_off)
                assert CHANNEL not in turned_off or not any(after.values())
        after = on(preferences, link)
        revived = {name for name in after if after[name] and not before[name]}
        assert CHANNEL in turned_on or revived <= turned_on
