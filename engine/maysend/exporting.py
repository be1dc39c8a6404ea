"""Files of what the ledger says: recorded answers, and the profiles' property ``subscription_groups``."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sqlglot import exp

from .addresses import normalized
from .backends.backend import Backend
from .backends.duckdb import DuckDB
from .columns import Catalog, Kind
from .hookspecs import ChannelType
from .model import Channel, Project
from .output import replaced
from .targeting.features import address_column, as_key, value
from .targeting.standings import Standing
from .trees import cast, column, has, named, number, table

E = exp.Expr


def write(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Write rows to a CSV or Parquet file, by its ending, whole or not at all; return how many.

    Raises OutputError where it cannot be written.
    """
    with replaced(file) as unfinished:
        return (_write_parquet if file.suffix == ".parquet" else _write_csv)(unfinished, columns, rows)


def write_subscription_groups(
    file: Path, project: Project, channel_types: Mapping[str, ChannelType], catalog: Catalog, backend: Backend
) -> int:
    """Write every profile's status to a CSV or Parquet file, whole or not at all; return how many there are.

    Columns are the key, as text, and each group: Subscribed or Unsubscribed. The backend has the relations ``profiles``
    and ``answers``. Raises OutputError where the file cannot be written.
    """
    query = _subscription_groups(project, channel_types, catalog, backend)
    with replaced(file) as unfinished:
        backend.write(query, unfinished)
    ((count,),) = backend.rows(exp.select(exp.Count(this=exp.Star())).from_(table("profiles")))
    return int(count)


def _subscription_groups(
    project: Project, channel_types: Mapping[str, ChannelType], catalog: Catalog, backend: Backend
) -> exp.Query:
    """The profiles by key, with the words that their answers fold into looked up as a text per group."""
    profiles, known = catalog.profiles or {}, catalog.roster.addresses if catalog.roster else ()
    own = column(project.profiles.key, "p")
    kind = profiles[project.profiles.key].kind
    key_kind: Kind = "integer" if kind == "integer" else "text"
    channels = [channel for channel in project.channels.values() if project.groups_of(channel.name)]
    wanted = {
        address_column(channel): (
            cast(value(profiles, channel.address, "p"), "text"),
            channel_types[channel.type].address,
        )
        for channel in channels
        if address_column(channel) not in known
    }
    people = exp.select(exp.Column(this=exp.Star(), table=exp.to_identifier("p")))
    backend.view("people", people.from_(normalized(table("profiles", "p"), wanted).subquery("p")))
    query = exp.select().from_(table("profiles", "p"))
    shown: dict[str, E] = {}
    for channel in channels:
        standing = _standing(project, channel)
        slots = {group: standing.slot(group) for group in standing.defaults}
        subject = as_key(column("subject", "s"), "text", key_kind)
        key = as_key(own, kind, key_kind)
        backend.create(standing.alias, standing.fold(key.copy(), subject, by_address=True))
        same = exp.EQ(this=key.copy(), expression=column("key", standing.alias))
        query = query.join(table(standing.alias), on=same, join_type="left")
        for group, (word, bit) in slots.items():
            default = number(standing.default(word))
            answered = exp.Coalesce(this=column(f"w{word}", standing.alias), expressions=[default])
            yes, no = (exp.Literal.string(text) for text in ("Subscribed", "Unsubscribed"))
            shown[group] = exp.Case(ifs=[exp.If(this=has(answered, bit), true=yes)], default=no)
    columns = [named(cast(own.copy(), "text"), project.profiles.key)]
    columns += [named(shown[group], group) for group in sorted(shown)]
    return query.select(*columns).order_by(own.copy())


def _standing(project: Project, channel: Channel) -> Standing:
    defaults = {group.name: group.default == "subscribed" for group in project.groups_of(channel.name)}
    return Standing(f"standing {channel.name}", channel.name, address_column(channel), defaults)


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
