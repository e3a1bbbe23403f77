"""What went into our queue, was taken out and lies in it, by the management API; and what is unaccounted for.

Messages that were neither taken nor lie there were purged, dropped at the queue's length or its delivery limit, or
expired: nobody else tells. The figures are some seconds old, and each is of another moment (RabbitMQ 3.10: a queue
tells its length every 5 s or so of activity, a channel what it counted every 5 s), so what flowed at that time bounds
how wrong they may be.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

#: Seconds by which one figure may be older than another.
SKEW_S = 15.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Messages since the broker counts; the counters start anew with the broker."""

    published: int
    taken: int
    present: int

    @property
    def missing(self) -> int:
        """Neither taken nor present, as far as these figures are of one moment."""
        return self.published - self.taken - self.present


class Accounts:
    """Looks at tallies one after the other; a loss is told half a minute later, or once less flows."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Tally]] = deque()
        #: So many were missing at most when we began, or last told.
        self._known: int | None = None
        #: Whether a look was taken while nothing flowed, from which on no loss can hide.
        self._is_exact = False
        #: Whether a loss since we began may hide behind what flowed then.
        self.may_hide = True

    def vanished(self, at_s: float, tally: Tally) -> int:
        """How many messages at least have vanished since this was last told; `at_s` is of any steady clock."""
        looks = self._looks
        if looks and (tally.published < looks[-1][1].published or tally.taken < looks[-1][1].taken):
            looks.clear()  # the broker counts anew
            self._known, self._is_exact, self.may_hide = None, False, True
        looks.append((at_s, tally))
        judged = _newest(looks, at_s - SKEW_S)
        before = _newest(looks, judged[0] - SKEW_S) if judged else None
        if judged is None or before is None:
            return 0
        while looks[0] is not before:
            looks.popleft()
        flowed = tally.published - before[1].published + tally.taken - before[1].taken
        return self._told(judged[1].missing, flowed)

    def _told(self, missing: int, error: int) -> int:
        vanished = missing - error - self._known if self._known is not None else 0
        if self._known is None or vanished > 0:
            self._known = missing + error
        self._known = min(self._known, missing + error)  # nothing that is missing ever comes back
        self.may_hide = not self._is_exact
        self._is_exact = self._is_exact or error == 0
        return max(0, vanished)


def _newest(looks: deque[tuple[float, Tally]], until_s: float) -> tuple[float, Tally] | None:
    return next((look for look in reversed(looks) if look[0] <= until_s), None)
