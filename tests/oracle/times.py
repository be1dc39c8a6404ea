"""Times as people mean them: wall clocks in the project's zone, calendar arithmetic, windows seen from as-of."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Moment = date | datetime
"""A value of a time column: a date, a datetime without zone (wall clock), or one with a zone (instant)."""


@dataclass(frozen=True)
class Clock:
    as_of: datetime
    zone: ZoneInfo

    def wall(self, moment: datetime) -> datetime:
        """What the clock on the wall shows at this moment, in the project's zone."""
        return moment.astimezone(self.zone).replace(tzinfo=None) if moment.tzinfo else moment

    def instant(self, moment: datetime) -> datetime:
        """The point in time of a wall clock's reading; of two that read alike, the first."""
        return (moment if moment.tzinfo else moment.replace(tzinfo=self.zone, fold=0)).astimezone(UTC)

    def express(self, moment: datetime, kind: str) -> Moment:
        """The moment as a column of this kind would hold it."""
        match kind:
            case "date":
                return self.wall(moment).date()
            case "timestamp":
                return self.wall(moment)
            case _:
                return self.instant(moment)

    def literal(self, text: str, kind: str) -> Moment:
        """A time written in a declaration; one without a zone is local, a plain date is its midnight."""
        return self.express(datetime.fromisoformat(text), kind)

    def window(self, window: Mapping[str, Any], kind: str) -> tuple[Moment, Moment]:
        """Both ends of ``last``, ``next`` or ``between``, both in."""
        if "between" in window:
            first, second = window["between"]
            return self.literal(first, kind), self.literal(second, kind)
        if "last" in window:
            return self.express(self.shift(window["last"], -1), kind), self.express(self.as_of, kind)
        return self.express(self.as_of, kind), self.express(self.shift(window["next"], +1), kind)

    def shift(self, length: str, direction: int) -> datetime:
        """As-of moved by a length of time: minutes and hours pass, days and longer are counted on the calendar."""
        number, unit = length.split()
        count = int(number) * direction
        today = self.wall(self.as_of)
        match unit.removesuffix("s"):
            case "minute":
                return self.as_of + timedelta(minutes=count)
            case "hour":
                return self.as_of + timedelta(hours=count)
            case "day":
                return today + timedelta(days=count)
            case "week":
                return today + timedelta(weeks=count)
            case "month":
                return _months(today, count)
            case "year":
                return _months(today, 12 * count)
        raise ValueError(f"{length} is no length of time")


def _months(day: datetime, count: int) -> datetime:
    """The same day of another month, or that month's last day where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return day.replace(year=year, month=month + 1, day=min(day.day, last))
