"""The second pass of validation: what declarations say of each other, and values that no schema can check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path as Directory
from typing import Any
from zoneinfo import ZoneInfo

from ..columns import AUDIENCE_COLUMNS, LEDGER_EVENT
from ..documents import Document
from ..errors import Problem, did_you_mean
from ..model import Campaign, Project, Segment
from ..plugins import Plugins
from ..where import Condition, Did, InGroups, InList, InSegment, Interest, OnChannel, Path, leaves
from .assembly import DEFAULT_ACTIVE_GROUPS, campaign, project, segment
from .values import unreadable

_MOST_CUSTOM_CONTROL_GROUPS = 10


def _by_kind() -> Mapping[str, Any]:
    return {kind: {} for kind in ("channel", "subscription_group", "segment", "campaign")}


@dataclass(frozen=True)
class Declared:
    """What the files of a project declare.

    ``names`` are those of all files by kind; ``documents`` those whose shape is right, by kind and name.
    ``settings`` is ``project.yaml``, or None where it has problems of its own.
    """

    plugins: Plugins
    settings: Document | None
    documents: Mapping[str, dict[str, Document]] = field(default_factory=_by_kind)
    names: Mapping[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in _by_kind()})

    @cached_property
    def segments(self) -> Mapping[str, Segment]:
        """The segments whose shape is right, by name."""
        return {name: segment(name, document) for name, document in sorted(self.documents["segment"].items())}

    @cached_property
    def campaigns(self) -> Mapping[str, Campaign]:
        """The campaigns whose shape is right, by name."""
        return {name: campaign(name, document) for name, document in sorted(self.documents["campaign"].items())}

    def project(self, root: Directory, settings: Document) -> Project:
        """The whole project, of what has no problems."""
        return project(root, settings, self.documents, self.segments, self.campaigns)

    def problems(self) -> Iterator[Problem]:
        """Every reference that leads nowhere or where it must not, and every value that cannot be read."""
        if self.settings:
            yield from _settings(self, self.settings)
        for document in self.documents["channel"].values():
            name, known = document.data["type"], self.plugins.channel_types
            yield from _brought(self.plugins, document, ("type",), "channel type", name, known)
        for document in self.documents["subscription_group"].values():
            yield from self.unknown("channel", document, ("channel",), document.data["channel"])
        for one in self.segments.values():
            yield from _condition(self, one.document, one.where)
        yield from _cycles(self.segments)
        for each in self.campaigns.values():
            yield from _campaign(self, each)

    def unknown(self, kind: str, document: Document, path: Path, name: str) -> Iterator[Problem]:
        """A problem where no file of ``kind`` declares ``name``."""
        if name not in self.names[kind]:
            words, hint = kind.replace("_", " "), did_you_mean(name, self.names[kind])
            yield document.problem(path, f'unknown {words} "{name}"{hint or f"; {kind}s/{name}.yaml would declare it"}')

    def group(self, document: Document, path: Path, name: str) -> Iterator[Problem]:
        """A problem where ``name`` is no group, or an archived one."""
        yield from self.unknown("subscription_group", document, path, name)
        group = self.documents["subscription_group"].get(name)
        if group and group.data.get("status") == "archived":
            yield document.problem(
                path, f'subscription group "{name}" is archived; take it out, or make it active again'
            )


def _settings(declared: Declared, document: Document) -> Iterator[Problem]:
    data = document.data
    if not is_zone(zone := data.get("timezone", "UTC")):
        yield document.problem(("timezone",), f'unknown time zone "{zone}"; write an IANA name such as "Europe/Paris"')
    for index, cap in enumerate(data.get("frequency_caps", ())):
        yield from declared.unknown("channel", document, ("frequency_caps", index, "channel"), cap["channel"])
    if data.get("frequency_caps") and "sends" not in data:
        yield document.problem(
            ("frequency_caps",), 'frequency caps count sends; declare the table of them under "sends"', key=True
        )
    plugins = declared.plugins
    for index, sink in enumerate(data.get("sinks", ())):
        yield from _brought(plugins, document, ("sinks", index, "type"), "sink type", sink["type"], plugins.sink_types)
        if (name := _sink_name(sink)) in map(_sink_name, data["sinks"][:index]):
            yield document.problem(
                ("sinks", index), f'another sink is named "{name}"; give this one a "name" of its own'
            )
    if renderer := data.get("pages", {}).get("renderer"):
        path: Path = ("pages", "renderer")
        yield from _brought(plugins, document, path, "page renderer", renderer, plugins.page_renderers)
    for name, source in data.get("feedback", {}).items():
        yield from _brought(plugins, document, ("feedback", name), "feedback parser", name, plugins.feedback_parsers)
        yield from declared.unknown("channel", document, ("feedback", name, "channel"), source["channel"])
    for name in data.get("replies", ()):
        yield from declared.unknown("channel", document, ("replies", name), name)
    yield from _guards(document)
    if (key := data.get("profiles", {}).get("key", "")).lower() in AUDIENCE_COLUMNS:
        message = f'"{key}" is the name of another column of every audience; give the key another, as a .sql source can'
        yield document.problem(("profiles", "key"), message)
    yield from _event_names(document, data.get("events", {}))
    yield from _control_groups(document, data.get("control_groups", {}))
    limit = data.get("limits", {}).get("active_groups", DEFAULT_ACTIVE_GROUPS)
    groups = declared.documents["subscription_group"].values()
    if (active := sum(group.data.get("status", "active") == "active" for group in groups)) > limit:
        place = ("limits", "active_groups") if "limits" in data else ()
        yield document.problem(
            place,
            f"{active} subscription groups are active, and limits.active_groups is {limit}; archive one to make room",
        )


def _event_names(document: Document, events: Iterable[str]) -> Iterator[Problem]:
    """Names of tables do not tell capitals apart, and so no two events may be told apart by them alone."""
    taken = {LEDGER_EVENT.lower(): LEDGER_EVENT}
    for name in events:
        other = taken.setdefault(name.lower(), name)
        if other == LEDGER_EVENT:
            message = f'"{LEDGER_EVENT}" comes from the ledger; name this event otherwise'
        elif other != name:
            message = f'"{name}" and "{other}" differ in capitals alone; name one of them otherwise'
        elif not name:
            message = "this event has no name"
        else:
            continue
        yield document.problem(("events", name), message, key=True)


def _sink_name(sink: Mapping[str, Any]) -> str:
    return str(sink.get("name", sink["type"]))


def is_zone(name: str) -> bool:
    """Whether an IANA time zone has this name."""
    try:
        return bool(ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        return False


def _control_groups(document: Document, groups: Mapping[str, Any]) -> Iterator[Problem]:
    if (custom := len(groups.keys() - {"system"})) > _MOST_CUSTOM_CONTROL_GROUPS:
        message = f"{custom} custom control groups, and {_MOST_CUSTOM_CONTROL_GROUPS} are the most there can be"
        yield document.problem(("control_groups",), message, key=True)
    first: dict[str, str] = {}
    for name, group in groups.items():
        if (other := first.setdefault(group["salt"], name)) != name:
            message = f'salt "{group["salt"]}" is that of "{other}", and would draw the same people; write another'
            yield document.problem(("control_groups", name, "salt"), message)


def _brought(
    plugins: Plugins, document: Document, path: Path, words: str, name: str, known: Iterable[str]
) -> Iterator[Problem]:
    """A problem where no plugin brings what is named; one that failed to load may have."""
    if name not in known:
        failed = "".join(
            f"; plugin {one.name} of {one.distribution} failed to load: {one.error}" for one in plugins.failures
        )
        message = f'unknown {words} "{name}"{did_you_mean(name, known)}{failed}'
        yield document.problem(path, message, key=path[-1] == name)


def _condition(declared: Declared, document: Document, condition: Condition) -> Iterator[Problem]:
    yield from unreadable(document, condition)
    for leaf in leaves(condition):
        match leaf:
            case InSegment(segment=name, at=at):
                yield from declared.unknown("segment", document, (*at, "segment"), name)
            case OnChannel(channel=name, state=state, at=at):
                yield from declared.unknown("channel", document, (*at, state), name)
            case InList(channel=str(name), at=at):
                yield from declared.unknown("channel", document, (*at, "in_list", "channel"), name)
            case InGroups(groups=tuple(names), excluded=excluded, at=at):
                place = (*at, "subscription_groups", "exclude" if excluded else "include")
                for index, name in enumerate(names):
                    yield from declared.group(document, (*place, index), name)
            case Did(event=name, negated=negated, at=at):
                yield from _event(declared, document, (*at, "did_not" if negated else "did"), name)
            case Interest(event=name, percent=percent, at=at):
                yield from _event(
                    declared, document, (*at, "most_often" if percent is None else "share", "event"), name
                )


def _event(declared: Declared, document: Document, path: Path, name: str) -> Iterator[Problem]:
    if not declared.settings:
        return
    known = {*declared.settings.data.get("events", {}), LEDGER_EVENT}
    if name not in known:
        yield document.problem(path, f'unknown event "{name}"{did_you_mean(name, known)}')


def _cycles(segments: Mapping[str, Segment]) -> Iterator[Problem]:
    """Segments that are defined by themselves, each circle once, at the first reference of its smallest name."""
    uses = {name: [leaf for leaf in leaves(one.where) if isinstance(leaf, InSegment)] for name, one in segments.items()}
    done: set[str] = set()
    for start in sorted(segments):
        if circle := _circle(start, uses, done):
            names = [start, *(leaf.segment for leaf in circle)]
            at = (*circle[0].at, "segment")
            yield segments[start].document.problem(at, f"segments go round in a circle: {' -> '.join(names)}")
            done.update(names)


def _circle(start: str, uses: Mapping[str, list[InSegment]], done: Iterable[str]) -> list[InSegment]:
    """The shortest way from ``start`` back to it, around those already ``done``."""
    ways: list[list[InSegment]] = [[leaf] for leaf in uses[start]]
    seen = set(done)
    for way in ways:
        name = way[-1].segment
        if name == start:
            return way
        if name not in seen:
            seen.add(name)
            ways += [[*way, leaf] for leaf in uses.get(name, ())]
    return []


def _campaign(declared: Declared, one: Campaign) -> Iterator[Problem]:
    document = one.document
    yield from declared.unknown("channel", document, ("channel",), one.channel)
    for key, names in (("include", one.include), ("exclude", one.exclude)):
        for index, name in enumerate(names):
            yield from declared.unknown("segment", document, ("audience", key, index), name)
    yield from _guards(document)
    if one.groups:
        place: Path = ("subscription_groups", one.groups.kind)
        if one.groups.kind == "at_least":
            place = (*place, "of")
            if one.groups.count > len(one.groups.groups):
                message = f"{one.groups.count} of {len(one.groups.groups)} groups can never be; lower the count"
                yield document.problem(("subscription_groups", "at_least", "count"), message)
        for index, name in enumerate(one.groups.groups):
            yield from _campaign_group(declared, one, (*place, index), name)
    if isinstance(one.control_group, str):
        yield from _control_group(declared, document, one.control_group)
    if one.frequency_caps and declared.settings and "sends" not in declared.settings.data:
        message = 'frequency caps count sends; declare the table of them under "sends" in project.yaml'
        yield document.problem(("frequency_caps",), message, key=True)
    if one.ignore_unsubscribed and one.purpose != "transactional":
        message = '"ignore_unsubscribed" is for campaigns of purpose transactional; this one is marketing'
        yield document.problem(("ignore_unsubscribed",), message, key=True)


def _guards(document: Document) -> Iterator[Problem]:
    guards = document.data.get("guards", {})
    least, most = guards.get("min_audience", 0), guards.get("max_audience")
    if most is not None and least > most:
        message = f"no audience has at least {least:,} and at most {most:,} people; lower min_audience"
        yield document.problem(("guards", "min_audience"), message)


def _campaign_group(declared: Declared, one: Campaign, path: Path, name: str) -> Iterator[Problem]:
    yield from declared.group(one.document, path, name)
    group = declared.documents["subscription_group"].get(name)
    if group and group.data["channel"] != one.channel:
        message = (
            f'subscription group "{name}" is on channel "{group.data["channel"]}", and the campaign on "{one.channel}"'
        )
        yield one.document.problem(path, message)


def _control_group(declared: Declared, document: Document, name: str) -> Iterator[Problem]:
    if not declared.settings:
        return
    custom = declared.settings.data.get("control_groups", {}).keys() - {"system"}
    if name == "system":
        yield document.problem(
            ("control_group",), 'control group "system" is drawn for every campaign; leave it out here'
        )
    elif name not in custom:
        hint = did_you_mean(name, custom) or "; project.yaml declares none"
        yield document.problem(("control_group",), f'unknown control group "{name}"{hint}')
