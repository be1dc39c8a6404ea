"""One row of the import format (spec 8) as a fact, or the reason it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, get_args
from zoneinfo import ZoneInfo

from ..addresses import normalizer
from ..errors import did_you_mean
from ..events import LONGEST_SUBJECT, SOURCES, TYPES, Fact, Source, Type
from ..hookspecs import ChannelType
from ..ledger import is_storable, is_subject
from ..model import Project

COLUMNS = ("channel", "group", "address", "profile", "status", "occurred_at", "type", "reason")

EVIDENCE = ("source", "event_id", "campaign", "campaign_type", "variant", "revision", "text_hash")
"""What rows of our own events say besides, as the fields of a fact."""

MISSHAPEN = "\0"
"""Where a row says what is wrong with it as a whole."""

Row = Mapping[str, str | None]
"""Column name to text; empty or None where it does not apply."""


class Refused(NamedTuple):
    """A row that was not recorded. ``row`` counts from 1, the header of a CSV file apart."""

    row: int
    message: str


class Answer(NamedTuple):
    """What a row says, checked. ``occurred_at`` is in UTC, None for now; ``evidence`` is what it says of EVIDENCE."""

    channel: str
    group: str | None
    subscribed: bool
    address: str | None
    profile: str | None
    occurred_at: datetime | None
    type: Type | None
    reason: str | None
    evidence: tuple[tuple[str, str], ...] = ()


class RowReader:
    """Reads rows against a project's declarations; no later than ``now``. ``source`` is where answers come from."""

    def __init__(
        self, project: Project, channel_types: Mapping[str, ChannelType], now: datetime, source: Source = "import"
    ) -> None:
        self._project = project
        self._source: Source = source
        self._now = now
        self._zone = ZoneInfo(project.timezone)
        self._normalize: dict[str, Callable[[str], str | None]] = {
            name: normalizer(channel_types[channel.type].address) for name, channel in project.channels.items()
        }
        self._places: set[tuple[str, str]] = set()

    def answer(self, row: Row) -> Answer:
        """The answer in ``row``.

        Raises ValueError with the reason where there is none: an unknown name, an invalid address, a future or
        missing date, words that do not make sense together.
        """
        if wrong := row.get(MISSHAPEN):
            raise ValueError(wrong)
        cells = [(row.get(name) or "").strip() for name in COLUMNS]
        if not is_storable("".join(cells)):
            name = next(name for name, text in zip(COLUMNS, cells, strict=True) if not is_storable(text))
            raise ValueError(f"its {name} holds a character that no ledger can store")
        channel, group, address, profile, status, at, kind, reason = cells
        if (channel, group) not in self._places:
            self._check_place(channel, group)
            self._places.add((channel, group))
        if not all(map(is_subject, (address, profile))):
            raise ValueError(
                f"its {'profile' if is_subject(address) else 'address'} has more than {LONGEST_SUBJECT} characters"
            )
        subscribed = _subscribed(status)
        if address and not (normal := self._normalize[channel](address)):
            raise ValueError(f'"{address}" is no address on channel {channel}')
        if not (address or profile):
            raise ValueError("names neither an address nor a profile")
        type_ = _type(kind, subscribed=subscribed, address=address)
        occurred_at = self._moment(at)
        if subscribed and occurred_at is None:
            raise ValueError('"subscribed" needs occurred_at: when they said so')
        return Answer(
            channel,
            group or None,
            subscribed,
            normal if address else None,
            profile or None,
            occurred_at,
            type_,
            reason or None,
            _evidence(row) if "event_id" in row else (),
        )

    def fact(self, answer: Answer) -> Fact:
        """The answer as what the ledger is told."""
        *said, evidence = answer
        told: dict[str, Any] = dict(zip(answer._fields, said, strict=False))
        return Fact(**told | (dict(evidence) or {"source": self._source, "revision": self._project.revision}))

    def _check_place(self, channel: str, group: str) -> None:
        if channel not in self._project.channels:
            raise ValueError(f'there is no channel "{channel}"{did_you_mean(channel, self._project.channels)}')
        if not group:
            return
        if group not in self._project.groups:
            raise ValueError(f'there is no subscription group "{group}"{did_you_mean(group, self._project.groups)}')
        if (own := self._project.groups[group].channel) != channel:
            raise ValueError(f'subscription group "{group}" is on channel {own}, not {channel}')

    def _moment(self, text: str) -> datetime | None:
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f'occurred_at "{text}" is no date or time such as 2024-01-31T18:30:00Z') from None
        if moment > self._now:
            raise ValueError(f"occurred_at {text} is in the future")
        return moment


def _evidence(row: Row) -> tuple[tuple[str, str], ...]:
    found = tuple((name, text) for name in EVIDENCE if (text := row.get(name)))
    if (source := dict(found).get("source")) not in SOURCES:
        raise ValueError(f'source "{source}" is none of {", ".join(SOURCES)}')
    if not all(is_storable(text) for _, text in found):
        raise ValueError("its evidence holds a character that no ledger can store")
    return found


def _subscribed(text: str) -> bool:
    match text.lower():
        case "subscribed":
            return True
        case "unsubscribed":
            return False
        case _:
            raise ValueError(f'status "{text}" is neither subscribed nor unsubscribed')


def _type(text: str, *, subscribed: bool, address: str) -> Type | None:
    if not text:
        return None
    for known in get_args(Type):
        if text == known:
            if subscribed or not address:
                raise ValueError(f'type "{text}" goes with an address that is unsubscribed')
            kind: Type = known
            return kind
    raise ValueError(f'type "{text}" is none of {", ".join(TYPES)}')
