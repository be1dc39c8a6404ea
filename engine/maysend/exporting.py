"""Files of what the ledger says: recorded answers, and the profiles' property ``subscription_groups``."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from sqlglot import exp

from .addresses import normalizer
from .backends.duckdb import DuckDB
from .errors import OutputError
from .hookspecs import ChannelType
from .ledger import Ledger, Subject
from .model import Channel, Project
from .status import Standing, statuses
from .trees import named

PART = 2_000
"""Profiles whose answers are read together."""


def write(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Write rows to a CSV or Parquet file, by its ending, whole or not at all; return how many.

    Raises OutputError where it cannot be written.
    """
    unfinished = file.with_name(f".{file.name}.unfinished{file.suffix}")
    try:
        count = (_write_parquet if file.suffix == ".parquet" else _write_csv)(unfinished, columns, rows)
        os.replace(unfinished, file)
    except OSError as error:
        raise OutputError(f"{file}: cannot be written: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def subscription_groups(
    project: Project, channel_types: Mapping[str, ChannelType], ledger: Ledger
) -> tuple[list[str], Iterator[Sequence[object]]]:
    """Columns and rows of every profile's status: its key, then a column per group, Subscribed or Unsubscribed."""
    columns = [project.profiles.key, *sorted(project.groups)]
    return columns, _statuses(project, channel_types, ledger)


def _statuses(project: Project, channel_types: Mapping[str, ChannelType], ledger: Ledger) -> Iterator[Sequence[object]]:
    channels = sorted(project.channels.values(), key=lambda channel: channel.name)
    steps = [normalizer(channel_types[channel.type].address) for channel in channels]
    for part in _profiles(project, channels):
        people: list[tuple[object, list[tuple[Subject, Subject]]]] = []
        for key, *addresses in part:
            normal = [
                step(str(found)) if found is not None else None for step, found in zip(steps, addresses, strict=True)
            ]
            people.append((key, [_subjects(c, address, key) for c, address in zip(channels, normal, strict=True)]))
        standings = ledger.standings({s for _, subjects in people for pair in subjects for s in pair if s.value})
        for key, subjects in people:
            status: dict[str, bool] = {}
            for channel, (address, profile) in zip(channels, subjects, strict=True):
                levels = standings.get(address, Standing()), standings.get(profile, Standing())
                status |= statuses(*levels, _defaults(project, channel))
            yield [key, *("Subscribed" if status[name] else "Unsubscribed" for name in sorted(project.groups))]


def _profiles(project: Project, channels: Sequence[Channel]) -> Iterator[list[tuple[object, ...]]]:
    """Every profile's key and its address on each channel, by key, some at a time."""
    place = exp.column("place", quoted=True)
    wanted = [project.profiles.key, *(channel.address for channel in channels)]
    with DuckDB() as backend:
        backend.open("profiles", project.profiles.source)
        numbered = exp.Window(
            this=exp.RowNumber(), order=exp.Order(expressions=[exp.Ordered(this=exp.column(wanted[0], quoted=True))])
        )
        selected = [named(exp.column(name, quoted=True), f"c{n}") for n, name in enumerate(wanted)]
        backend.create("people", exp.select(named(numbered, "place"), *selected).from_(exp.to_table("profiles")))
        shown = [exp.column(f"c{n}", quoted=True) for n in range(len(wanted))]
        start = 0
        while True:
            within = exp.and_(place.copy() > start, place.copy() <= start + PART)
            part = backend.rows(exp.select(*shown).from_(exp.to_table("people")).where(within).order_by(place.copy()))
            if not part:
                return
            yield part
            start += PART


def _subjects(channel: Channel, address: str | None, key: object) -> tuple[Subject, Subject]:
    return Subject(channel.name, "address", address or ""), Subject(channel.name, "profile", str(key))


def _defaults(project: Project, channel: Channel) -> dict[str, bool]:
    return {group.name: group.default == "subscribed" for group in project.groups_of(channel.name)}


def _write_csv(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    count = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def _write_parquet(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    with DuckDB() as backend:
        backend.land("rows", dict.fromkeys(columns, "VARCHAR"), rows)
        backend.write(exp.select("*").from_(exp.to_table("rows")), file)
        ((count,),) = backend.rows(exp.select(exp.Count(this=exp.Star())).from_(exp.to_table("rows")))
    return int(count)
