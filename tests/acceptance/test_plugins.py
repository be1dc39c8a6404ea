"""Third parties' plugins, really installed: good ones, and broken in every way; whatever they do, the rest works."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from maysend import plugins
from serving import KEY, write

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
    "clashes": (
        WORKING.replace("pigeon", "email"),
        'channel type "email" is registered by email (maysend 0.1.0) already',
    ),
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
LOFT = {
    "project.yaml": (
        "title: A loft\nledger: ${LEDGER}\npages: {base_url: https://mail.example.com}\n"
        "profiles: {source: owners.csv, key: id, columns: {id: integer, loft: text}}\n"
    ),
    "owners.csv": "id,loft\n1,loft 7\n",
    "channels/loft.yaml": "type: pigeon\naddress: loft\n",
    "campaigns/hello.yaml": "title: Hello\nchannel: loft\n",
}
BARE = "import click\n@click.group()\ndef main(): pass\n@main.command()\ndef greet(): pass\nmain()"


def install(
    directory: Path, code: str | None, *, distribution: str = "maysend-pigeon", module: str = "maysend_pigeon"
) -> dict[str, str]:
    """Put version 1.2 of a distribution with the plugin "pigeon" there, and return the environment that finds it."""
    info = directory / f"{module}-1.2.dist-info"
    info.mkdir(parents=True)
    if code is not None:
        (directory / f"{module}.py").write_text(code.lstrip(), "utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[maysend]\npigeon = {module}\n", "utf-8")
    return {"PYTHONPATH": str(directory)}


def test_built_in_plugins_are_listed_with_their_distribution(tmp_path: Path, maysend_json: Any) -> None:
    plugins = maysend_json("plugins", cwd=tmp_path)["plugins"]
    assert [plugin["channel_types"] for plugin in plugins if plugin["channel_types"]] == [["email"], ["push"], ["sms"]]
    assert {(plugin["distribution"], plugin["error"]) for plugin in plugins} == {("maysend", None)}


def test_two_distributions_may_name_an_entry_point_alike(tmp_path: Path, maysend_json: Any) -> None:
    """Each is listed with what it brought itself; what both claim is the first one's."""
    code = WORKING.replace('title="Pigeon", address=(Strip(),))', 'title="Pigeon", address=(Strip(),)){}')
    crane = code.format(', ChannelType(name="crane", title="Crane", address=(Strip(),))')
    first, second = tmp_path / "first", tmp_path / "second"
    install(first, code.format(""))
    install(second, crane.replace("pigeon", "heron"), distribution="maysend-zoo", module="maysend_zoo")
    found = maysend_json("plugins", cwd=tmp_path, env={"PYTHONPATH": f"{first}:{second}"})["plugins"][-2:]
    assert [(one["name"], one["distribution"], one["channel_types"], one["error"]) for one in found] == [
        ("pigeon", "maysend-pigeon", ["pigeon"], None),
        ("pigeon", "maysend-zoo", ["heron", "crane"], None),
    ]
    (second / "maysend_zoo.py").write_text(crane.lstrip(), "utf-8")
    *_, refused = maysend_json("plugins", cwd=tmp_path, env={"PYTHONPATH": f"{first}:{second}"})["plugins"]
    assert refused["channel_types"] == []
    assert refused["error"] == 'channel type "pigeon" is registered by pigeon (maysend-pigeon 1.2) already'


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


@pytest.mark.parametrize(
    ("says", "headers"),
    [
        ("one_click=True", {"List-Unsubscribe", "List-Unsubscribe-Post", "List-Id"}),
        ("one_click=False", set()),
        ("pages=False", None),
    ],
)
def test_a_message_s_links_are_what_its_channel_type_says(
    says: str, headers: set[str] | None, tmp_path: Path, maysend: Any, maysend_json: Any
) -> None:
    env = install(tmp_path / "installed", WORKING.replace("(Strip(),)", f"(Strip(),), {says}")) | {"MAYSEND_KEYS": KEY}
    write(tmp_path, "sqlite:///ledger.db", LOFT)
    asked = ("links", "hello", "--profile", "1")
    if headers is None:
        told = maysend(*asked, cwd=tmp_path, env=env, code=1).stderr
        assert told == "hello: messages on channel loft carry no links\n"
        told = maysend("links", "hello", "--out", "links.csv", cwd=tmp_path, env=env, code=1).stderr
        assert told == "hello: messages on channel loft carry no links\n"
        assert not (tmp_path / "links.csv").exists()
        return
    found = maysend_json(*asked, cwd=tmp_path, env=env)
    assert found["group_page"].startswith("https://mail.example.com/u/")
    assert found["headers"].keys() == headers


# Commands


def test_a_plugin_s_command_is_listed_and_runs(tmp_path: Path, maysend: Any) -> None:
    env = install(tmp_path, COMMAND)
    assert "greet              Say hello." in maysend("--help", cwd=tmp_path, env=env).stdout
    assert maysend("--project", "shop", "greet", "Ann", cwd=tmp_path, env=env).stdout == "Hello Ann from shop\n"


@pytest.mark.parametrize(
    ("code", "arguments", "exit_code", "line"),
    [
        (COMMAND.replace("@click.command()", "raise OSError('no loft')"), ["greet"], 1, "OSError: no loft"),
        (COMMAND.replace("return greet", "return 'greet'"), ["greet"], 1, "must return a click command, not 'greet'"),
        ("import not_there", ["greet"], 2, "pigeon (maysend-pigeon 1.2) failed to load: ModuleNotFoundError"),
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
    assert told == 'command "status" of pigeon (maysend-pigeon 1.2) is not used: maysend has one of its own\n'


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

    def least(*command: str) -> float:
        """Seconds of processor time: what else runs here takes none of them."""
        times = []
        for _ in range(7):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *command], check=True, capture_output=True, cwd=tmp_path)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        return min(times)

    bare = least("-c", BARE, "--help")
    assert least("-c", "from maysend.cli import main; main()", "--help") < 3 * bare
