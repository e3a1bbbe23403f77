"""Keeps what was learnt of the shapes of events and answers, and tells how much of it is not as it was."""

from __future__ import annotations

import asyncio

import structlog

from service.errors import StoreUnavailable
from service.mirror import contract
from service.mirror.store import Store
from service.settings.model import ContractSettings
from service.telemetry.metrics import Metrics
from service.text.shapes import Shapes

log = structlog.get_logger(__name__)

#: Seconds between two times at which what was learnt is kept.
KEEP_S = 30.0


class Contracting:
    """One replica's part in it; what all of them learn is added up in the store."""

    def __init__(self, store: Store, settings: ContractSettings, shapes: Shapes, metrics: Metrics) -> None:
        self._store = store
        self._settings = settings
        self._shapes = shapes
        self._metrics = metrics
        self._told: set[tuple[str, str, str]] = set()

    async def run(self) -> None:
        """Keep it until cancelled; failures of the store are waited out."""
        while self._settings.sample:
            await self.keep()
            await asyncio.sleep(KEEP_S)

    async def keep(self) -> None:
        """Keep what was learnt, and look what differs."""
        taken = self._shapes.take()
        try:
            async with self._store.writing() as connection:
                await contract.merge(connection, taken, self._settings.learn_s)
                found = await contract.differences(connection)
        except StoreUnavailable as error:
            self._shapes.give_back(taken)
            log.warning("contract_waits_for_store", problem=str(error))
            return
        for what in contract.WHATS:
            self._metrics.contract.labels(what).set(sum(one.what == what for one in found))
        for one in found:
            if (key := (one.source, one.path, one.what)) not in self._told:
                log.warning("contract_changed", source=one.source, path=one.path, what=one.what, before=one.before,
                            now=one.types, remedy="`catalog-mirror contract report` shows it.")  # fmt: skip
                self._told.add(key)
