"""``maysend plugins`` with third parties' distributions really installed: good ones, and broken in every way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

WORKING = """
from maysend import ChannelType, Strip, hookimpl

@hookimpl
def register_channel_types() -> list[ChannelType]:
    return [ChannelType(name="pigeon", title="Pigeon", address=(Strip(),))]
"""
BROKEN = {
    "no_import": ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
    "no_module": (None, "ModuleNotFoundError: No module named 'maysend_pigeon'"),
    "no_syntax": ("def", "SyntaxError: invalid syntax (maysend_pigeon.py, line 1)"),
    "raises": (WORKING.replace("return", "raise OSError('no loft') #"), "OSError: no loft"),
    "leaves": ("raise SystemExit(0)", "SystemExit: 0"),
    "clashes": (WORKING.replace("pigeon", "email"), 'channel type "email" is registered by email already'),
    "wrong_type": (
        WORKING.replace("return [", "return 'pigeon' #["),
        "register_channel_types must return a list of ChannelType, not 'pigeon'",
    ),
    "bad_pattern": (
        WORKING.replace("Strip()", "Matches('(?=a)')").replace("Strip", "Matches"),
        'pattern "(?=a)" uses "(?", which RE2 and Python do not read alike',
    ),
    "unknown_hook": (
        WORKING.replace("register_channel_types", "register_pigeons"),
        "unknown hook 'register_pigeons' in plugin",
    ),
}


def install(directory: Path, code: str | None) -> dict[str, str]:
    """Put the distribution maysend-pigeon 1.2 into a directory, and return the environment that finds it there."""
    if code is not None:
        (directory / "maysend_pigeon.py").write_text(code.lstrip(), "utf-8")
    info = directory / "maysend_pigeon-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: maysend-pigeon\nVersion: 1.2\n", "utf-8")
    (info / "entry_points.txt").write_text("[maysend]\npigeon = maysend_pigeon\n", "utf-8")
    return {"PYTHONPATH": str(directory)}


def test_built_in_plugins_are_listed_with_their_distribution(tmp_path: Path, maysend_json: Any) -> None:
    plugins = maysend_json("plugins", cwd=tmp_path)["plugins"]
    assert [plugin["channel_types"] for plugin in plugins if plugin["channel_types"]] == [["email"], ["push"], ["sms"]]
    assert {(plugin["distribution"], plugin["error"]) for plugin in plugins} == {("maysend", None)}


def test_a_third_party_s_plugin_is_listed(tmp_path: Path, maysend: Any, maysend_json: Any) -> None:
    env = install(tmp_path, WORKING)
    plugin = maysend_json("plugins", cwd=tmp_path, env=env)["plugins"][-1]
    assert (plugin["name"], plugin["distribution"], plugin["version"]) == ("pigeon", "maysend-pigeon", "1.2")
    assert (plugin["channel_types"], plugin["error"]) == (["pigeon"], None)
    assert "maysend-pigeon" in maysend("plugins", cwd=tmp_path, env=env).stdout


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_one_is_named_and_the_rest_works(name: str, tmp_path: Path, maysend: Any, maysend_json: Any) -> None:
    code, reason = BROKEN[name]
    env = install(tmp_path, code)

    *others, broken = maysend_json("plugins", cwd=tmp_path, env=env)["plugins"]
    assert [plugin["channel_types"] for plugin in others if plugin["channel_types"]] == [["email"], ["push"], ["sms"]]
    assert not any(plugin["error"] for plugin in others)
    assert (broken["distribution"], broken["version"], broken["channel_types"]) == ("maysend-pigeon", "1.2", [])
    assert reason in broken["error"]

    lines = maysend("plugins", cwd=tmp_path, env=env).stderr.splitlines()
    assert lines == [f"pigeon (maysend-pigeon 1.2) failed to load: {broken['error']}"]
