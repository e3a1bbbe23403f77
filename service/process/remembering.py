"""Has histories begin with what is mirrored already, and closes what a replica without the setting left open."""

from __future__ import annotations

import asyncio

import structlog

from service.errors import StoreUnavailable
from service.mirror import history
from service.mirror.store import Store
from service.settings.model import RetentionSettings

log = structlog.get_logger(__name__)

#: Seconds between two steps: until everything was looked at once, and after that.
FIRST_ROUND_S, ROUND_S = 0.1, 60.0


class Remembering:
    """One replica's part in it; several may be at it, and do nothing twice."""

    def __init__(self, store: Store, settings: RetentionSettings) -> None:
        self._store = store
        self._is_on = settings.history_s is not None

    async def run(self) -> None:
        """Go round until cancelled; failures of the store are waited out."""
        while self._is_on:
            been_everywhere = True
            try:
                been_everywhere = await history.go_round(self._store)
            except StoreUnavailable as error:
                log.warning("history_waits_for_store", problem=str(error))
            await asyncio.sleep(ROUND_S if been_everywhere else FIRST_ROUND_S)
