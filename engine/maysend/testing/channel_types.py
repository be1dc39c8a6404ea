"""The suite for channel types."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlglot import exp

from .. import addresses
from ..backends.duckdb import DuckDB
from ..hookspecs import ChannelType
from .contract import check_settings

_ODD = (
    *("", " ", "\u00a0", "\u200b a", "A", "é", "İ", "\U0001f600", "'", '"', "%", "\\", "a\nb"),
    *("+", "@", "a@b@c", "0049", "00", "x" * 300),
)
"""What no type's author may have thought of."""


class ChannelTypeSuite(ABC):
    """A channel type: ``valid`` maps addresses as found to their normalized form, ``invalid`` are refused."""

    channel_type: ClassVar[ChannelType]
    valid: ClassVar[Mapping[str, str]]
    invalid: ClassVar[Sequence[str]] = ("",)
    settings: ClassVar[Mapping[str, Any]] = {}

    def test_valid_addresses_are_normalized(self) -> None:
        normalize = addresses.normalizer(self.channel_type.address)
        assert {found: normalize(found) for found in self.valid} == dict(self.valid)

    def test_invalid_addresses_are_refused(self) -> None:
        normalize = addresses.normalizer(self.channel_type.address)
        assert [found for found in self.invalid if normalize(found) is not None] == []

    def test_a_normalized_address_stays_as_it_is(self) -> None:
        normalize = addresses.normalizer(self.channel_type.address)
        assert {address: normalize(address) for address in self.valid.values()} == {a: a for a in self.valid.values()}

    def test_an_audience_and_a_page_agree(self) -> None:
        """Python and SQL normalize alike: these addresses, and odd ones."""
        found = list(dict.fromkeys((*self.valid, *self.valid.values(), *self.invalid, *_ODD)))
        normalize = addresses.normalizer(self.channel_type.address)
        text = exp.column("found", quoted=True)
        with DuckDB() as backend:
            backend.land("addresses", {"found": "VARCHAR"}, [(one,) for one in found])
            query = addresses.normalized(exp.to_table("addresses"), {"address": (text, self.channel_type.address)})
            assert {row[0]: row[-1] for row in backend.rows(query)} == {one: normalize(one) for one in found}

    def test_settings_are_described(self) -> None:
        check_settings(self.channel_type, self.settings)

    def test_a_way_out_by_reply_has_a_way_back(self) -> None:
        meanings = set(self.channel_type.keywords.values())
        assert not meanings or {"unsubscribed", "subscribed"} <= meanings
        assert all(self.channel_type.meaning(f" {word.lower()}. ") for word in self.channel_type.keywords)
