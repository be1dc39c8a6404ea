"""What as-of may be, and how windows are counted from it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from maysend.moments import Clock
from maysend.where import Duration

NEW_YORK, TOKYO = ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo")
NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (NEW_YORK, "9999-12-31T23:59:59"),
        (TOKYO, "9999-12-31T23:59:59Z"),
        (TOKYO, "0001-01-01"),
        (NEW_YORK, "0001-01-01T00:00:00Z"),
        (NEW_YORK, "0001-01-01T00:00+14:00"),
    ],
)
def test_what_is_in_no_year_is_refused(zone: ZoneInfo, text: str) -> None:
    with pytest.raises(ValueError, match=f"is in no year from 1 to 9999 in UTC or in {zone.key}"):
        Clock(NOW, zone).read(text)
    assert Clock(NOW, zone).bound(text).isoformat().startswith(text[:10])


@pytest.mark.parametrize("text", ["2024", "2024-02-30", "tomorrow", "2024-01-01T25:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date or time such as"):
        Clock(NOW, NEW_YORK).read(text)


def test_hours_pass_where_as_of_is_on_a_clock_that_changes() -> None:
    clock = Clock(NOW, NEW_YORK)
    noon = Clock(clock.read("2024-03-10T12:00"), NEW_YORK)
    assert noon.moved(Duration(12, "hour"), -1) == datetime(2024, 3, 10, 4, tzinfo=UTC)
    assert noon.moved(Duration(1, "day"), -1) == datetime(2024, 3, 9, 17, tzinfo=UTC)
