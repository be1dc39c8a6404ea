"""Time as conditions see it: as-of, the project's zone, and the bounds of a window.

No query asks what time it is: every bound is worked out here, once, from as-of. Days, weeks, months and years move on
the project's wall clock (a month's end is clamped); minutes and hours move on the instant.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from .where import Duration, Window

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
_EARLIEST, _LATEST = datetime.fromisoformat("0001-01-03"), datetime.fromisoformat("9999-12-29")


@dataclass(frozen=True, slots=True)
class Clock:
    """As-of, a timezone-aware instant, and the project's time zone."""

    as_of: datetime
    zone: ZoneInfo

    def read(self, text: str) -> datetime:
        """A date or time as people write it, in the project's zone unless it names another.

        Raises ValueError where it is neither, or is in no year from 1 to 9999 by the clock of UTC or of the zone.
        """
        moment = self.bound(text)
        try:
            moment.astimezone(UTC)
            moment.astimezone(self.zone)
        except OverflowError:
            raise ValueError(f'"{text}" is in no year from 1 to 9999 in UTC or in {self.zone.key}') from None
        return moment

    def bound(self, text: str) -> datetime:
        """The same of what values are compared with: by another clock, it may be in no year that Python has.

        Raises ValueError where it is neither a date nor a time.
        """
        if not _DATE.match(text):
            raise ValueError(f'"{text}" is not a date or time such as 2024-01-31 or 2024-01-31T18:30')
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f'"{text}" is not a date or time such as 2024-01-31 or 2024-01-31T18:30') from None
        return moment if moment.tzinfo else moment.replace(tzinfo=self.zone)

    def moved(self, by: Duration, direction: int) -> datetime:
        """As-of moved back (``direction`` -1) or ahead (1) by a length of time, and kept within the calendar."""
        number = by.number * direction
        try:
            if by.unit in ("minute", "hour"):
                return self.as_of.astimezone(UTC) + timedelta(**{f"{by.unit}s": number})
            local = self.as_of.astimezone(self.zone).replace(tzinfo=None)
            if by.unit in ("day", "week"):
                local += timedelta(days=number * (7 if by.unit == "week" else 1))
            else:
                months = local.year * 12 + local.month - 1 + number * (12 if by.unit == "year" else 1)
                year, month = months // 12, months % 12 + 1
                local = local.replace(year=year, month=month, day=min(local.day, calendar.monthrange(year, month)[1]))
            if not _EARLIEST <= local <= _LATEST:
                raise OverflowError
        except (OverflowError, ValueError, calendar.IllegalMonthError):
            local = _EARLIEST if direction < 0 else _LATEST
        return local.replace(tzinfo=self.zone)

    def bounds(self, window: Window) -> tuple[datetime, datetime]:
        """Both ends of a window, both in."""
        if window.last:
            return self.moved(window.last, -1), self.as_of
        if window.next:
            return self.as_of, self.moved(window.next, 1)
        assert window.between
        return self.bound(window.between[0]), self.bound(window.between[1])


def by_clock(moment: datetime, zone: tzinfo) -> datetime:
    """A moment by a zone's clock; as it is, where that would show no year from 1 to 9999."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def is_date(text: str) -> bool:
    """Whether a text is a calendar date and nothing more."""
    try:
        return bool(_DATE.fullmatch(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def seconds(text: str) -> int:
    """Seconds since midnight of a time such as 09:30.

    Raises ValueError where it is none.
    """
    if not (found := _TIME_OF_DAY.fullmatch(text)):
        raise ValueError(f'"{text}" is not a time of day such as 09:30')
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)
