"""The suite for feedback parsers."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import pytest

from ..errors import FeedbackError
from ..hookspecs import FeedbackParser, Report
from .contract import check_settings


class FeedbackParserSuite(ABC):
    """A feedback parser: ``headers`` and ``body`` are a genuine post, and ``reports`` what it says."""

    feedback_parser: ClassVar[FeedbackParser]
    settings: ClassVar[Mapping[str, Any]]
    headers: ClassVar[Mapping[str, str]]
    body: ClassVar[bytes]
    reports: ClassVar[Sequence[Report]]

    def test_settings_are_described(self) -> None:
        check_settings(self.feedback_parser, self.settings)

    def test_a_genuine_post_is_read(self) -> None:
        assert list(self.feedback_parser.parse(self.settings, self.headers, self.body)) == list(self.reports)

    def test_a_post_without_what_verifies_it_is_refused(self) -> None:
        with pytest.raises(FeedbackError):
            self.feedback_parser.parse(self.settings, {}, self.body)

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b"null", b'{"a": ' * 1000])
    def test_nonsense_is_refused_or_says_nothing(self, body: bytes) -> None:
        with suppress(FeedbackError):
            assert not self.feedback_parser.parse(self.settings, self.headers, body)
