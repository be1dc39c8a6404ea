"""Documents that have passed their schemas, as the dataclasses of ``model``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .. import where
from ..documents import Document
from ..model import (
    SNAPSHOTS,
    Campaign,
    Channel,
    ControlGroup,
    EventTable,
    FrequencyCap,
    GroupClause,
    Guards,
    Profiles,
    Project,
    Segment,
    Sends,
    Source,
    SparkEngine,
    SubscriptionGroup,
    TargetCap,
    is_local,
)

T = TypeVar("T")

DEFAULT_LEDGER = "sqlite:///.maysend/ledger.db"
DEFAULT_ACTIVE_GROUPS = 50


def project(
    root: Path,
    settings: Document,
    documents: Mapping[str, Mapping[str, Document]],
    segments: Mapping[str, Segment],
    campaigns: Mapping[str, Campaign],
) -> Project:
    """The whole project; ``documents`` holds those of each kind by name."""
    data = settings.data
    groups = _each(documents["subscription_group"], _group)
    folders = tuple(data.get("folders", ()))
    return Project(
        root=root,
        title=data.get("title", root.name),
        timezone=data.get("timezone", "UTC"),
        profiles=Profiles(_source(root, data["profiles"], folders), data["profiles"]["key"]),
        events={
            name: EventTable(_source(root, table, folders), table["profile"], table["at"])
            for name, table in data.get("events", {}).items()
        },
        sends=_sends(root, data["sends"], folders) if "sends" in data else None,
        frequency_caps=tuple(FrequencyCap(**cap) for cap in data.get("frequency_caps", ())),
        control_groups={name: ControlGroup(**drawn) for name, drawn in data.get("control_groups", {}).items()},
        ledger=data.get("ledger", DEFAULT_LEDGER),
        active_groups_limit=data.get("limits", {}).get("active_groups", DEFAULT_ACTIVE_GROUPS),
        channels=_each(documents["channel"], _channel),
        groups=groups,
        segments=segments,
        campaigns=campaigns,
        settings=data,
        document=settings,
        revision=_revision([settings, *(document for kind in documents.values() for document in kind.values())]),
        guards=Guards(**data.get("guards", {})),
        engine=_engine(data.get("engine", {})),
    )


def segment(name: str, document: Document) -> Segment:
    condition = where.parse(document.data["where"], ("where",))
    return Segment(name, document.data.get("title", name), condition, document)


def campaign(name: str, document: Document) -> Campaign:
    data = document.data
    audience, drawn, cap = data.get("audience", {}), data.get("control_group"), data.get("target_cap")
    return Campaign(
        name=name,
        title=data.get("title", name),
        channel=data["channel"],
        purpose=data.get("purpose", "marketing"),
        include=tuple(audience.get("include", ())),
        exclude=tuple(audience.get("exclude", ())),
        groups=_clause(data["subscription_groups"]) if "subscription_groups" in data else None,
        frequency_caps=tuple(FrequencyCap(data["channel"], **own) for own in data.get("frequency_caps", ())),
        control_group=ControlGroup(**drawn) if isinstance(drawn, dict) else drawn,
        target_cap=TargetCap(cap["at_most"], cap["when_exceeded"], cap.get("salt", "")) if cap else None,
        ignore_unsubscribed=data.get("ignore_unsubscribed"),
        document=document,
        guards=Guards(**data.get("guards", {})),
    )


def _each(documents: Mapping[str, Document], make: Callable[[str, Document], T]) -> dict[str, T]:
    return {name: make(name, document) for name, document in sorted(documents.items())}


def _source(root: Path, data: Mapping[str, Any], folders: tuple[str, ...]) -> Source:
    location = data["source"]
    path = str(root / location) if is_local(location) else location
    return Source(location, path, data.get("columns", {}), str(root), folders)


def _engine(data: Mapping[str, Any]) -> SparkEngine | None:
    if data.get("type", "duckdb") == "duckdb":
        return None
    place = data.get("remote") or data.get("master", "local[*]")
    return SparkEngine(place, "remote" in data, data.get("settings", {}), data.get("snapshots", SNAPSHOTS))


def _sends(root: Path, data: Mapping[str, Any], folders: tuple[str, ...]) -> Sends:
    return Sends(_source(root, data, folders), data["profile"], data["channel"], data["at"])


def _channel(name: str, document: Document) -> Channel:
    return Channel(name, document.data["type"], document.data["address"], document)


def _group(name: str, document: Document) -> SubscriptionGroup:
    data = document.data
    return SubscriptionGroup(
        name=name,
        title=data["title"],
        description=data.get("description", ""),
        channel=data["channel"],
        default=data["default"],
        active=data.get("status", "active") == "active",
        visibility=data.get("visibility", "public"),
        acknowledge=data.get("acknowledge"),
        document=document,
    )


def _clause(data: Mapping[str, Any]) -> GroupClause:
    kind: Any
    ((kind, groups),) = data.items()
    if kind == "at_least":
        return GroupClause("at_least", tuple(groups["of"]), groups["count"])
    return GroupClause(kind, tuple(groups))


def _revision(documents: list[Document]) -> str:
    """Twelve hexadecimal digits of SHA-256 over every declaration's name and bytes."""
    digest = hashlib.sha256()
    for document in sorted(documents, key=lambda document: document.file):
        digest.update(document.file.encode() + b"\0" + document.digest)
    return digest.hexdigest()[:12]
