"""Commands that plugins bring, and plugins that hang: whatever they do, the rest works."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from maysend import plugins

COMMAND = """
import click
from maysend import Command, hookimpl

def open_it():
    @click.command()
    @click.argument("name")
    @click.pass_obj
    def greet(project, name):
        click.echo(f"Hello {name} from {project}")
    return greet

@hookimpl
def register_commands():
    return [Command(name="greet", summary="Say hello.", open=open_it)]
"""
BARE = "import click\n@click.group()\ndef main(): pass\n@main.command()\ndef greet(): pass\nmain()"


def install(directory: Path, code: str) -> dict[str, str]:
    """Put the distribution maysend-pigeon 1.2 into a directory, and return the environment that finds it there."""
    (directory / "maysend_pigeon.py").write_text(code.lstrip(), "utf-8")
    info = directory / "maysend_pigeon-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: maysend-pigeon\nVersion: 1.2\n", "utf-8")
    (info / "entry_points.txt").write_text("[maysend]\npigeon = maysend_pigeon\n", "utf-8")
    return {"PYTHONPATH": str(directory)}


def test_a_plugin_s_command_is_listed_and_runs(tmp_path: Path, maysend: Any) -> None:
    env = install(tmp_path, COMMAND)
    assert "greet              Say hello." in maysend("--help", cwd=tmp_path, env=env).stdout
    assert maysend("--project", "shop", "greet", "Ann", cwd=tmp_path, env=env).stdout == "Hello Ann from shop\n"


@pytest.mark.parametrize(
    ("code", "arguments", "exit_code", "line"),
    [
        (COMMAND.replace("@click.command()", "raise OSError('no loft')"), ["greet"], 1, "OSError: no loft"),
        (COMMAND.replace("return greet", "return 'greet'"), ["greet"], 1, "must return a click command, not 'greet'"),
        ("import not_there", ["greet"], 2, "pigeon (maysend-pigeon) failed to load: ModuleNotFoundError"),
        (COMMAND.replace('"greet", s', '"status", s'), ["status", "--help"], 0, ""),
    ],
)
def test_a_broken_one_breaks_nothing(
    code: str, arguments: list[str], exit_code: int, line: str, tmp_path: Path, maysend: Any
) -> None:
    env = install(tmp_path, code)
    assert "Show what somebody is subscribed to." in maysend("--help", cwd=tmp_path, env=env).stdout
    assert line in maysend(*arguments, cwd=tmp_path, env=env, code=exit_code).stderr


def test_a_command_cannot_replace_one_of_ours(tmp_path: Path, maysend: Any) -> None:
    env = install(tmp_path, COMMAND.replace('"greet", s', '"status", s'))
    assert "Say hello." not in maysend("--help", cwd=tmp_path, env=env).stdout
    assert "--channel" in maysend("status", "--help", cwd=tmp_path, env=env).stdout
    told = maysend("plugins", cwd=tmp_path, env=env).stderr
    assert told == 'command "status" of pigeon is not used: maysend has one of its own\n'


def test_one_that_hangs_is_named_and_the_rest_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "maysend_hanging.py").write_text("import time\ntime.sleep(20)\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [
        EntryPoint("hanging", "maysend_hanging", plugins.GROUP),
        EntryPoint("later", "maysend_plugins.email", plugins.GROUP),
    ]
    began = time.monotonic()
    found = plugins.load(points, seconds=0.3)
    assert time.monotonic() - began < 5
    assert [(plugin.name, plugin.error) for plugin in found.loaded] == [
        ("hanging", "hangs: it was not loaded within 0.3 seconds"),
        ("later", None),
    ]
    assert list(found.channel_types) == ["email"]


def test_help_is_light(tmp_path: Path) -> None:
    """At most three times the time of a bare click program, and none of the engine's heavy parts."""
    program = (
        "import sys; from maysend.cli import maysend; maysend(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path)
    modules = set(done.stdout.splitlines()[-1].split())
    assert not modules & {"duckdb", "starlette", "sqlalchemy", "yaml", "jsonschema", "rich", "maysend_plugins"}

    def fastest(*command: str) -> float:
        times = []
        for _ in range(7):
            began = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True, cwd=tmp_path)
            times.append(time.perf_counter() - began)
        return min(times)

    bare = fastest("-c", BARE, "--help")
    assert fastest("-c", "from maysend.cli import main; main()", "--help") < 3 * bare
