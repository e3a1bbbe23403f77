"""Windows of 30 days: which days they are, in which zone, and when one is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

#: Days of a window (docs/contract.md, "Collibra").
DAYS = 30


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to, and without, `end`; both are moments in UTC."""

    start: datetime
    end: datetime


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day in a zone, in UTC.

    Where the clock jumps over midnight the day begins after the jump, and where midnight comes twice, with the first.
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)


def window_until(day: date, zone: ZoneInfo) -> Window:
    """The 30 days before a day; some of them may have 23 or 25 hours."""
    return Window(midnight(day - timedelta(days=DAYS), zone), midnight(day, zone))


def last_window(now: datetime, zone: ZoneInfo, delay_s: float) -> Window:
    """The newest window that has been over for so many seconds."""
    settled = now - timedelta(seconds=delay_s)
    day = settled.astimezone(zone).date()
    # Where midnight comes twice, the second one is of the day that has begun already.
    if midnight(day, zone) > settled:
        day -= timedelta(days=1)
    return window_until(day, zone)
