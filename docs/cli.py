"""Write ``cli.md`` beside this file, from the commands themselves: ``python docs/cli.py``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from maysend.cli import COMMANDS, maysend

INTRODUCTION = """\
# Command line

```
maysend [--project DIR] COMMAND [OPTIONS] [ARGUMENTS]
```

- A command works on the project whose `project.yaml` is nearest upward from where it is called; `--project DIR` names
  another. It may stand before or after the command's name.
- Results go to stdout, talk and progress to stderr. Commands that report take `--json`. `NO_COLOR` is respected.
- Exit codes: 0 done, also where nothing had to change; 1 problems, refused rows, a sink that failed, a guard
  that tripped, or a target cap that aborted a campaign; 2 wrong usage or an unknown name; 3 a bug.
- What a person can cause is told in one clear line, never a traceback.
- `MAYSEND_KEYS` holds the keys that seal links (`links`, `serve`), and `MAYSEND_ERASURE_KEY` the secret under which the
  no of erased people is kept (`erase`, and then every command that opens the ledger).
- Plugins may bring further commands; `maysend --help` lists them beside these.

This page is generated from the commands; `make docs` writes it again.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *_summary(), *(line for name in COMMANDS for line in _command(name))])


def _summary() -> Iterator[str]:
    yield "| command | what it does |\n| --- | --- |"
    yield from (f"| [`{name}`](#maysend-{name}) | {text} |" for name, text in COMMANDS.items())
    yield ""


def _command(name: str) -> Iterator[str]:
    context = click.Context(maysend, info_name="maysend")
    command = maysend.get_command(context, name)
    assert command
    yield from _described(command, click.Context(command, context, name), "##")


def _described(command: click.Command, context: click.Context, level: str) -> Iterator[str]:
    usage = f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    yield f"{level} `{context.command_path}`\n\n```\n{usage}\n```\n"
    yield f"{inspect.cleandoc(command.help or command.short_help or '')}\n"
    options = [option for option in command.params if isinstance(option, click.Option)]
    if records := [record for option in options if (record := option.get_help_record(context))]:
        yield "| option | meaning |\n| --- | --- |"
        yield from (f"| `{_cell(option)}` | {_cell(meaning)} |" for option, meaning in records)
        yield ""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _described(inner, click.Context(inner, context, name), f"{level}#")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
