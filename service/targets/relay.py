"""The relay: takes deliveries to their targets, one lane per target.

Fresh deliveries are born leased to this process and go from memory; the rest is claimed from the store. While a target
cannot take anything its circuit is open: nothing stays in memory, and one row probes it from time to time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import DeliveryTooOld, MirrorError, StoreUnavailable, TransientError
from service.mirror import deliveries
from service.mirror.deliveries import Delivery, Lease
from service.mirror.store import Store
from service.settings.model import RelaySettings
from service.targets.base import Target, announced_to
from service.targets.circuit import Circuit
from service.targets.ways import Way, tell_notice
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

    def lease(self) -> Lease:
        """A lease of this process, from now."""
        return Lease(self._token, self._settings.lease_s)

    def admits(self, wanted: Mapping[str, int]) -> frozenset[str]:
        """Of targets with so many fresh deliveries each, those whose lane runs and has room in memory."""
        return frozenset(name for name, number in wanted.items() if self._by_name[name].room >= number)

    def accept(self, fresh: Sequence[Delivery]) -> None:
        """Take deliveries that were just committed under our lease."""
        for lane in self.lanes:
            if its := [delivery for delivery in fresh if delivery.target == lane.name]:
                lane.accept(its)

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
    """All that goes to one target: what is fresh from memory, what waits from the store.

    These two take turns; where the target takes them side by side, nobody fresh waits for a backlog. No thing goes both
    ways at once: what is in memory is leased, and the store gives out only what nothing of its thing waits before.
    """

    def __init__(
        self, store: Store, target: Target, settings: RelaySettings, metrics: Metrics, token: str, traces: Traces = OFF
    ) -> None:
        self._store = store
        self._target = target
        self._at_once = target.at_once or settings.batch_max
        self._settings = settings
        self._lease = Lease(token, settings.lease_s)
        self._memory: deque[tuple[float, Delivery]] = deque()
        self._circuit = Circuit(target.name, settings.retry_max_s, metrics)
        self._turn = nullcontext() if target.side_by_side else asyncio.Lock()
        self._fresh = Way(store, target, self._circuit, token, metrics, traces)
        self._stored = Way(store, target, self._circuit, token, metrics, traces)
        #: Something is in memory; memory is empty again, so that the store may have its turn.
        self._came, self._may_wait = asyncio.Event(), asyncio.Event()
        self._stopping = False
        self._age_checked_at = 0.0
        self._claimed_at = 0.0
        #: The last look into the store found something, so there may be more.
        self._finds = True
        self._tended_at = 0.0
        self.name = target.name
        self.paused = False

    @property
    def notice(self) -> MirrorError | None:
        """Why nothing can be delivered."""
        return self._circuit.notice

    async def measure(self, connection: AsyncConnection) -> None:
        """The gauges of the target."""
        await self._target.measure(connection)

    @property
    def room(self) -> int:
        """How many fresh deliveries memory takes; none while they could not go out."""
        if self._is_shut or self._stopping:
            return 0
        return self._settings.memory_max - len(self._memory)

    @property
    def _is_shut(self) -> bool:
        return self.paused or self.notice is not None

    def accept(self, fresh: Sequence[Delivery]) -> None:
        """Take fresh deliveries, leased to us."""
        born = time.monotonic()
        self._memory.extend([(born, delivery) for delivery in fresh])
        self._came.set()

    def stop(self) -> None:
        """Finish memory and return."""
        self._stopping = True
        self._wake()

    def set_paused(self, paused: bool) -> None:
        """A person pauses or resumes this target."""
        self.paused = paused
        self._wake()

    def _wake(self) -> None:
        self._came.set()
        self._may_wait.set()

    async def run(self) -> None:
        """Deliver until stopped; failures of the store are waited out."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._go(self._bring_fresh, self._came, lambda: self._memory and not self._is_shut))
            group.create_task(self._go(self._bring_stored, self._may_wait, lambda: False))
        await self._release()
        await self._target.close()

    async def deliver_fresh(self) -> bool:
        """Deliver a batch of what is in memory; answers whether there was one."""
        return await self._fresh.deliver(self._take())

    async def _go(
        self, step: Callable[[], Awaitable[bool]], wake: asyncio.Event, has_more: Callable[[], object]
    ) -> None:
        """One step after the other until stopped and done; after one that found nothing to do, a rest."""
        while not self._stopping or has_more():
            wake.clear()
            try:
                async with self._turn:
                    is_busy = await step()
            except StoreUnavailable as error:
                log.warning("relay_waits_for_store", target=self.name, problem=str(error))
                is_busy = False
            if not is_busy:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.poll_s):
                        await wake.wait()

    async def _bring_fresh(self) -> bool:
        """Deliver one batch of what is in memory; answers whether there was one."""
        await self._fresh.settle_last()
        if self._is_shut:
            await self._release()
            return False
        is_busy = await self.deliver_fresh()
        if is_busy and not self._memory:
            self._may_wait.set()
        return is_busy

    async def _bring_stored(self) -> bool:
        """Deliver one batch of what waits; answers whether there was one."""
        await self._stored.settle_last()
        await self._bury_old()
        if self.paused:
            return False
        if self.notice:
            if not self._circuit.wants_probe:
                return False
            return await self._stored.deliver(await self._claim(limit=1)) or await self._tend()
        if await self._tend():
            return True
        rests_s = CLAIM_EVERY_S if self._memory else 0.0 if self._finds else self._settings.poll_s
        if time.monotonic() - self._claimed_at < rests_s:
            return False
        started = self._claimed_at = time.monotonic()
        self._finds = is_busy = await self._stored.deliver(await self._claim(self._at_once))
        if self._memory:  # the consumer is at work: leave it half of the time
            await asyncio.sleep(time.monotonic() - started)
        return is_busy

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
        self._circuit.judge(obstacle, reached=wants_more is not None)
        if self.notice is not before:
            async with self._store.writing() as connection:
                await tell_notice(connection, self.name, self._circuit)
        return bool(wants_more)

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
