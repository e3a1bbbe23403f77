"""Wrong tokens, slowed: whoever tries many from one address waits for each answer, and is told so.

A right token is always taken, also from behind the address of somebody who guesses, such as a proxy's.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

import structlog

from service.http.problems import RETRY_AFTER_S, Problem

log = structlog.get_logger(__name__)

#: Wrong tokens that one address has free, and seconds after which it has one more: no longer than what keeps a
#: producer's task waiting anyway (`problems.RETRY_AFTER_S`), whose token may just have been taken back.
FREE, RENEWED_S = 10, float(RETRY_AFTER_S)
#: Addresses that are remembered, and answers that are held back at once.
ADDRESSES, WAITING = 10_000, 100
#: Seconds that an answer is held back.
HELD_S = 1.0


class Guesses:
    """How many wrong tokens came from where, lately.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: By address the moment at which all its tokens are free again; the one met last is the last.
        self._until: OrderedDict[str, float] = OrderedDict()
        self._waiting = 0

    async def wrong(self, address: str) -> None:
        """A wrong token came from this address.

        Raises:
            Problem: 429, it has none free; the answer was held back for a while.
        """
        now, place = self._clock(), _network(address)
        until = max(now, self._until.pop(place, now))
        is_free = until + RENEWED_S - now <= FREE * RENEWED_S
        self._until[place] = until + RENEWED_S * is_free
        if len(self._until) > ADDRESSES:
            self._until.popitem(last=False)
        if not is_free:
            log.warning("tokens_guessed", address=address)
            await self._hold_back()
            after_s = str(math.ceil(RENEWED_S))
            message = f"Too many tokens that are not known came from this address. Try again in {after_s} s."
            raise Problem(429, "too_many_requests", message, {"Retry-After": after_s})

    async def _hold_back(self) -> None:
        if self._waiting < WAITING:  # more are answered at once: connections are not to be held without bound
            self._waiting += 1
            try:
                await asyncio.sleep(HELD_S)
            finally:
                self._waiting -= 1


def _network(address: str) -> str:
    """What one party has of addresses: of IPv6 a /64."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else str(parsed)
