"""Has what can be found follow what is mirrored, with a small share of the time, so that no event waits for it."""

from __future__ import annotations

import asyncio
import time

import structlog

from service.errors import StoreUnavailable
from service.mirror.search import following
from service.mirror.store import Store
from service.settings.model import SearchSettings

log = structlog.get_logger(__name__)

#: Seconds between two looks while nothing is new, and between two steps of going round.
LOOK_S, ROUND_S = 2.0, 60.0


class Indexing:
    """One replica's part in it; several may be at it, and do nothing twice."""

    def __init__(self, store: Store, settings: SearchSettings) -> None:
        self._store = store
        self._settings = settings
        self._gone_round_at = time.monotonic()

    async def run(self) -> None:
        """Follow until cancelled; failures of the store are waited out."""
        while self._settings.index:
            began, looked_at = time.monotonic(), 0
            try:
                looked_at = await following.step(self._store)
                if not looked_at and began - self._gone_round_at > ROUND_S:
                    await following.go_round(self._store)
                    self._gone_round_at = began
            except StoreUnavailable as error:
                log.warning("search_waits_for_store", problem=str(error))
            rest_s = (time.monotonic() - began) * (1 / self._settings.share - 1)
            await asyncio.sleep(rest_s if looked_at else max(rest_s, LOOK_S))
