"""Tokens open to what was sealed, by any key that is still there, and otherwise say one thing only."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maysend.errors import InvalidTokenError, KeysError, MaysendError
from maysend.tokens import LONGEST, LONGEST_SEALED, Link, LinkSealer, Sealer, fingerprint, new_key, open_link, read_keys

OLD, NEW = (os.urandom(32) for _ in range(2))
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,30}", fullmatch=True)
VALUES = st.none() | st.text(min_size=1, max_size=300).filter(lambda text: text.isprintable())


def sealed(link: Link, *keys: bytes) -> str:
    assert link.campaign
    return LinkSealer(keys, link.channel, link.campaign, link.groups, test=link.test).seal(link.profile, link.address)


@given(st.builds(Link, NAMES, NAMES, st.lists(NAMES, max_size=6).map(tuple), VALUES, VALUES, st.booleans()))
def test_a_token_opens_to_its_link(link: Link) -> None:
    token = sealed(link, NEW)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert open_link(Sealer([NEW], "link"), token) == link
    assert sealed(link, NEW) == token


def test_the_newest_key_seals_and_all_open() -> None:
    link = Link("email", "daily", ("news",), "1", "ann@example.com")
    before, after = sealed(link, OLD), sealed(link, NEW, OLD)
    assert after == sealed(link, NEW) != before
    both = Sealer([NEW, OLD], "link")
    assert open_link(both, before) == open_link(both, after) == link
    with pytest.raises(InvalidTokenError):
        open_link(Sealer([NEW], "link"), before)


def test_a_usual_token_is_short() -> None:
    link = Link("email", "win_back", ("new_releases", "offers"), "12345", "someone@example.com")
    assert len(sealed(link, NEW)) <= 107


@given(st.data())
def test_a_token_that_is_changed_anywhere_is_not_valid(data: st.DataObject) -> None:
    token = sealed(Link("email", "daily", ("news",), "1", "ann@example.com"), NEW)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("Aa0_-").filter(lambda letter: letter != token[place]))
    with pytest.raises(InvalidTokenError):
        open_link(Sealer([NEW], "link"), token[:place] + letter + token[place + 1 :])


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,200}", fullmatch=True))
def test_anything_else_is_not_valid(text: str) -> None:
    with pytest.raises(InvalidTokenError) as told:
        open_link(Sealer([NEW], "link"), text)
    assert str(told.value) == "this link is not valid"


@pytest.mark.parametrize("changed", ["{}=", " {}", "{}\n", "{}.", "{}" + "A" * LONGEST])
def test_one_link_has_one_token(changed: str) -> None:
    token = sealed(Link("email", "daily", (), "1"), NEW)
    with pytest.raises(InvalidTokenError):
        open_link(Sealer([NEW], "link"), changed.format(token))


def test_a_link_that_no_header_can_hold_is_not_made() -> None:
    groups = [f"a_group_with_a_long_name_{number:03}" for number in range(30)]
    with pytest.raises(MaysendError, match=r"campaign daily: its links would be too long .* ask for fewer groups"):
        LinkSealer([NEW], "email", "daily", groups).seal("1", "a@example.com")
    assert len(LinkSealer([NEW], "email", "daily", groups[:18]).seal("1", "a@example.com")) < LONGEST_SEALED


def test_what_is_sealed_for_one_purpose_opens_for_no_other() -> None:
    form = Sealer([NEW], "form")
    with pytest.raises(InvalidTokenError):
        Sealer([NEW], "link").open(form.seal(b"payload"))
    with pytest.raises(InvalidTokenError):
        form.open(form.seal(b"payload", b"one link"), b"another")
    assert form.open(form.seal(b"payload", b"one link"), b"one link") == b"payload"


@pytest.mark.parametrize(
    "payload", [b"", b"\x10", b"\x10\x05ab", b"\x10\xff\xff", b"\x20\x00\x00email daily", b"\x10\x01\xff\x00"]
)
def test_a_payload_of_another_shape_is_not_valid(payload: bytes) -> None:
    sealer = Sealer([NEW], "link")
    with pytest.raises(InvalidTokenError):
        open_link(sealer, sealer.seal(payload))


def test_keys_are_read_newest_first() -> None:
    old, new = new_key(), new_key()
    assert len(old) == 43
    assert [*read_keys(f" {new}, {old},")] == [*read_keys(new), *read_keys(old)]
    assert fingerprint(*read_keys(old)) != fingerprint(*read_keys(new))
    assert re.fullmatch(r"[0-9a-f]{16}", fingerprint(*read_keys(old)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "MAYSEND_KEYS is not set, and links need a key; `maysend keys new` makes one to put there"),
        (" , ", "MAYSEND_KEYS is not set, and links need a key; `maysend keys new` makes one to put there"),
        ("secret", "key 1 in MAYSEND_KEYS is not a key; `maysend keys new` makes one"),
        (f"{'A' * 43},{'A' * 42}", "key 2 in MAYSEND_KEYS is not a key; `maysend keys new` makes one"),
        ("A" * 43 + "=", "key 1 in MAYSEND_KEYS is not a key; `maysend keys new` makes one"),
    ],
)
def test_what_is_no_key_is_told_without_showing_it(text: str, message: str) -> None:
    with pytest.raises(KeysError) as told:
        read_keys(text)
    assert str(told.value) == message
