"""The composition root: builds the parts from settings, runs them together, and stops them in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import structlog

from service.amqp.consumer import Consumer
from service.amqp.gate import Gate
from service.amqp.watchdog import Watchdog
from service.errors import NothingToConsume, SchemaMissing, SettingInvalid, StoreUnavailable
from service.http import probes
from service.http.api import Api
from service.mirror import controls, schema, statements
from service.mirror.privacy import held
from service.mirror.store import Store
from service.mirror.turns import turn
from service.operations.work import Desk
from service.pipeline.building import bindings_of, pipeline_of
from service.process.contracting import Contracting
from service.process.garbage import collecting, spare_the_garbage_collector
from service.process.heartbeat import Heartbeat
from service.process.indexing import Indexing
from service.process.remembering import Remembering
from service.process.tracing import traces_of
from service.settings.model import Settings
from service.sync.director import Director, director_of
from service.sync.epoch import Epoch, marker_of
from service.targets.base import Target, installed_targets
from service.targets.relay import Relay
from service.telemetry.metrics import Metrics
from service.text.shapes import Shapes

if TYPE_CHECKING:
    from service.http.admin.api import AdminApi

log = structlog.get_logger(__name__)

#: Seconds between two looks whether our queue is bound.
BOUND_LOOK_S = 0.2
#: Seconds between two attempts to reach the store at start.
STORE_RETRY_S = 2.0


def reachable_targets(settings: Settings) -> list[Target]:
    """The targets that are on, without those that nothing leads to: their deliveries would wait until they are lost."""
    chosen = installed_targets(settings)
    for target in chosen:
        if target.leads_nowhere:
            log.info("target_off", target=target.name, reason="neither CATALOG__URL nor AMQP__URL is set")
    return [target for target in chosen if not target.leads_nowhere]


class Service:
    """The running service: consumer, reading, relay, heartbeat, watchdog and HTTP in one process.

    Without a broker nothing is consumed and the catalog is polled; without a catalog it is the other way round. With
    neither, but with tokens, lineage that is posted is all that comes.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.amqp.url is None and settings.catalog.url is None and not _takes_events(settings):
            raise NothingToConsume()
        self.settings = settings
        self.metrics = Metrics()
        self.store = Store(settings.store)
        self.store.check_writable()
        self.traces = traces_of(settings.traces, self.metrics)
        if self.traces.is_on:
            statements.follow(self.store)
        self.targets = reachable_targets(settings)
        self.relay = Relay(self.store, self.targets, settings.relay, self.metrics, self.traces)
        self.gate = Gate()
        self.shapes = Shapes(settings.contract.sample)
        self.contracting = Contracting(self.store, settings.contract, self.shapes, self.metrics)
        horizon_s = settings.retention.lineage_s  # what a person replays may be older
        self.pipeline = pipeline_of(
            settings, self.store, self.metrics, self.targets, self.relay, horizon_s, self.traces, self.shapes
        )
        self.heartbeat = Heartbeat(
            self.store,
            settings.amqp,
            self.gate,
            self.pipeline,
            self.relay,
            self.metrics,
            settings.retention,
            settings.log.level,
            bindings_of(settings),
        )
        self.indexing = Indexing(self.store, settings.search)
        self.remembering = Remembering(self.store, settings.retention)
        self.consumer: Consumer | None = None
        self.watchdog: Watchdog | None = None
        if settings.amqp.url is not None:
            self._build_consumer()
        self.director: Director | None = None
        if settings.catalog.url is not None:
            replica_id = self.heartbeat.replica_id
            self.director = director_of(settings, self.store, self.pipeline, self.metrics, replica_id, self.shapes)
        self.heartbeat.consumer, self.heartbeat.director = self.consumer, self.director
        self.heartbeat.watchdog = self.watchdog
        marker = marker_of(settings)
        self.epoch = Epoch(self.store, marker) if marker else None
        self.api = Api(settings, self.store, self.pipeline, self.traces)
        self.desk = Desk(self.store)
        self.admin: AdminApi | None = None
        if settings.http.admin_port is not None:
            from service.http.admin.api import AdminApi  # large, and mostly off
            from service.http.admin.calls import Means

            self.admin = AdminApi(Means(settings, self.store, self.desk, self.director), self.metrics, self.traces)
        self._stop = asyncio.Event()
        #: On the loop's clock: when what is in hand has to be finished.
        self._done_by = 0.0
        self._reason: str | None = "waiting for the store"
        #: The port of the probes, once they are served.
        self.port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        #: The port of the API; None where it could not be taken, which `_api_problem` tells.
        self.api_port: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._api_problem: SettingInvalid | None = None
        #: The port of the admin API; None where it is off or could not be served, which `_admin_problem` tells.
        self.admin_port: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._admin_problem: SettingInvalid | None = None

    def _build_consumer(self) -> None:
        amqp, batching = self.settings.amqp, self.settings.pipeline
        self.consumer = Consumer(
            amqp, batching, self.pipeline, self.gate, bindings_of(self.settings), self.heartbeat.notice_topology,
            partial(turn, self.store),
        )  # fmt: skip
        deadline_s, notice = batching.handler_deadline_s, self.heartbeat.notice_gap
        self.watchdog = Watchdog(amqp, self.consumer, deadline_s, self.metrics, notice)

    def stop(self) -> None:
        """Drain and return from `run`."""
        self._stop.set()

    def health(self) -> probes.Health:
        """How the service is, for the probes."""
        reasons = [self._reason] if self._reason else []
        reasons += list(self.gate.reasons.values())
        parts = (self.consumer, self.watchdog, self.director)
        for problem in (*(part and part.problem for part in parts), self._api_problem, self._admin_problem):
            if problem:
                reasons.append(f"{problem} {problem.advice()}")
        reasons += [f"target {lane.name} is paused" for lane in self.relay.lanes if lane.paused]
        reasons += [f"{lane.notice} {lane.notice.advice()}" for lane in self.relay.lanes if lane.notice]
        alive = self.watchdog is None or self.watchdog.alive
        return probes.Health(alive, self._has_begun(), reasons)

    def _has_begun(self) -> bool:
        """Whether the first consume, or where there is no broker the first reading, succeeded."""
        if self.consumer is not None:
            return self.consumer.has_consumed
        if self.director is not None:
            return self.director.has_read
        return self.api_port.done()  # what is posted is all that comes

    async def run(self) -> None:
        """Run until `stop`, SIGTERM or SIGINT; then finish what is in hand within the drain time."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            app = probes.application(self.health, self.metrics.registry)
            async with probes.serving(app, self.settings.http) as port:
                self.port.set_result(port)
                if await self._store_ready():
                    async with self._apis_served():
                        await self._run_parts()
        finally:
            await self.desk.stop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            await self.store.close()
            await asyncio.to_thread(self.traces.close, max(0.1, self._done_by - loop.time()))
            log.info("stopped")

    @asynccontextmanager
    async def _apis_served(self) -> AsyncIterator[None]:
        """The APIs beside the rest; a port that somebody else has costs that API alone, and is told."""
        async with AsyncExitStack() as stack:
            try:
                self.api_port.set_result(await stack.enter_async_context(self.api.serving()))
            except SettingInvalid as problem:
                log.error("api_not_served", problem=str(problem))
                self._api_problem = problem
                self.api_port.set_result(None)
            try:
                port = await stack.enter_async_context(self.admin.serving()) if self.admin else None
                self.admin_port.set_result(port)
            except SettingInvalid as problem:
                log.error("admin_api_not_served", problem=str(problem))
                self._admin_problem = problem
                self.admin_port.set_result(None)
            yield

    async def _store_ready(self) -> bool:
        """Wait until the store answers and has our schema; False when stopped meanwhile."""
        while not self._stop.is_set():
            try:
                if self.settings.store.migrate:
                    await schema.migrate(self.settings.store)
                await schema.check(self.store)
                await held.load(self.store)
                async with self.store.writing() as connection:
                    await controls.ensure_targets(connection, [target.name for target in self.targets])
                self._reason = None
                return True
            except (StoreUnavailable, SchemaMissing) as error:
                self._reason = f"{error} {error.advice()}"
                log.warning("waiting_for_store", problem=str(error), remedy=error.advice())
                with suppress(TimeoutError):
                    async with asyncio.timeout(STORE_RETRY_S):
                        await self._stop.wait()
        return False

    async def _run_parts(self) -> None:
        spare_the_garbage_collector()
        if self.epoch:
            await self.epoch.look()  # before anything goes out that may have gone out before
        await self.heartbeat.beat()  # a pause that a person set holds from the first moment
        async with asyncio.TaskGroup() as group:
            lookouts = [group.create_task(self.heartbeat.run(), name="heartbeat")]
            lookouts.append(group.create_task(self.indexing.run(), name="indexing"))
            lookouts.append(group.create_task(self.remembering.run(), name="remembering"))
            lookouts.append(group.create_task(self.contracting.run(), name="contracting"))
            lookouts.append(group.create_task(collecting(), name="garbage"))
            if self.watchdog:
                lookouts.append(group.create_task(self.watchdog.run(), name="watchdog"))
            if self.epoch:
                lookouts.append(group.create_task(self.epoch.run(), name="epoch"))
            if self.director:
                lookouts.append(group.create_task(self._allow_reading(self.director), name="allow_reading"))
            stopped = group.create_task(self._stop.wait(), name="stop")
            sources = [
                (part.stop, group.create_task(part.run(), name=name))
                for name, part in (("consumer", self.consumer), ("director", self.director))
                if part is not None
            ]
            relay = (self.relay.stop, group.create_task(self.relay.run(), name="relay"))
            # A relay without targets is done at once; one that fails ends the group by itself.
            await asyncio.wait([stopped, *(task for _, task in sources)], return_when=asyncio.FIRST_COMPLETED)
            log.info("draining", seconds=self.settings.pipeline.drain_s)
            await self._drain([*sources, relay])
            for task in (*lookouts, stopped):
                task.cancel()
        await self.heartbeat.leave()

    async def _allow_reading(self, director: Director) -> None:
        """Let the first snapshot begin once our queue is bound, so that no change falls between the two."""
        while self.consumer is not None and not self.consumer.has_consumed:
            await asyncio.sleep(BOUND_LOOK_S)
        director.allow()

    async def _drain(self, parts: Sequence[tuple[Callable[[], None], asyncio.Task[None]]]) -> None:
        """Sources first, then the relay, so that what they just committed still goes out."""
        deadline = self._done_by = asyncio.get_running_loop().time() + self.settings.pipeline.drain_s
        for stop, task in parts:
            stop()
            left = max(0.1, deadline - asyncio.get_running_loop().time())
            _, late = await asyncio.wait([task], timeout=left)
            if late:
                log.warning("drain_deadline", part=task.get_name())
                task.cancel()


def _takes_events(settings: Settings) -> bool:
    """Whether somebody may post to our API."""
    return settings.http.tokens_file is not None or settings.http.oidc_issuer is not None
