"""A world (see ``oracle``) written as a real project on disk, and evaluated by maysend itself."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

from maysend import ChannelType, Matches, Strip, evaluation, loader, plugins, rosters, runner
from maysend.events import Fact
from maysend.ledger import open_ledger
from maysend.model import Project

World = Mapping[str, Any]

_TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "decimal": "DECIMAL(18,2)",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "instant": "TIMESTAMPTZ",
}


class _Quoted(yaml.SafeDumper):
    """Writes every text in quotes, so that it is read as text whatever it looks like."""


_Quoted.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def decisions(world: World, directory: Path) -> dict[str, dict[str, str]]:
    """Every campaign's reason for every profile (keys as text), by the engine; ``directory`` must be empty."""
    write_project(world, directory)
    record(world, directory)
    return runner.decide(loaded_project(directory), datetime.fromisoformat(world["as_of"]), loaded_plugins())


def record_around(world: World, directory: Path, write: Callable[[Path], object]) -> None:
    """Write the project, record the first half of the world's facts, have its roster written, and record the rest."""
    facts = [_fact(fact) for fact in world.get("facts", ())]
    half = len(facts) // 2
    write_project(world, directory)
    with open_ledger("sqlite:///ledger.db", directory, create=True) as ledger:
        ledger.append(facts[:half])
        write(directory)
        ledger.append(facts[half:])


def decisions_with_roster(world: World, directory: Path) -> dict[str, dict[str, str]]:
    """The same by a roster that knows of the first half of the world's facts."""
    record_around(world, directory, write_roster)
    project, as_of = loaded_project(directory), datetime.fromisoformat(world["as_of"])
    decided = runner.decide(project, as_of, loaded_plugins())
    with runner.opened(project, as_of, loaded_plugins()) as run:
        assert run.catalog.roster
        outcomes = evaluation.evaluate(run, runner.chosen(project, ())).outcomes
    for outcome in outcomes:  # counted without addresses
        if not outcome.refusals:
            assert Counter(decided[outcome.campaign.name].values()) == +Counter(outcome.counts)
    return decided


def write_roster(directory: Path) -> rosters.Written:
    """The roster of a project, whatever it was before."""
    now = datetime.now(UTC)
    with runner.opened(loaded_project(directory), now, loaded_plugins(), roster=False) as run:
        return run.write_roster()


def loaded_project(directory: Path) -> Project:
    """The project that ``write_project`` wrote."""
    return loader.load(directory, loaded_plugins())


def evaluated(project: Project, as_of: str, campaigns: Sequence[str], out: Path | None) -> dict[str, dict[str, int]]:
    """How many people each campaign named has per reason, ``included`` too; ``out`` gets the audiences."""
    with runner.opened(project, datetime.fromisoformat(as_of), loaded_plugins()) as run:
        found = evaluation.evaluate(run, runner.chosen(project, campaigns), out=out)
    return {outcome.campaign.name: outcome.counts for outcome in found.outcomes}


@cache
def loaded_plugins() -> plugins.Plugins:
    """What is installed, and a channel on which no answer is a no."""
    opt_in = ChannelType(
        name="opt_in", title="Opt-in", address=(Strip(), Matches("[^ \t\n\v\f\r]+")), default="unsubscribed"
    )
    installed = plugins.load()
    types = {**installed.channel_types, "opt_in": opt_in}
    return replace(installed, registered={**installed.registered, "register_channel_types": types})


def record(world: World, directory: Path) -> list[bool]:
    """Make the project's ledger and append the world's facts; of each, whether it became an event."""
    with open_ledger("sqlite:///ledger.db", directory, create=True) as ledger:
        return [event is not None for event in ledger.append([_fact(fact) for fact in world.get("facts", ())])]


def write(world: World, root: Path) -> Path:
    """A world as a project in a new directory, its facts in the ledger."""
    root.mkdir()
    write_project(world, root)
    record(world, root)
    return root


def write_project(world: World, directory: Path) -> None:
    """Declarations as YAML, tables as Parquet with exact types, lists as what their name says."""
    key = world.get("key", "id")
    project: dict[str, Any] = {
        "title": "A world",
        "timezone": world.get("timezone", "UTC"),
        "profiles": {"source": "profiles.parquet", "key": key},
        "ledger": "sqlite:///ledger.db",
    }
    with duckdb.connect() as connection:
        _write_table(connection, directory / "profiles.parquet", world["columns"], world.get("profiles", ()))
        for number, (name, event) in enumerate(sorted(world.get("events", {}).items())):
            file = f"events_{number}.parquet"
            _write_table(connection, directory / file, event["columns"], event.get("rows", ()))
            project.setdefault("events", {})[name] = {"source": file, "profile": event["profile"], "at": event["at"]}
        if sends := world.get("sends"):
            _write_table(connection, directory / "sends.parquet", sends["columns"], sends.get("rows", ()))
            named = {name: sends[name] for name in ("profile", "channel", "at")}
            project["sends"] = {"source": "sends.parquet", **named}
        for name, table in world.get("lists", {}).items():
            if name.endswith(".csv"):
                _write_csv(directory / name, table)
            else:
                _write_table(connection, directory / name, table["columns"], table["rows"])
    project |= {name: world[name] for name in ("frequency_caps", "control_groups", "limits") if world.get(name)}
    _write_yaml(directory / "project.yaml", project)
    _write_each(directory / "channels", world["channels"])
    _write_each(directory / "subscription_groups", world.get("groups", {}), titled=True)
    segments = {name: {"where": where} for name, where in world.get("segments", {}).items()}
    _write_each(directory / "segments", segments, titled=True)
    _write_each(directory / "campaigns", world["campaigns"], titled=True)


def _write_each(folder: Path, declarations: Mapping[str, Any], *, titled: bool = False) -> None:
    folder.mkdir()
    for name, declared in declarations.items():
        _write_yaml(folder / f"{name}.yaml", {"title": name, **declared} if titled else declared)


def _write_yaml(file: Path, data: Mapping[str, Any]) -> None:
    file.write_text(yaml.dump(dict(data), Dumper=_Quoted, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _write_csv(file: Path, table: Mapping[str, Any]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(table["columns"]))
        writer.writeheader()
        writer.writerows(table["rows"])


def _write_table(
    connection: duckdb.DuckDBPyConnection, file: Path, columns: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]
) -> None:
    declared = ", ".join(f"{_quoted(name)} {_sql_type(kind)}" for name, kind in columns.items())
    connection.execute(f"CREATE OR REPLACE TABLE written ({declared})")
    values = [[_value(row.get(name), kind) for name, kind in columns.items()] for row in rows]
    if values:
        connection.executemany(f"INSERT INTO written VALUES ({', '.join('?' for _ in columns)})", values)
    connection.execute(f"COPY written TO '{file}' (FORMAT parquet)")


def _sql_type(kind: str | Mapping[str, Any]) -> str:
    if isinstance(kind, Mapping):
        fields = ", ".join(f"{_quoted(name)} {_sql_type(inner)}" for name, inner in kind.items())
        return f"STRUCT({fields})"
    return f"{_TYPES[kind.removeprefix('list of ')]}[]" if kind.startswith("list of ") else _TYPES[kind]


def _value(value: Any, kind: str | Mapping[str, Any]) -> Any:
    if value is None:
        return None
    if isinstance(kind, Mapping):
        return {name: _value(value.get(name), inner) for name, inner in kind.items()}
    if kind.startswith("list of "):
        return [_value(item, kind.removeprefix("list of ")) for item in value]
    return float(value) if kind == "number" else value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _fact(plain: Mapping[str, Any]) -> Fact:
    profile = plain.get("profile")
    return Fact(
        channel=plain["channel"],
        group=plain.get("group"),
        subscribed=plain["answer"] == "subscribed",
        address=plain.get("address"),
        profile=None if profile is None else str(profile),
        occurred_at=datetime.fromisoformat(plain["at"]),
        type=plain.get("type"),
        source=plain.get("source", "import"),
    )
