"""The relay: takes deliveries to their targets, one lane per target.

Fresh deliveries are born leased to this process and go from memory; the rest is claimed from the store. While a target
cannot take anything its circuit is open: nothing stays in memory, and one row probes it from time to time.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import DataError, DeliveryTooOld, MirrorError, StoreUnavailable, TransientError
from service.mirror import controls, deliveries
from service.mirror.deliveries import Delivery, Lease
from service.mirror.store import Store
from service.settings.model import RelaySettings
from service.targets import tracing
from service.targets.base import Target, announced_to
from service.telemetry.metrics import Metrics
from service.telemetry.traces import OFF, Traces

log = structlog.get_logger(__name__)

#: Seconds after which the store has its turn although memory holds something: what waits there is older.
CLAIM_EVERY_S = 2.0
#: Seconds between two looks for deliveries that have waited too long.
AGE_CHECK_S = 60.0


class Relay:
    """All lanes; the pipeline's outlet."""

    def __init__(
        self,
        store: Store,
        targets: Sequence[Target],
        settings: RelaySettings,
        metrics: Metrics,
        traces: Traces = OFF,
    ) -> None:
        self._settings = settings
        lineage = announced_to(targets)
        for target in targets:
            target.attach(store)
            target.metrics, target.announces_to = metrics, lineage
        token = uuid4().hex
        self.lanes = [Lane(store, target, settings, metrics, token, traces) for target in targets]
        self._by_name = {lane.name: lane for lane in self.lanes}
        self._token = token

    def lease(self, number: int) -> Lease | None:
        """A lease while every lane runs and has room in memory."""
        free = all(lane.room >= number for lane in self.lanes)
        return Lease(self._token, self._settings.lease_s) if self.lanes and free else None

    def accept(self, fresh: Sequence[Delivery]) -> None:
        """Take deliveries that were just committed under our lease."""
        for delivery in fresh:
            self._by_name[delivery.target].accept(delivery)

    async def measure(self, connection: AsyncConnection) -> None:
        """Have every target set the gauges of its own."""
        for lane in self.lanes:
            await lane.measure(connection)

    async def run(self) -> None:
        """Run all lanes until `stop`."""
        async with asyncio.TaskGroup() as group:
            for lane in self.lanes:
                group.create_task(lane.run(), name=f"relay {lane.name}")

    def stop(self) -> None:
        """Deliver what is in memory, then return from `run`."""
        for lane in self.lanes:
            lane.stop()


class Lane:
    """The way to one target."""

    def __init__(
        self, store: Store, target: Target, settings: RelaySettings, metrics: Metrics, token: str, traces: Traces = OFF
    ) -> None:
        self._store = store
        self._target = target
        self._at_once = target.at_once or settings.batch_max
        self._settings = settings
        self._metrics = metrics
        self._traces = traces
        self._lease = Lease(token, settings.lease_s)
        self._memory: deque[tuple[float, Delivery]] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        #: The last batch and what became of it, as long as the store does not know.
        self._unsettled: tuple[list[Delivery], list[MirrorError | None]] | None = None
        self._failures = 0
        self._probe_at = 0.0
        self._age_checked_at = 0.0
        self._claimed_at = 0.0
        #: The last look into the store found something, so there may be more.
        self._finds = True
        self._tended_at = 0.0
        self.name = target.name
        self.paused = False
        self.notice: MirrorError | None = None
        metrics.circuit_open.labels(self.name).set(0)

    async def measure(self, connection: AsyncConnection) -> None:
        """The gauges of the target."""
        await self._target.measure(connection)

    @property
    def room(self) -> int:
        """How many fresh deliveries memory takes; none while they could not go out."""
        if self.paused or self.notice or self._stopping:
            return 0
        return self._settings.memory_max - len(self._memory)

    def accept(self, delivery: Delivery) -> None:
        """Take a fresh delivery, leased to us."""
        self._memory.append((time.monotonic(), delivery))
        self._wake.set()

    def stop(self) -> None:
        """Finish memory and return."""
        self._stopping = True
        self._wake.set()

    def set_paused(self, paused: bool) -> None:
        """A person pauses or resumes this target."""
        self.paused = paused
        self._wake.set()

    async def run(self) -> None:
        """Deliver until stopped; failures of the store are waited out."""
        while not (self._stopping and (not self._memory or self.notice or self.paused)):
            try:
                busy = await self._step()
            except StoreUnavailable as error:
                log.warning("relay_waits_for_store", target=self.name, problem=str(error))
                busy = False
            if not busy:
                await self._rest()
        await self._release()
        await self._target.close()

    async def deliver_fresh(self) -> bool:
        """Deliver a batch of what is in memory; answers whether there was one."""
        return await self._deliver(self._take())

    async def _rest(self) -> None:
        self._wake.clear()
        if self._memory and not (self.paused or self.notice):
            return  # it came while the step was ending
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.poll_s):
                await self._wake.wait()

    async def _step(self) -> bool:
        """Deliver one batch; answers whether there was one."""
        await self._settle_last()
        await self._bury_old()
        if self.paused:
            await self._release()
            return False
        if self.notice:
            await self._release()
            if time.monotonic() < self._probe_at:
                return False
            return await self._deliver(await self._claim(limit=1)) or await self._tend()
        if await self._tend():
            return True
        if self._memory and time.monotonic() - self._claimed_at < CLAIM_EVERY_S:
            return await self.deliver_fresh()
        if not self._finds and time.monotonic() - self._claimed_at < self._settings.poll_s:
            return False
        started = self._claimed_at = time.monotonic()
        batch = await self._claim(self._at_once)
        self._finds = busy = await self._deliver(batch)
        if self._memory:  # the consumer is at work: leave it half of the time
            await asyncio.sleep(time.monotonic() - started)
        return busy

    def _take(self) -> list[Delivery]:
        """The next of memory; those that waited for half their lease are left for the store to give out again."""
        still_ours = time.monotonic() - self._settings.lease_s / 2
        batch: list[Delivery] = []
        while self._memory and len(batch) < self._at_once:
            born, delivery = self._memory.popleft()
            if born > still_ours:
                batch.append(delivery)
        return batch

    async def _claim(self, limit: int) -> list[Delivery]:
        async with self._store.writing() as connection:
            ahead_s = self._target.settles_s
            merge = self._target.merge
            return await deliveries.claim(connection, self._store, self.name, self._lease, limit, ahead_s, merge)

    async def _deliver(self, batch: list[Delivery]) -> bool:
        if not batch:
            return False
        started = time.monotonic()
        spans = tracing.begun(self._traces, self.name, batch)
        try:
            with tracing.sending(spans):
                results = await self._target.deliver(tracing.carrying(batch, spans))
        except TransientError as error:
            results = [error] * len(batch)
        tracing.end(spans, results)
        age = self._metrics.delivery_age.labels(self.name)
        took = time.monotonic() - started
        for delivery, result, span in zip(batch, results, spans, strict=True):
            if result is None:
                age.observe(delivery.age_s + took, span.exemplar if span else None)
        self._unsettled = batch, results
        await self._settle_last()
        return True

    async def _tend(self) -> bool:
        """Give the target a turn for its own work where one is due; answers whether it wants another at once."""
        every_s = self._target.tends_every_s
        if every_s is None or (time.monotonic() - self._tended_at < every_s and not self.notice):
            return False
        obstacle, wants_more = None, None
        try:
            wants_more = await self._target.tend()
        except StoreUnavailable:
            raise
        except TransientError as error:
            obstacle = error
        self._tended_at = 0.0 if wants_more else time.monotonic()
        before = self.notice
        self._judge(obstacle, reached=wants_more is not None)
        if self.notice is not before:
            async with self._store.writing() as connection:
                await self._tell_notice(connection)
        return bool(wants_more)

    async def _settle_last(self) -> None:
        """Write down what became of the last batch; until the store takes it, nothing else goes out."""
        if self._unsettled is not None:
            await self._settle(*self._unsettled)
            self._unsettled = None

    async def _settle(self, batch: list[Delivery], results: list[MirrorError | None]) -> None:
        """Remove what arrived, bury what never will, give the rest back; and judge the circuit by it."""
        pairs = list(zip(batch, results, strict=True))
        arrived = [delivery.delivery_id for delivery, result in pairs if result is None]
        refused = [(delivery, result) for delivery, result in pairs if isinstance(result, DataError)]
        waiting = [delivery.delivery_id for delivery, result in pairs if isinstance(result, TransientError)]
        obstacle = next((result for result in results if isinstance(result, TransientError)), None)
        before = self.notice
        wait_s = self._judge(obstacle, reached=bool(arrived or refused))
        async with self._store.writing() as connection:
            if arrived:
                await deliveries.done(connection, self.name, arrived, self._lease.token)
            for delivery, error in refused:
                await deliveries.bury(connection, delivery, error)
            if waiting:
                await deliveries.give_back(
                    connection, self._store, waiting, self._lease.token, after_s=wait_s, error=str(obstacle)
                )
            if self.notice is not before:
                await self._tell_notice(connection)
        for outcome, number in (("delivered", arrived), ("refused", refused), ("later", waiting)):
            if number:
                self._metrics.deliveries.labels(self.name, outcome).inc(len(number))

    async def _tell_notice(self, connection: AsyncConnection) -> None:
        notice = f"{self.notice} {self.notice.advice()}" if self.notice else None
        await controls.note_target(connection, self.name, notice)

    def _judge(self, error: MirrorError | None, *, reached: bool) -> float:
        """Open or close the circuit; answers the seconds until it is tried again."""
        if error is None:
            if self.notice and reached:
                log.info("circuit_closed", target=self.name)
                self.notice, self._failures = None, 0
            self._metrics.circuit_open.labels(self.name).set(self.notice is not None)
            return 0.0
        self._failures += 1
        wait_s = _backoff(self._failures, self._settings.retry_max_s)
        if self.notice is None:
            log.warning("circuit_opened", target=self.name, problem=str(error), remedy=error.advice())
        self.notice, self._probe_at = error, time.monotonic() + wait_s
        self._metrics.circuit_open.labels(self.name).set(1)
        return wait_s

    async def _release(self) -> None:
        """Give what is in memory back to the store."""
        ids = [delivery.delivery_id for _, delivery in self._memory]
        if not ids:
            return
        self._memory.clear()
        try:
            async with self._store.writing() as connection:
                await deliveries.give_back(connection, self._store, ids, self._lease.token, after_s=0, error=None)
        except StoreUnavailable as error:
            log.warning("leases_left_to_lapse", target=self.name, number=len(ids), problem=str(error)[:200])

    async def _bury_old(self) -> None:
        """Deliveries that waited for longer than they may become dead letters."""
        if time.monotonic() - self._age_checked_at < AGE_CHECK_S:
            return
        self._age_checked_at = time.monotonic()
        limit, max_age_s = self._settings.batch_max, self._settings.max_age_s
        async with self._store.writing() as connection:
            for row in await deliveries.too_old(connection, self._store, self.name, max_age_s, limit):
                error = DeliveryTooOld(target=self.name, problem=row.last_error or "no attempt failed")
                await deliveries.bury(connection, row, error)


def _backoff(failures: int, longest_s: float) -> float:
    """Seconds until the next attempt: 1, 2, 4 … with jitter, at most `longest_s`."""
    return min(longest_s, 2.0 ** min(failures - 1, 30) * random.uniform(0.75, 1.25))
