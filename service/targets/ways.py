"""A way to a target: one batch after the other, and of each is written down what became of it before the next goes."""

from __future__ import annotations

import time

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import DataError, MirrorError, TransientError
from service.mirror import controls, deliveries
from service.mirror.deliveries import Delivery
from service.mirror.store import Store
from service.targets import tracing
from service.targets.base import Target
from service.targets.circuit import Circuit
from service.telemetry.metrics import Metrics
from service.telemetry.traces import Traces


class Way:
    """One of the ways of a lane."""

    def __init__(
        self, store: Store, target: Target, circuit: Circuit, token: str, metrics: Metrics, traces: Traces
    ) -> None:
        self._store = store
        self._target = target
        self._circuit = circuit
        self._token = token
        self._metrics = metrics
        self._traces = traces
        #: The last batch and what became of it, as long as the store does not know.
        self._unsettled: tuple[list[Delivery], list[MirrorError | None]] | None = None

    async def deliver(self, batch: list[Delivery]) -> bool:
        """Deliver a batch and settle it; answers whether there was anything in it.

        Raises:
            StoreUnavailable: `settle_last` is to be tried until it returns; nothing else goes before.
        """
        if not batch:
            return False
        started = time.monotonic()
        spans = tracing.begun(self._traces, self._target.name, batch)
        try:
            with tracing.sending(spans):
                results = await self._target.deliver(tracing.carrying(batch, spans))
        except TransientError as error:
            results = [error] * len(batch)
        tracing.end(spans, results)
        observe, took = self._metrics.delivery_age.labels(self._target.name).observe, time.monotonic() - started
        for delivery, result, span in zip(batch, results, spans, strict=True):
            if result is None:
                observe(delivery.age_s + took, span.exemplar if span else None)
        self._unsettled = batch, results
        await self.settle_last()
        return True

    async def settle_last(self) -> None:
        """Write down what became of the last batch, where the store does not know yet; raises as `deliver`."""
        if self._unsettled is not None:
            await self._settle(*self._unsettled)
            self._unsettled = None

    async def _settle(self, batch: list[Delivery], results: list[MirrorError | None]) -> None:
        """Remove what arrived, bury what never will, give the rest back; and judge the circuit by it."""
        arrived = [delivery.delivery_id for delivery, result in zip(batch, results, strict=True) if result is None]
        others = [(delivery, result) for delivery, result in zip(batch, results, strict=True) if result is not None]
        refused = [(delivery, result) for delivery, result in others if isinstance(result, DataError)]
        waiting = [delivery.delivery_id for delivery, result in others if isinstance(result, TransientError)]
        obstacle = next((result for _, result in others if isinstance(result, TransientError)), None)
        name, token, before = self._target.name, self._token, self._circuit.notice
        wait_s = self._circuit.judge(obstacle, reached=bool(arrived or refused))
        async with self._store.writing() as connection:
            if arrived:
                await deliveries.done(connection, name, arrived, token)
            for delivery, error in refused:
                await deliveries.bury(connection, delivery, error)
            if waiting:
                problem = str(obstacle)
                await deliveries.give_back(connection, self._store, waiting, token, after_s=wait_s, error=problem)
            if self._circuit.notice is not before:
                await tell_notice(connection, name, self._circuit)
        for outcome, number in (("delivered", arrived), ("refused", refused), ("later", waiting)):
            if number:
                self._metrics.deliveries.labels(name, outcome).inc(len(number))


async def tell_notice(connection: AsyncConnection, target: str, circuit: Circuit) -> None:
    """Write down why a target takes nothing, or that it does again."""
    notice = circuit.notice
    await controls.note_target(connection, target, f"{notice} {notice.advice()}" if notice else None)
