"""The command line: one file per command, imported only when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from ..errors import MaysendError, PluginError
from ..garbage import seldom_collecting

if TYPE_CHECKING:
    from ..plugins import Plugins

COMMANDS = {
    "init": "Make an example project, or the ledger of a project.",
    "validate": "Show every problem of the declarations.",
    "evaluate": "Say for every campaign who may be sent it, and why the others may not.",
    "diff": "Say what a change to the declarations does to people, and which line is why.",
    "roster": "Keep addresses and answers worked out, so that later runs are faster.",
    "explain": "Say of one profile which checks it passed and failed.",
    "unsubscribe": "Record that somebody leaves a channel or a group.",
    "resubscribe": "Record that somebody returns to a channel or a group.",
    "status": "Show what somebody is subscribed to.",
    "history": "Show what somebody answered, oldest first.",
    "import": "Record answers from a file.",
    "export": "Write every recorded answer, or every profile's status, to a file.",
    "erase": "Remove a person from the ledger, and keep their no.",
    "links": "Write the links and headers of a campaign's messages.",
    "serve": "Serve the unsubscribe and preference pages.",
    "deliver": "Deliver events to the sinks.",
    "report": "Write one HTML file of all campaigns: waterfalls, overlap, messages, answers.",
    "test": "Run the project's own cases: made-up people, and who of them may be sent what.",
    "keys": "Make and list the keys that seal links.",
    "check-unsubscribe": "Check any system's unsubscribe link against what mail programs expect.",
    "schema": "Print the JSON Schema of a kind of declaration.",
    "plugins": "List the plugins that are loaded, and those that are not.",
}


class _Commands(click.Group):
    """Commands by name, ours and the plugins'; help lists them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [name for name, _ in _summaries()]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if name not in COMMANDS:
            return _plugin_command(name)
        with seldom_collecting():
            command: click.Command = import_module(f".{name.replace('-', '_')}_command", __name__).command
        command.name, command.short_help = name, COMMANDS[name]
        command.help = command.help or COMMANDS[name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(_summaries())


def _plugins() -> Plugins | None:
    """The plugins that other distributions bring, where there are any; ours bring no commands."""
    from .. import plugins

    points = plugins.third_party()
    return plugins.load(points) if points else None


def _summaries() -> list[tuple[str, str]]:
    found = _plugins()
    others = [(name, one.summary) for name, one in found.commands.items() if name not in COMMANDS] if found else []
    return [*COMMANDS.items(), *others]


def _plugin_command(name: str) -> click.Command | None:
    """The command of a plugin. Raises PluginError where it cannot be opened; a plugin that is broken is named."""
    found = _plugins()
    if not found:
        return None
    if name not in found.commands:
        for plugin in found.failures:
            click.echo(f"{plugin} failed to load: {plugin.error}", err=True)
        return None
    source = found.sources["register_commands", name]
    try:
        command = found.commands[name].open()
    except (Exception, SystemExit) as error:
        line = " ".join(str(error).split())
        raise PluginError(f'command "{name}" of plugin {source}: {type(error).__name__}: {line}') from error
    if not isinstance(command, click.Command):
        raise PluginError(f'command "{name}" of plugin {source}: open must return a click command, not {command!r:.80}')
    command.name = name
    return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--project", metavar="DIR", help="The project's directory (default: the nearest project.yaml upward).")
@click.version_option(package_name="maysend")
@click.pass_context
def maysend(ctx: click.Context, project: str | None) -> None:
    """Who may be sent what? Answered for a whole audience at once."""
    ctx.obj = project


def main() -> Any:
    """Run the command line: exit code 0 done, 1 problems, 2 wrong usage, 3 a bug (with its traceback)."""
    try:
        return maysend(standalone_mode=True)
    except MaysendError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
    except Exception:
        sys.excepthook(*sys.exc_info())
        click.echo("This is a bug in maysend; please report it with the lines above.", err=True)
        sys.exit(3)
