"""The suite for commands."""

from __future__ import annotations

import re
from abc import ABC
from typing import ClassVar

import pytest

from ..hookspecs import Command


class CommandSuite(ABC):
    """A command."""

    command: ClassVar[Command]

    def test_it_opens_and_explains_itself(self) -> None:
        opened = self.command.open()
        with pytest.raises(SystemExit) as ended:
            opened.main(["--help"], prog_name=self.command.name)
        assert ended.value.code in (0, None)

    def test_it_is_named_and_summarized(self) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", self.command.name)
        assert self.command.summary.endswith(".")
