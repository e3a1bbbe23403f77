"""Whose turn it is to call the catalog: so many calls a minute, so many at once, the urgent ones first.

The catalog comes first: whatever we want to know, we ask for it at a steady pace. All parts of the process that speak
to one catalog share the pace.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum
from weakref import WeakKeyDictionary, WeakValueDictionary

from service.settings.model import CatalogSettings

#: Seconds' worth of calls that may go out at once after a rest.
BURST_S = 1.0
#: One turn of so many goes to whoever has waited longest, so that urgent calls never stop the others for good.
FAIR_SHARE = 10


class Lane(IntEnum):
    """How urgent a call is; smaller goes first."""

    REFRESH = 0  # one thing that may just have changed
    DELIVERY = 1  # lineage back
    SWEEP = 2  # snapshot, poll, reconcile


class Turns:
    """Gives out turns: a token bucket for the pace, a count for what goes on at once, one queue for both.

    One queue, because a sweep that already held a place while it waited for the pace would keep a refresh waiting.
    """

    def __init__(self, per_minute: int, concurrency: int) -> None:
        self._interval_s = 60 / per_minute
        self._burst = max(1.0, BURST_S / self._interval_s)
        self._credit = self._burst
        self._credited_at = time.monotonic()
        self._free = concurrency
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._granted = 0
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, lane: Lane) -> AsyncIterator[float]:
        """Wait for a turn and hold a place during the call; gives the seconds waited."""
        started = time.monotonic()
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (lane, next(self._numbers), future))
        self._grant()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # granted in the same moment: give it back
                self._credit += 1
                self._leave()
            raise
        try:
            yield time.monotonic() - started
        finally:
            self._leave()

    def _leave(self) -> None:
        self._free += 1
        self._grant()

    def _grant(self) -> None:
        """Give turns to whoever may go now, and come back when the next may."""
        now = time.monotonic()
        self._credit = min(self._burst, self._credit + (now - self._credited_at) / self._interval_s)
        self._credited_at = now
        while self._free and (future := self._head()):
            if self._credit < 1:
                self._come_back((1 - self._credit) * self._interval_s)
                return
            self._take(future)

    def _head(self) -> asyncio.Future[None] | None:
        """The next in line that still waits."""
        while self._queue and self._queue[0][2].done():
            heapq.heappop(self._queue)
        if not self._queue:
            return None
        if self._granted % FAIR_SHARE == FAIR_SHARE - 1:
            waiting = [entry for entry in self._queue if not entry[2].done()]
            return min(waiting, key=lambda entry: entry[1])[2]
        return self._queue[0][2]

    def _take(self, future: asyncio.Future[None]) -> None:
        self._credit -= 1
        self._free -= 1
        self._granted += 1
        future.set_result(None)

    def _come_back(self, after_s: float) -> None:
        if self._timer is None:
            # A little late rather than a little early: early, there would be no credit and another timer.
            self._timer = asyncio.get_running_loop().call_later(after_s + 0.001, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._grant()


_Pace = tuple[str, int, int]
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[_Pace, Turns]] = WeakKeyDictionary()


def turns_for(settings: CatalogSettings) -> Turns:
    """The turns that all clients of this catalog share, as long as one of them lives."""
    key = settings.url or "", settings.calls_per_minute, settings.concurrency
    known = _shared.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    turns = known.get(key)
    if turns is None:
        turns = known[key] = Turns(settings.calls_per_minute, settings.concurrency)
    return turns
