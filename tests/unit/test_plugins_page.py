"""docs/plugins.md says what the code says: every hook's signature and fields, and examples that work."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import maysend
from maysend import CloudEvent, Page, PageSettings, Report, Switch, testing
from maysend.hookspecs import Hooks
from maysend.plugins import REGISTERED, load
from maysend.testing import PageRendererSuite, check_plugin, cloud_events

TEXT = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
EXAMPLES = {hook: code for code in PYTHON for hook in REGISTERED if "@hookimpl" in code and f"def {hook}(" in code}
TABLES: dict[str, list[list[str]]] = {
    found[1]: [
        [cell.strip().replace("\\|", "|").strip("`") for cell in re.split(r"(?<!\\)\|", row)[1:4]]
        for row in found[2].strip().splitlines()
    ]
    for found in re.finditer(r"\| `(\w+)` \| type \| default \| \|\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT)
}
DESCRIBED = [*REGISTERED.values(), CloudEvent, Page, PageSettings, Report, Switch]


@pytest.mark.parametrize("hook", REGISTERED)
def test_a_hook_s_signature_is_the_code_s(hook: str) -> None:
    signature = inspect.signature(getattr(Hooks, hook))
    shown = str(signature).replace("(self)", "()").replace("'", "")
    assert f"```python\ndef {hook}{shown}: ...\n```" in TEXT


def test_every_hook_is_there() -> None:
    hooks = {name for name in vars(Hooks) if not name.startswith("_")}
    assert hooks == set(REGISTERED) == set(EXAMPLES)


@pytest.mark.parametrize("described", DESCRIBED, ids=lambda kind: kind.__name__)
def test_every_field_is_there_with_its_type_and_default(described: Any) -> None:
    fields = [[field.name, field.type, _default(field)] for field in dataclasses.fields(described)]
    assert TABLES[described.__name__] == fields


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return repr(field.default_factory())
    return "" if field.default is dataclasses.MISSING else repr(field.default).replace("'", '"')


def module(hook: str) -> ModuleType:
    made = ModuleType("maysend_pigeon")
    exec(compile(EXAMPLES[hook], hook, "exec"), vars(made))  # noqa: S102 - our own page's example
    return made


@pytest.mark.parametrize("hook", REGISTERED)
def test_every_example_is_a_plugin(hook: str) -> None:
    (brought,) = check_plugin(module(hook))[hook].values()
    assert isinstance(brought, REGISTERED[hook])


def test_the_examples_do_what_they_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sink = module("register_sink_types").Bell({"path": str(tmp_path / "tty")})
    sink.deliver(cloud_events(4))
    sink.close()
    assert (tmp_path / "tty").read_text() == "left: email\a\n" * 3 + "returned: email\a\n"

    parser = module("register_feedback_parsers").register_feedback_parsers()[0]
    headers = {"authorization": "Bearer s3cret"}
    reports = parser.parse({"secret": "s3cret"}, headers, b'{"lofts_not_found": ["loft 9"]}')
    assert reports == [Report("loft 9", "bounced")]

    module("register_commands").open_coo().main(["loft 7"], standalone_mode=False)
    assert capsys.readouterr().out == "Coo, loft 7!\n"


class TestPlainPages(PageRendererSuite):
    page_renderer = module("register_page_renderers").register_page_renderers()[0]


def test_the_example_test_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "maysend_pigeon", module("register_channel_types"))
    (code,) = (code for code in PYTHON if "class TestPigeon" in code)
    names: dict[str, Any] = {}
    exec(compile(code, "test", "exec"), names)  # noqa: S102 - our own page's example
    suite = names["TestPigeon"]()
    ran = [getattr(suite, name)() for name in dir(suite) if name.startswith("test_")]
    assert len(ran) >= 5
    names["test_maysend_takes_it"]()


def test_every_suite_step_and_sink_is_named() -> None:
    assert all(f"`{name}`" in TEXT for name in testing.__all__ if name.endswith("Suite"))
    assert all(f"| `{step}(" in TEXT for step in ("Strip", "Lower", "Remove", "Prefix", "Matches"))
    assert all(f"| `{sink}` |" in TEXT for sink in load().sink_types)
    unnamed = {"PluginError", "Step", "Meaning", "Sink", "Renderer"}
    assert [name for name in maysend.__all__ if name not in TEXT and name not in unnamed] == []
