"""How many answers were recorded, by day and by what they are about: counted in the store, never read one by one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, func, select

from . import stores
from .tables import events

_DAY = 86_400_000_000


class Tally(NamedTuple):
    """``many`` answers of one day (in UTC): ``group`` is empty for the whole channel, ``campaign`` None for none."""

    day: date
    channel: str
    group: str
    subscribed: bool
    source: str
    campaign: str | None
    many: int


def tally(engine: Engine, until: int) -> Iterator[Tally]:
    """The answers of every event up to ``until``, by day, channel, group, answer, source and campaign."""
    day = (events.c.occurred_at // _DAY).label("day")
    about = (events.c.channel, events.c.group_name, events.c.subscribed, events.c.source, events.c.campaign)
    query = select(day, *about, func.count()).where(events.c.seq <= until).group_by(day, *about).order_by(day, *about)
    first = datetime(1970, 1, 1, tzinfo=UTC).date()
    with stores.clear_errors(engine), stores.reading(engine) as connection:
        for days, channel, group, subscribed, source, campaign, many in connection.execute(query):
            yield Tally(first + timedelta(days=int(days)), channel, group, bool(subscribed), source, campaign, many)
