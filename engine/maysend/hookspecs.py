"""The whole plugin contract. A plugin is a module (or object) registered under the entry-point group ``maysend``.

A hook returns a list of typed objects; every plugin's are collected, and a name that two plugins claim is a problem
that names both. Hooks are called once, when the program starts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import pluggy

from .errors import PluginError
from .events import Default, Type

hookspec = pluggy.HookspecMarker("maysend")
hookimpl = pluggy.HookimplMarker("maysend")

_RE2_AND_PYTHON = re.compile(r"\(\?(?!:)|\\[A-Za-z0-9]|[*+?}]\+")


@dataclass(frozen=True, slots=True)
class Strip:
    """Take blanks off both ends: ASCII white space, no-break space, zero-width space, byte order mark."""


@dataclass(frozen=True, slots=True)
class Lower:
    """Lower A to Z, and no other letter."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Take out every one of these characters, wherever it stands."""

    characters: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """Where the value starts with ``old``, put ``new`` in its place."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Matches:
    """The whole value matches ``pattern``, else the address is invalid.

    The pattern is in what RE2 and Python read alike: no look-around, no backslash classes, no possessive quantifiers.

    Raises PluginError where it is not.
    """

    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise PluginError(f'pattern "{self.pattern}" is not a regular expression: {error}') from None
        if found := _RE2_AND_PYTHON.search(self.pattern):
            raise PluginError(f'pattern "{self.pattern}" uses "{found[0]}", which RE2 and Python do not read alike')


Step = Strip | Lower | Remove | Prefix | Matches


def _keyword(reply: str) -> str:
    return "".join(reply.split()).strip("\u200b\ufeff.,;:!\"'").upper()


Meaning = Literal["subscribed", "unsubscribed", "help"]
"""What a keyword reply means: an answer for the whole channel, or a request for help, which is no answer."""


@dataclass(frozen=True, slots=True)
class ChannelType:
    """A way to reach people that a ``channels/*.yaml`` can name as its ``type``.

    ``address`` is the steps that normalize and validate an address, in order. ``default`` is the status of somebody
    who never answered. ``pages`` says whether messages carry links to pages, and ``one_click`` whether they also carry
    the headers of one-click unsubscribe (RFC 8058). ``keywords`` says what a reply of that one word means, in capitals
    (case and blanks of a reply do not matter). ``settings`` is a JSON Schema (an object's ``properties``) for further
    keys in the YAML.
    """

    name: str
    title: str
    address: tuple[Step, ...]
    default: Default = "subscribed"
    pages: bool = True
    one_click: bool = False
    keywords: Mapping[str, Meaning] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if wrong := [word for word in self.keywords if word != _keyword(word)]:
            raise PluginError(f'keyword "{wrong[0]}" of channel type "{self.name}" must be a word in capitals')

    def meaning(self, reply: str) -> Meaning | None:
        """What a reply means: one of the keywords, whatever its case, its blanks and the punctuation around it."""
        return self.keywords.get(_keyword(reply))


@dataclass(frozen=True, slots=True)
class SinkType:
    """Something that receives events, which ``sinks:`` in ``project.yaml`` can name as its ``type``.

    ``settings`` is a JSON Schema (an object's ``properties``) for further keys in the YAML; ``required`` names those
    that must be there. A setting whose schema says ``format: path`` is a path that starts at ``project.yaml``.
    ``open`` takes the settings as declared, such paths made absolute, and returns the sink; it is called anew after
    every failure. ``at_once`` is how many events a sink gets in one call, at most.
    """

    name: str
    open: Callable[[Mapping[str, Any]], Sink]
    settings: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    at_once: int = 500


class Sink(Protocol):
    """An open sink. It gets events in order, at least once, in a thread of its own, and never two calls at a time."""

    def deliver(self, events: Sequence[CloudEvent]) -> None:
        """Make these events durable at the receiver, in order, or raise: then the same ones come again later.

        Raises DeliveryError to say how many are durable all the same, or that the receiver will never take one.
        """

    def close(self) -> None:
        """Let go of connections; no call follows."""


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """*Channel Unsubscribed* as a CloudEvents 1.0 event in structured mode: ``body`` is its JSON, UTF-8.

    ``id`` is the event's ``event_id``, the same each time it is delivered. ``key`` is the same for all events of one
    address (of one profile, where no address is named): a receiver that spreads events keeps their order by it.
    ``data`` is what the body says under ``data``: the event's fields. ``seq`` is its place in the ledger.
    """

    seq: int
    id: str
    key: str
    data: Mapping[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class Switch:
    """A subscription group on a page: title and description exactly as declared, and whether it is on."""

    name: str
    title: str
    description: str
    subscribed: bool


PageKind = Literal["group", "left", "preferences", "invalid", "unavailable"]
"""Leave these groups (or everything); you have left; all switches; the link is not valid; nothing could be saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page shows. On the kinds ``invalid`` and ``unavailable`` nothing but the language is set; and ``saved``
    where the page is unavailable that would show what was saved just now.

    ``address`` is masked. ``groups`` are the link's on ``group`` and ``left`` (none: it is about the whole channel),
    and the visible ones on ``preferences``; ``subscribed`` is whether the channel as a whole is on. ``form`` goes back
    to ``action`` in a hidden field of that name; ``preference_page`` is where every group can be chosen.
    """

    kind: PageKind
    language: str
    address: str = ""
    groups: tuple[Switch, ...] = ()
    subscribed: bool = True
    form: str = ""
    action: str = ""
    preference_page: str = ""
    saved: bool = False
    test: bool = False


@dataclass(frozen=True, slots=True)
class PageSettings:
    """What a renderer may know: the project's directory and title, its ``pages``, and where its files are.

    Their names follow the closing ``/`` of ``static``.
    """

    root: Path
    title: str
    pages: Mapping[str, Any]
    static: str


class Renderer(Protocol):
    """Pages as HTML. ``languages`` are BCP 47 tags, the fallback first; ``files`` are served under ``static`` by name.

    A page's form posts to ``page.action``: the hidden field ``form``, and where it has switches ``group`` (a name) for
    each that is on, and ``channel`` where all messages are on. The page ``left`` without groups may post ``channel``
    alone: that is the way back.
    """

    languages: Sequence[str]
    files: Mapping[str, bytes]

    def render(self, page: Page) -> str:
        """The page, whole. It may hold no inline script and no inline style."""


@dataclass(frozen=True, slots=True)
class PageRenderer:
    """A look for the pages, which ``pages.renderer`` in ``project.yaml`` can name."""

    name: str
    open: Callable[[PageSettings], Renderer]


@dataclass(frozen=True, slots=True)
class Report:
    """What feedback says of one address (as found): ``type`` is None where the person simply unsubscribed.

    ``occurred_at`` is timezone-aware, None for now. Raises TypeError where a service sent something else than text.
    """

    address: str
    type: Type | None
    reason: str | None = None
    occurred_at: datetime | None = None

    def __post_init__(self) -> None:
        if not all(isinstance(text, str | None) for text in (self.address, self.type, self.reason)):
            raise TypeError("an address and a reason are text")
        if self.occurred_at and self.occurred_at.tzinfo is None:
            raise TypeError("occurred_at has no time zone")


@dataclass(frozen=True, slots=True)
class FeedbackParser:
    """Reads and verifies what a service posts to ``/feedback/<name>``, where ``feedback`` in the project has that name.

    ``settings`` is a JSON Schema (an object's ``properties``) for further keys in the YAML; ``required`` names those
    that must be there. ``parse`` takes the settings, the headers (names in lower case) and the body. It returns a
    report for each permanent failure, none for soft bounces, and raises FeedbackError for what it cannot verify or
    read. ``read``, if given, does so with a report that comes as a file, which needs no settings and no verification:
    ``maysend import --format <name>``.
    """

    name: str
    parse: Callable[[Mapping[str, Any], Mapping[str, str], bytes], Sequence[Report]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    read: Callable[[bytes], Sequence[Report]] | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A command of ``maysend``. No command of maysend's own can be replaced.

    ``summary`` stands in ``maysend --help``. ``open`` returns the click command, and is called only when it is run, so
    that its imports are not everybody's. Its ``ctx.obj`` is the ``--project DIR`` that was given, or None.
    """

    name: str
    summary: str
    open: Callable[[], Any]


class Hooks:
    """What a plugin may implement."""

    @hookspec
    def register_channel_types(self) -> list[ChannelType]:
        """Return the channel types this plugin brings."""
        raise NotImplementedError

    @hookspec
    def register_sink_types(self) -> list[SinkType]:
        """Return the sink types this plugin brings."""
        raise NotImplementedError

    @hookspec
    def register_page_renderers(self) -> list[PageRenderer]:
        """Return the page renderers this plugin brings."""
        raise NotImplementedError

    @hookspec
    def register_feedback_parsers(self) -> list[FeedbackParser]:
        """Return the feedback parsers this plugin brings."""
        raise NotImplementedError

    @hookspec
    def register_commands(self) -> list[Command]:
        """Return the commands this plugin adds to ``maysend``."""
        raise NotImplementedError
