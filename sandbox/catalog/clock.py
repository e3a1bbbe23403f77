"""The catalog's clock, and the many forms in which the catalog writes times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import formatdate


class Clock:
    """Real time, off by `offset_s`; may be changed while it runs."""

    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s
        self._pinned_s: float | None = None

    def now(self) -> float:
        """Unix seconds."""
        return self._ticked() + self.offset_s if self._pinned_s is None else self._pinned_s

    @contextmanager
    def standing_at(self, at_s: float) -> Iterator[None]:
        """What is done meanwhile has happened at this time."""
        self._pinned_s = at_s
        try:
            yield
        finally:
            self._pinned_s = None

    def _ticked(self) -> float:
        return time.time()


class SteppingClock(Clock):
    """Stands still until it is told to go on."""

    def __init__(self, start: str = "2026-05-10T12:00:00Z") -> None:
        super().__init__()
        self._now_s = parse_time(start)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds

    def _ticked(self) -> float:
        return self._now_s


def iso_seconds(at_s: float) -> str:
    """`2018-11-06T17:40:37Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


def iso_millis(at_s: float) -> str:
    """`2018-11-12T15:32:53.902Z`."""
    whole, millis = divmod(to_millis(at_s), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{millis:03d}Z"


def to_millis(at_s: float) -> int:
    """Epoch milliseconds."""
    return round(at_s * 1000)


def http_date(at_s: float) -> str:
    """What the `Date` header carries."""
    return formatdate(at_s, usegmt=True)


def parse_time(text: str) -> float:
    """Unix seconds of an ISO text, UTC where it names no zone; raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
