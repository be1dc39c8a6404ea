"""The declarations of a project, as frozen dataclasses. What a key means stands in its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .documents import Document
from .events import Default
from .where import Condition

Visibility = Literal["public", "if_subscribed", "private"]
SNAPSHOTS = ".maysend"
"""Where runs keep the ledger's answers as Parquet, unless ``project.yaml`` says otherwise."""
TABLE = "table:"
"""How the location of a source begins that is a table of a Spark catalog."""


@dataclass(frozen=True, slots=True)
class Source:
    """A table that is read and never written.

    ``location`` is a path or glob as declared; ``path`` the same made absolute. ``columns`` are declared types by
    column name, empty where the files themselves say. ``folders``, under ``root``, are what a ``.sql`` file may read.
    """

    location: str
    path: str
    columns: Mapping[str, str] = field(default_factory=dict)
    root: str = "."
    folders: tuple[str, ...] = ()

    @property
    def table(self) -> str | None:
        """The table of a Spark catalog that ``table:NAME`` names; None where the source is files."""
        return self.location.removeprefix(TABLE) if self.location.startswith(TABLE) else None

    @property
    def local(self) -> bool:
        """Whether the source is files of this machine."""
        return is_local(self.location)


def is_local(location: str) -> bool:
    """Whether a location is a path; otherwise it is a table of a catalog, or the URI of files elsewhere."""
    return not location.startswith(TABLE) and "://" not in location


@dataclass(frozen=True, slots=True)
class SparkEngine:
    """Spark instead of DuckDB: a master (``spark://…``, ``local[*]``, ``yarn``), or with ``remote`` a Spark Connect
    server (``sc://…``) at ``place``. ``snapshots`` is a directory that this machine and the workers see."""

    place: str
    remote: bool
    settings: Mapping[str, str]
    snapshots: str


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profile table. ``drawn_by`` is the column that draws hash, where that is not the key: a table in which
    several tests stand side by side has keys of its own."""

    source: Source
    key: str
    drawn_by: str | None = None


@dataclass(frozen=True, slots=True)
class EventTable:
    """Behaviour: one row per event, of the profile whose key stands in column ``profile``, at the time in ``at``."""

    source: Source
    profile: str
    at: str


@dataclass(frozen=True, slots=True)
class Sends:
    """What was sent before: the messages that frequency caps count."""

    source: Source
    profile: str
    channel: str
    at: str


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    channel: str
    at_most: int
    days: int


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A share of everyone that is drawn by ``salt`` and left out."""

    percent: float
    salt: str


@dataclass(frozen=True, slots=True)
class TargetCap:
    at_most: int
    when_exceeded: Literal["sample", "abort"]
    salt: str


@dataclass(frozen=True, slots=True)
class Guards:
    """What an audience must keep to be sent: its size in profiles, and its change in percent of the one before."""

    max_change_percent: float | None = None
    min_audience: int | None = None
    max_audience: int | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    name: str
    type: str
    address: str
    document: Document


@dataclass(frozen=True, slots=True)
class SubscriptionGroup:
    name: str
    title: str
    description: str
    channel: str
    default: Default
    active: bool
    visibility: Visibility
    acknowledge: str | None
    document: Document

    def means_change(self, remembered: str | None) -> bool:
        """Whether the file says why a change of its default is meant, and not only why an earlier one was: what the
        ledger has ``remembered`` of ``acknowledge``."""
        return bool(self.acknowledge) and self.acknowledge != remembered


@dataclass(frozen=True, slots=True)
class Segment:
    name: str
    title: str
    where: Condition
    document: Document


@dataclass(frozen=True, slots=True)
class GroupClause:
    """Which groups a campaign asks for: ``all``, ``any``, ``none`` or ``at_least`` (``count`` of them)."""

    kind: Literal["all", "any", "none", "at_least"]
    groups: tuple[str, ...]
    count: int = 0

    @property
    def asks_for(self) -> tuple[str, ...]:
        """The groups a message of this campaign is about: those a link holds (none under ``none``)."""
        return () if self.kind == "none" else self.groups


@dataclass(frozen=True, slots=True)
class Campaign:
    name: str
    title: str
    channel: str
    purpose: Literal["marketing", "transactional"]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    groups: GroupClause | None
    frequency_caps: tuple[FrequencyCap, ...]
    control_group: ControlGroup | str | None
    target_cap: TargetCap | None
    ignore_unsubscribed: str | None
    document: Document
    guards: Guards = Guards()


@dataclass(frozen=True, slots=True)
class Project:
    """A directory of declarations that has the right shape and whose references all lead somewhere.

    ``settings`` is ``project.yaml`` as data, with ``${NAME}`` filled in, for the parts that belong to later floors
    (pages, sinks, feedback).
    """

    root: Path
    title: str
    timezone: str
    profiles: Profiles
    events: Mapping[str, EventTable]
    sends: Sends | None
    frequency_caps: tuple[FrequencyCap, ...]
    control_groups: Mapping[str, ControlGroup]
    ledger: str
    active_groups_limit: int
    channels: Mapping[str, Channel]
    groups: Mapping[str, SubscriptionGroup]
    segments: Mapping[str, Segment]
    campaigns: Mapping[str, Campaign]
    settings: Mapping[str, Any]
    document: Document
    revision: str
    guards: Guards = Guards()
    engine: SparkEngine | None = None

    def groups_of(self, channel: str) -> tuple[SubscriptionGroup, ...]:
        """Every declared group of a channel, archived ones too, by name."""
        return tuple(group for _, group in sorted(self.groups.items()) if group.channel == channel)

    def active_groups(self, channel: str | None = None) -> tuple[SubscriptionGroup, ...]:
        """The groups people can join now, by name: of one channel, or of all."""
        return tuple(g for _, g in sorted(self.groups.items()) if g.active and channel in (None, g.channel))
