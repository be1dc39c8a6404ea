"""Whatever the project, the profiles, the events and the answers: the engine decides as the oracle does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings

import oracle
from drawing import World, worlds
from engine import decisions, decisions_with_roster, loaded_plugins, record, write_project, write_roster
from maysend import explain, loader, runner
from maysend.addresses import normalizer
from maysend.errors import InvalidProjectError, Problem
from maysend.ledger import open_ledger
from maysend.preferences import Preferences
from maysend.tokens import Link

Property = Callable[[World], None]
Decide = Callable[[World, Path], dict[str, dict[str, str]]]
ROUND = 10
"""Worlds drawn from one seed; from the eleventh on, hypothesis would mostly vary those that it has drawn."""


LEFT_OUT = {"not_in_audience", "no_address", "suppressed", "channel_unsubscribed", "group_unsubscribed"}
EVERYONE = {"bucket": {"between": [0, 999]}}


def draw(number: int, holds: Property) -> None:
    """Ten worlds, the same ones every time; hypothesis shrinks the one for which ``holds`` fails."""
    patient = settings(max_examples=ROUND, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    seed(number)(patient(given(world=worlds())(holds)))()


@pytest.mark.parametrize("number", range(100 // ROUND))
def test_engine_decides_as_the_oracle(number: int) -> None:
    draw(number, compare)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(1000, 1000 + 400 // ROUND))
def test_engine_decides_as_the_oracle_at_length(number: int) -> None:
    draw(number, compare)


@pytest.mark.parametrize("number", range(400, 402))
def test_a_roster_changes_no_decision(number: int) -> None:
    draw(number, compare_with_roster)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(402, 407))
def test_a_roster_changes_no_decision_at_length(number: int) -> None:
    draw(number, compare_with_roster)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(500, 502))
def test_explanations_are_of_what_was_decided(number: int) -> None:
    draw(number, explains_what_was_decided)


@pytest.mark.parametrize("number", range(100, 103))
def test_nobody_who_said_no_is_included(number: int) -> None:
    draw(number, keeps_the_law)


@pytest.mark.parametrize("number", range(300, 303))
def test_who_leaves_by_a_link_is_left_out(number: int) -> None:
    draw(number, keeps_who_left_out)


@pytest.mark.parametrize("number", range(200, 202))
def test_a_rename_changes_no_decision(number: int) -> None:
    draw(number, survives_renames)


def keeps_the_law(world: World) -> None:
    """Reasons add up to the population; who is suppressed or unsubscribed is never in an audience."""
    world, decided = by_engine(world)
    read = oracle.read(world)
    consent = oracle.Consent(read)
    for name, campaign in world["campaigns"].items():
        assert decided[name].keys() == {str(profile.key) for profile in read.profiles}
        included = [profile for profile in read.profiles if decided[name][str(profile.key)] == "included"]
        assert not any(consent.suppressed(profile, campaign["channel"]) for profile in included)
        clause = campaign.get("subscription_groups", {})
        if "ignore_unsubscribed" in campaign:
            continue
        for profile in included:
            assert all(consent.group_subscribed(profile, group) for group in clause.get("all", ()))
            if not clause or "none" in clause:
                assert consent.channel_subscribed(profile, campaign["channel"])


def keeps_who_left_out(world: World) -> None:
    """Of each campaign's audience, the first person leaves by its link; nobody who left is in that campaign after."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_project(world, directory)
        record(world, directory)
        project, plugins = loader.load(directory, loaded_plugins()), loaded_plugins()
        as_of = datetime.fromisoformat(world["as_of"])
        try:
            decided = runner.decide(project, as_of, plugins)
        except InvalidProjectError as error:
            keeps_who_left_out(without_empty_audiences(world, error.problems))
            return
        left = []
        with open_ledger(project.ledger, project.root) as ledger:
            preferences = Preferences(project, plugins.channel_types, ledger, [bytes(64)])
            for campaign in project.campaigns.values():
                included = [key for key, reason in decided[campaign.name].items() if reason == "included"]
                if not included or campaign.ignore_unsubscribed:
                    continue
                channel = project.channels[campaign.channel]
                normalize = normalizer(plugins.channel_types[channel.type].address)
                found = {str(row[world.get("key", "id")]): row.get(channel.address) for row in world["profiles"]}
                link = Link(
                    profile=included[0],
                    address=normalize(str(found[included[0]])),
                    channel=campaign.channel,
                    campaign=campaign.name,
                    groups=campaign.groups.asks_for if campaign.groups else (),
                )
                ledger.append(preferences.leaving(link, "one_click"))
                left.append((campaign.name, included[0]))
        decided = runner.decide(project, as_of, plugins)
        assert all(decided[campaign][profile] != "included" for campaign, profile in left)


def survives_renames(world: World) -> None:
    """Campaigns and segments under other names, in another order."""
    world, decided = by_engine(world)
    new = {name: f"renamed_{name[::-1]}" for name in (*world["segments"], *world["campaigns"])}
    renamed = World(
        world,
        segments={new[name]: _renamed(where, new) for name, where in world["segments"].items()},
        campaigns={new[name]: _renamed(campaign, new) for name, campaign in world["campaigns"].items()},
    )
    assert by_engine(renamed)[1] == {new[name]: reasons for name, reasons in decided.items()}


def compare(world: World) -> None:
    world, decided = by_engine(world)
    assert decided == by_oracle(world)


def compare_with_roster(world: World) -> None:
    world, decided = by_engine(world, decisions_with_roster)
    assert decided == by_oracle(world)


def explains_what_was_decided(world: World) -> None:
    """What explains a few profiles' reasons, for all campaigns, is what a run over everybody found."""
    world, decided = by_engine(world)
    with tempfile.TemporaryDirectory() as name:
        directory, found = Path(name), loaded_plugins()
        write_project(world, directory)
        record(world, directory)
        project, as_of = loader.load(directory, found), datetime.fromisoformat(world["as_of"])
        campaigns = runner.chosen(project, ())
        for roster in (False, True):
            with runner.opened(project, as_of, found) as run:
                assert bool(run.catalog.roster) == roster
                for profile in list(next(iter(decided.values()), ()))[::4]:
                    reasons = {one.campaign: one.reason for one in explain.explain(run, campaigns, profile)}
                    assert reasons == {name: of[profile] for name, of in decided.items()}, profile
            write_roster(directory)


def by_engine(world: World, decide: Decide = decisions) -> tuple[World, dict[str, dict[str, str]]]:
    """What the engine decides, and the world without the audiences that it refused because nobody can be in them."""
    try:
        with tempfile.TemporaryDirectory() as directory:
            return world, decide(world, Path(directory))
    except InvalidProjectError as error:
        return by_engine(without_empty_audiences(world, error.problems))


def by_oracle(world: World) -> dict[str, dict[str, str]]:
    return {
        campaign: {str(key): reason for key, reason in reasons.items()}
        for campaign, reasons in oracle.decide(world).items()
    }


def without_empty_audiences(world: World, problems: Iterable[Problem]) -> World:
    """The world without what ``problems`` call empty for ever; in this world at least it must be."""
    segments, campaigns = dict(world["segments"]), dict(world["campaigns"])
    for problem in problems:
        assert "nobody can be in this" in problem.message, problem
        name = Path(problem.file).stem
        if problem.file.startswith("segments/"):
            asked = {"channel": "email", "audience": {"include": [name]}}
            reasons = by_oracle(World(world, campaigns={name: asked}))[name].values()
            assert set(reasons) <= {"not_in_audience"}, problem
            segments[name] = EVERYONE
        else:
            assert set(by_oracle(world)[name].values()) <= LEFT_OUT, problem
            del campaigns[name]
    return World(world, segments=segments, campaigns=campaigns)


def _renamed(part: Any, new: dict[str, str]) -> Any:
    """A where or a campaign with the segments it names renamed."""
    if isinstance(part, list):
        return [_renamed(item, new) for item in part]
    if not isinstance(part, dict):
        return part
    if "segment" in part:
        return {"segment": new[part["segment"]]}
    if "audience" in part:
        audience = {way: [new[name] for name in names] for way, names in part["audience"].items()}
        return {**part, "audience": audience}
    return {key: _renamed(value, new) for key, value in part.items()}
