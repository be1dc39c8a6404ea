"""What a person may change: token -> what a page shows -> choice -> facts. The pages and the API both ask here.

Links hold normalized addresses, and answer for the address and the profile at once (spec 4).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from . import tokens
from .errors import UnknownNameError, did_you_mean
from .events import Fact, Source, new_event_id
from .hookspecs import ChannelType, Switch
from .ledger import Ledger
from .model import Project, SubscriptionGroup
from .status import CHANNEL, statuses
from .tokens import Link


@dataclass(frozen=True, slots=True)
class View:
    """What holds for a link's person: the channel as a whole, the link's groups, and those on the preference page."""

    subscribed: bool
    named: tuple[Switch, ...]
    groups: tuple[Switch, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """What a page showed, sealed into it: which switches and how they stood (``CHANNEL``: all messages), and evidence.

    ``id`` is a UUIDv7 of its own; ``text_hash`` the SHA-256 of the text shown.
    """

    shown: Mapping[str, bool]
    revision: str
    text_hash: str
    id: str = field(default_factory=new_event_id)


class Preferences:
    """The links of one state of a project's declarations, over a ledger. Every method may be called from any thread."""

    def __init__(
        self, project: Project, channel_types: Mapping[str, ChannelType], ledger: Ledger, keys: Sequence[bytes]
    ) -> None:
        self.project = project
        self._channel_types = channel_types
        self._ledger = ledger
        self._links = tokens.Sealer(keys, "link")
        self._forms = tokens.Sealer(keys, "form")

    def open(self, token: str) -> Link:
        """What a token holds. Raises InvalidTokenError."""
        return tokens.open_link(self._links, token)

    def view(self, link: Link) -> View:
        """What holds now, whatever was declared when the link was sent. Raises LedgerError."""
        declared = {group.name: group for group in self.project.groups_of(link.channel)}
        defaults = {CHANNEL: self._channel_default(link.channel)}
        defaults |= {name: _default(declared.get(name)) for name in (*declared, *link.groups)}
        on = statuses(
            *self._ledger.standing(link.channel, address=link.address, profile=link.profile), defaults=defaults
        )
        visible = (
            group
            for group in declared.values()
            if group.active
            and (group.visibility == "public" or (group.visibility == "if_subscribed" and on[group.name]))
        )
        return View(
            subscribed=on[CHANNEL],
            named=tuple(_switch(name, declared.get(name), subscribed=on[name]) for name in link.groups),
            groups=tuple(_switch(group.name, group, subscribed=on[group.name]) for group in visible),
        )

    def named(self, link: Link) -> tuple[Switch, ...]:
        """The link's groups, as they are once they were left."""
        declared = {group.name: group for group in self.project.groups_of(link.channel)}
        return tuple(_switch(name, declared.get(name), subscribed=False) for name in link.groups)

    def seal_form(self, token: str, shown: Mapping[str, bool], text: str) -> str:
        """The state that a page of this link shows, sealed for its form; ``text`` is all that the page says."""
        form = Form(shown, self.project.revision, hashlib.sha256(text.encode()).hexdigest())
        payload = [dict(form.shown), form.revision, form.text_hash, form.id]
        return self._forms.seal(json.dumps(payload, separators=(",", ":")).encode(), token.encode())

    def open_form(self, token: str, sealed: str) -> Form:
        """What ``seal_form`` sealed for a page of the same link. Raises InvalidTokenError."""
        return Form(*json.loads(self._forms.open(sealed, token.encode())))

    def leaving(self, link: Link, source: Source, form: Form | None = None) -> list[Fact]:
        """What the group page's button says: no to each of the link's groups, to the channel where it has none."""
        return self._facts(link, dict.fromkeys(link.groups or (CHANNEL,), False), source, form)

    def choosing(self, link: Link, form: Form, on: Iterable[str], source: Source) -> list[Fact]:
        """What a sent form says: only switches that differ from what it showed. ``on`` names those that are on now.

        A yes to what cannot be joined any more is not heard, a no always is.
        """
        wanted, joinable = set(on), self._joinable(link)
        changes = {
            name: not shown
            for name, shown in form.shown.items()
            if (name in wanted) != shown and (shown or name in joinable)
        }
        return self._facts(link, changes, source, form)

    def changing(self, link: Link, changes: Mapping[str, bool], source: Source) -> list[Fact]:
        """What the API was asked for: group (or ``CHANNEL``) to on or off, only groups that the pages show.

        A yes to what cannot be joined any more is refused. A no is also heard to a group that is shown to its
        subscribers alone. Raises UnknownNameError for any other group, and LedgerError.
        """
        shown = {CHANNEL, *link.groups, *(group.name for group in self.view(link).groups)}
        shown_at_times = {
            group.name for group in self.project.active_groups(link.channel) if group.visibility != "private"
        }
        allowed = {True: shown & self._joinable(link), False: shown | shown_at_times}
        for name, subscribed in changes.items():
            if name not in allowed[subscribed]:
                suggestion = did_you_mean(name, allowed[subscribed] - {CHANNEL, name})
                raise UnknownNameError(f'there is no group "{name}" to {"join" if subscribed else "leave"}{suggestion}')
        return self._facts(link, changes, source)

    def _joinable(self, link: Link) -> set[str]:
        """What a yes is heard to: the channel, and those of its groups that are declared and active now."""
        return {CHANNEL, *(group.name for group in self.project.active_groups(link.channel))}

    def _facts(self, link: Link, changes: Mapping[str, bool], source: Source, form: Form | None = None) -> list[Fact]:
        """Changes as facts, each for the address and the profile; none for a test link, which saves nothing."""
        if link.test:
            return []
        channel = self.project.channels.get(link.channel)
        return [
            Fact(
                channel=link.channel,
                group=None if name == CHANNEL else name,
                subscribed=subscribed,
                address=link.address,
                profile=link.profile,
                source=source,
                campaign=link.campaign,
                campaign_type=channel.type if channel and link.campaign else None,
                revision=form.revision if form else self.project.revision,
                text_hash=form.text_hash if form else None,
                event_id=_event_id(form, name) if form and subscribed else new_event_id(),
            )
            for name, subscribed in _ordered(changes)
        ]

    def _channel_default(self, name: str) -> bool:
        channel = self.project.channels.get(name)
        channel_type = self._channel_types.get(channel.type) if channel else None
        return channel_type is None or channel_type.default == "subscribed"


def masked(address: str) -> str:
    """An address as a page may show it to whoever holds the link: enough for its owner, of little use to others."""
    name, at, domain = address.partition("@")
    if at:
        host, dot, top = domain.rpartition(".")
        return f"{name[:1]}•••@{host[:1]}•••{dot}{top}" if dot else f"{name[:1]}•••@•••"
    return f"{address[:3]}•••{address[-2:]}" if len(address) > 7 else "•••"


def _ordered(changes: Mapping[str, bool]) -> list[tuple[str, bool]]:
    """Changes in the order that makes each of them hold. All messages turned off wins over every group turned on."""
    groups = [(name, on) for name, on in changes.items() if name != CHANNEL]
    match changes.get(CHANNEL):
        case False:
            return [*((name, on) for name, on in groups if not on), (CHANNEL, False)]
        case True:
            return [(CHANNEL, True), *groups]
        case _:
            return groups


def _event_id(form: Form, name: str) -> str:
    """The same for the same switch of the same form, so that a yes that is sent again later is not heard again."""
    start = UUID(form.id).int >> 64
    end = int.from_bytes(hashlib.sha256(f"{form.id} {name}".encode()).digest()[:8], "big") >> 2
    return str(UUID(int=start << 64 | 0b10 << 62 | end))


def _default(group: SubscriptionGroup | None) -> bool:
    return group is None or group.default == "subscribed"


def _switch(name: str, group: SubscriptionGroup | None, *, subscribed: bool) -> Switch:
    """A group as declared; one that no file declares any more goes by its name."""
    if group is None:
        return Switch(name, name.replace("_", " "), "", subscribed)
    return Switch(name, group.title, group.description, subscribed)
