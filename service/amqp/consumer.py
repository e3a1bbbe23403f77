"""The consumer: takes batches from our queues, has them committed, then acknowledges them.

It lives in incarnations, each one channel. When the channel closes, for whatever reason, what was in hand is dropped:
the broker gives it out again. An incarnation ends to pause, and everything goes back to the queue.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from enum import StrEnum
from typing import Any, TypeVar

import structlog
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel

from service.amqp import management, queues, topology
from service.amqp.connection import Link, connected, translated, version_of
from service.amqp.gate import Gate
from service.amqp.inbox import Batch, Inbox
from service.amqp.subscription import subscribed
from service.changes import Origin
from service.errors import (
    BrakePulled,
    BrokerUnavailable,
    ManagementUnavailable,
    MirrorError,
    StoreUnavailable,
    TopologyMissing,
)
from service.pipeline.committing import Fate
from service.pipeline.decoding import Read
from service.pipeline.pipeline import Pipeline
from service.settings.model import AmqpSettings, PipelineSettings

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Seconds without a right or an exchange after which it is called an error, and told again.
TOPOLOGY_PATIENCE_S = 60.0
#: Names of the reasons that this room closes the gate for: the store did not take a batch, the brake is pulled.
STORE, BRAKE = "store", "brake"
#: Seconds between two attempts to have the store take what it did not take.
REHEARSAL_PAUSE_S = 1.0
#: Longest pause between two attempts to connect, in seconds.
BACKOFF_MAX_S = 15.0


class State(StrEnum):
    """What the consumer is doing."""

    STARTING = "starting"
    CONSUMING = "consuming"
    PAUSED = "paused"
    WAITING = "waiting"  # for the broker or its topology
    STOPPED = "stopped"


class Consumer:
    """Consumes until it is told to stop.

    Args:
        on_topology: called each time the topology is there, before consuming: gaps are noticed there, and it answers
            what settings no longer name: nothing more comes by that, and its queues are emptied.
        turn: what is around all that changes the topology: of two replicas with different settings that were at it at
            once, each might remove what the other one has just made, and nothing would come by any way.
    """

    def __init__(
        self,
        settings: AmqpSettings,
        batching: PipelineSettings,
        pipeline: Pipeline,
        gate: Gate,
        bindings: Sequence[str],
        on_topology: Callable[[topology.Topology], Awaitable[topology.Former]],
        turn: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._settings = settings
        self._batching = batching
        self._pipeline = pipeline
        self._gate = gate
        self._bindings = tuple(bindings)
        self._on_topology = on_topology
        self._turn = turn
        self._stopping = asyncio.Event()
        self._restart: str | None = None
        self._inbox: Inbox | None = None
        self._in_hand: deque[float] = deque()
        #: The batch that the store did not take; its messages are back in the queue.
        self._not_taken: list[Read] = []
        #: The broker took our last consumer away.
        self._was_cancelled = False
        self._missing_since: float | None = None
        self._say_missing_after_s = 0.0
        #: Attempts in a row that did not lead to consuming.
        self._failures = 0
        self.state = State.STARTING
        self.problem: MirrorError | None = None
        self.has_consumed = False
        self.delivered = 0
        #: Queues that were known when the incarnation began: ours, and those of former settings.
        self.queues = queues.names(settings)

    def stop(self) -> None:
        """Finish the batch in hand, acknowledge it, give the rest back, and return from `run`."""
        self._stopping.set()
        self._end_incarnation()

    def restart(self, what: str) -> None:
        """End the incarnation; `what` is `channel` or `connection`."""
        self._restart = what
        self._end_incarnation()

    def _end_incarnation(self) -> None:
        if self._inbox:
            self._inbox.close()

    @property
    def oldest_in_hand_s(self) -> float:
        """Seconds since the oldest message in memory came; 0 when there is none."""
        waiting = self._inbox.oldest if self._inbox else None
        oldest = self._in_hand[0] if self._in_hand else waiting
        return time.monotonic() - oldest if oldest is not None else 0.0

    @property
    def deliveries_seen(self) -> int:
        """Deliveries so far, over all incarnations."""
        return self.delivered + (self._inbox.delivered if self._inbox else 0)

    async def run(self) -> None:
        """Consume until `stop`; outages of broker and store are waited out."""
        while not self._stopping.is_set():
            try:
                await self._connected_life()
                continue
            except TopologyMissing as error:
                self._missing(error)
            except BrokerUnavailable as error:
                self._waits_for(error)
            await self._take_back()
            self._failures += 1
            if not self._stopping.is_set():
                await self._pause(_backoff(self._failures))
        self.state = State.STOPPED

    def _missing(self, error: TopologyMissing) -> None:
        """Say at once what is missing, and every minute from then on that it still is."""
        now = time.monotonic()
        self._missing_since = self._missing_since or now
        self.state, self.problem = State.WAITING, error
        waited_s = now - self._missing_since
        if waited_s >= self._say_missing_after_s:
            speak = log.error if self._say_missing_after_s else log.warning
            speak("topology_missing", waited_s=round(waited_s), problem=str(error), remedy=error.advice())
            self._say_missing_after_s = waited_s + TOPOLOGY_PATIENCE_S

    def _waits_for(self, error: BrokerUnavailable) -> None:
        self.state, self.problem = State.WAITING, error
        log.warning("broker_unavailable", problem=str(error), remedy=error.advice())

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _connected_life(self) -> None:
        """One connection: incarnation after incarnation until it breaks or is to be made anew."""
        async with connected(self._settings, "consumer") as connection:
            while not self._stopping.is_set():
                await self._until_open()
                if self._stopping.is_set():
                    return
                self._restart = None
                try:
                    with translated(self._settings):
                        await self._incarnation(connection)
                except StoreUnavailable as error:
                    self._close_gate(STORE, error)
                await self._take_back()
                if connection.is_closed or self._wants_new_connection():
                    return

    def _wants_new_connection(self) -> bool:
        return self._restart == "connection"

    async def _take_back(self) -> None:
        """What ended without a commit has not killed us; where the store cannot be told, it is the next time."""
        try:
            await self._pipeline.take_back()
        except StoreUnavailable as error:
            log.debug("suspects_not_taken_back", problem=str(error))

    async def _until_open(self) -> None:
        if self._gate.is_open:
            return
        self.state = State.PAUSED
        log.info("consumer_paused", reasons=self._gate.reasons)
        await self._unless_stopped(self._until_nothing_stops())

    async def _unless_stopped(self, what: Coroutine[Any, Any, T]) -> T | None:
        """What it answers; None where we are told to stop before it does."""
        asked, stopping = asyncio.create_task(what), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([asked, stopping], return_when=asyncio.FIRST_COMPLETED)
            return asked.result() if asked.done() else None
        finally:
            for task in (asked, stopping):
                task.cancel()
            await asyncio.wait([asked, stopping])

    async def _until_nothing_stops(self) -> None:
        while not self._gate.is_open:
            if STORE in self._gate.reasons:
                await self._until_store_takes()
            await self._gate.wait_open()

    async def _until_store_takes(self) -> None:
        """Try what the store did not take, undone each time, while its messages lie in the queue.

        Consuming on trial instead would count as a delivery of each message in hand: the broker drops one that was
        delivered too often (RabbitMQ 4: after 20 by default), and we look at those that were as if they had killed us.
        """
        while True:
            try:
                await self._pipeline.rehearse(self._not_taken)
                break
            except StoreUnavailable as error:
                self._gate.close(STORE, f"{error} {error.advice()}")
            await asyncio.sleep(REHEARSAL_PAUSE_S)
        self._not_taken = []
        self._gate.open(STORE)
        log.info("store_takes_batches_again")

    async def _incarnation(self, connection: Link) -> None:
        """One channel, from its opening to its end."""
        former = await self._unless_stopped(self._ready_topology(connection))
        if former is None:
            return
        self.queues = (*queues.names(self._settings), *former.queues)
        self._missing_since, self._say_missing_after_s = None, 0.0
        batching = self._batching
        inbox = self._inbox = Inbox(batching.batch_max, batching.batch_wait_s, batching.batch_max_bytes)
        watch = asyncio.create_task(self._close_when_gate_closes(inbox))
        try:
            consumed = await self._that_are_there(connection)
            async with subscribed(connection, self._settings, consumed, inbox) as channel:
                self.state, self.problem, self.has_consumed = State.CONSUMING, None, True
                self._failures = 0
                await self._consume(channel, inbox)
        finally:
            watch.cancel()
            self.delivered += inbox.delivered
            self._was_cancelled = inbox.cancelled
            self._inbox = None
            self._in_hand.clear()

    async def _ready_topology(self, connection: Link) -> topology.Former:
        """Have the topology as settings have it; answers what they no longer name."""
        going_s, self._was_cancelled = topology.GOING_S if self._was_cancelled else 0.0, False
        async with self._turn():
            found = await topology.ensure(connection, self._settings, self._bindings, going_s=going_s)
            await self._check_limits(known=found.arguments_match, version=version_of(connection))
            former = await self._on_topology(found)
            await topology.leave(connection, self._settings, self._bindings, former)
        return former

    async def _that_are_there(self, connection: AbstractConnection) -> list[str]:
        """Our queues, and those of former settings that nobody has deleted yet."""
        ours = list(queues.names(self._settings))
        for name in self.queues[len(ours) :]:
            if await topology.ready_messages(connection, self._settings, name) is not None:
                ours.append(name)
        return ours

    async def _check_limits(self, *, known: bool | None, version: tuple[int, ...]) -> None:
        """Do not begin what loses events: a queue that drops what it has delivered a few times."""
        if self._settings.management_url is None and not known and version >= (management.LIMITED_SINCE,):
            problem, remedy = management.LIMIT_UNKNOWN
            log.warning("delivery_limit_unknown", queue=self._settings.queue, problem=problem, remedy=remedy)
        for name in queues.names(self._settings):
            try:
                report = await management.queue_report(self._settings, name)
            except ManagementUnavailable:  # the watchdog asks too, and says so
                return
            if report and report.drops_soon:
                raise management.drops_too_soon(self._settings, name, report)

    async def _close_when_gate_closes(self, inbox: Inbox) -> None:
        await self._gate.wait_closed()
        inbox.close()

    async def _consume(self, channel: Channel, inbox: Inbox) -> None:
        """Decode two batches ahead of the one that commits; batches commit and are acknowledged in their order.

        One batch ahead would leave us idle, and the store after us, whenever the store is slower with its batch.
        """
        waiting: asyncio.Task[None] | None = None
        committing: asyncio.Task[None] | None = None
        try:
            while (batch := await inbox.take()) is not None:
                self._in_hand.append(batch.received_at)
                if batch.alone:  # what may kill us must not take another batch along
                    await _finished(waiting)
                    if inbox.closed:
                        return
                reads = await self._pipeline.decode(batch.messages, alone=batch.alone)
                await _finished(committing)
                committing, waiting = waiting, asyncio.create_task(self._commit(channel, inbox, batch, reads, waiting))
        finally:
            await _finished(waiting)

    async def _commit(
        self,
        channel: Channel,
        inbox: Inbox,
        batch: Batch,
        reads: list[Read],
        before: asyncio.Task[None] | None,
    ) -> None:
        """Commit after the batch before, then acknowledge; whatever goes wrong ends the incarnation."""
        await _finished(before)
        if inbox.closed:  # a batch before this one is not committed: acknowledging this one would lose it
            return
        started = time.perf_counter()
        try:
            outcome = await self._pipeline.commit(reads, Origin.LIVE, braked=True, alone=batch.alone)
            await channel.basic_ack(batch.last_tag, multiple=True)
        except BaseException as error:
            inbox.close()
            if isinstance(error, StoreUnavailable):
                self._not_taken = reads
                self._close_gate(STORE, error)
            elif isinstance(error, BrakePulled):
                self._close_gate(BRAKE, error)
            else:
                raise
            return
        self._in_hand.popleft()
        log.info(
            "batch_applied",
            events=outcome.read,
            applied=outcome.fates[Fate.APPLIED],
            dead_lettered=outcome.fates[Fate.DEAD_LETTERED],
            deliveries=outcome.deliveries,
            seconds=round(time.perf_counter() - started, 3),
        )

    def _close_gate(self, who: str, error: MirrorError) -> None:
        log.error("consumer_stops", why=error.error_class, problem=str(error), remedy=error.advice())
        self._gate.close(who, f"{error} {error.advice()}")


async def _finished(task: asyncio.Task[None] | None) -> None:
    """Wait for the batch before; its error is ours."""
    if task is not None:
        await task


def _backoff(failures: int) -> float:
    """Seconds until the next attempt to connect: 0.5, 1, 2 … with jitter, at most `BACKOFF_MAX_S`."""
    return min(BACKOFF_MAX_S, 0.5 * 2.0 ** min(failures - 1, 10)) * random.uniform(0.5, 1.0)
