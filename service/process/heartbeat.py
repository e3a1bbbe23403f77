"""The heartbeat: what a replica and the store tell each other every second.

It reads what people set (pause, brake, paused targets), opens and closes the consumer's gate accordingly, probes the
store while it is down, writes how this replica is, and notices gaps.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service import __version__
from service.amqp import queues
from service.amqp.consumer import BRAKE, STORE, Consumer, State
from service.amqp.gate import Gate
from service.amqp.topology import Former, Topology
from service.amqp.watchdog import Watchdog
from service.mirror import controls, dead_letters, progress
from service.mirror.privacy import held
from service.mirror.retention import note_lost_runs, prune
from service.mirror.stalled import end_stalled
from service.mirror.store import STORE_ERRORS, Store
from service.operations import logs
from service.pipeline.pipeline import Pipeline
from service.process.flow import Flow
from service.settings.model import AmqpSettings, RetentionSettings
from service.sync.director import Director
from service.targets.relay import Relay
from service.telemetry.logs import show_from
from service.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

INTERVAL_S = 1.0
#: Every so many beats the slower things are done: counting, and telling how we are.
SLOW_BEATS = 5
#: Every so many beats a batch of what is over its time is removed.
PRUNE_BEATS = 60
#: Who closes the gate while a person paused consuming.
PERSON = "person"
#: Who closes the gate while the store does not even answer; that it does not take a batch is the consumer's to say.
SILENT = "store_silent"
#: What is said to stop consuming while the gate is open: the broker, or what is missing on it.
BROKER = "broker"


class Heartbeat:
    """One replica's exchange with the store."""

    def __init__(
        self,
        store: Store,
        amqp: AmqpSettings,
        gate: Gate,
        pipeline: Pipeline,
        relay: Relay,
        metrics: Metrics,
        retention: RetentionSettings,
        log_level: str,
        bindings: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._amqp = amqp
        self._gate = gate
        self._pipeline = pipeline
        self._relay = relay
        self._metrics = metrics
        self._flow = Flow(metrics)
        self._retention = retention
        self._usual_level = self._level = log_level
        self._bindings = tuple(bindings)
        self._beats = 0
        self._brake_told = False
        self._told_state: State | None = None
        self.consumer: Consumer | None = None
        self.watchdog: Watchdog | None = None
        self.director: Director | None = None
        self.replica_id = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._started_at = datetime.now(UTC)

    @property
    def _brake_name(self) -> str:
        return f"{controls.BRAKE}:{self.replica_id}"

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await self.beat()
            await asyncio.sleep(INTERVAL_S)

    async def beat(self) -> None:
        """One exchange; a store that does not answer closes the gate, one that answers again opens it."""
        try:
            if self._beats % SLOW_BEATS == 0:
                await end_stalled(self._store)
            async with self._store.read() as connection:
                known = await controls.read_controls(connection)
                await held.follow(
                    connection, self._store.forgotten, known[held.CONTROL][0] if held.CONTROL in known else None
                )
                self._obey_targets(await controls.read_targets(connection), held=controls.HELD in known)
            self._obey_pause(known)
            self._obey_queues(known)
            await self._obey_brake(known)
            self._obey_level(known)
            state = self.consumer.state if self.consumer else None
            if self._beats % SLOW_BEATS == 0 or state is not self._told_state:
                async with self._store.write() as connection:
                    await self._tell(connection)
                self._told_state = state
            if self._beats % PRUNE_BEATS == PRUNE_BEATS - 1:
                await self._prune()
            self._beats += 1
        except STORE_ERRORS as error:
            silent = self._store.unavailable(error)
            self._gate.close(SILENT, f"{silent} {silent.advice()}")
        else:
            self._gate.open(SILENT)
        self._measure()

    def _measure(self) -> None:
        """Show what keeps us from consuming."""
        stopped_by = {STORE if reason == SILENT else reason for reason in self._gate.reasons}
        if self.consumer and self.consumer.problem:
            stopped_by.add(BROKER)
        for reason in (BRAKE, BROKER, PERSON, STORE):
            self._metrics.stopped.labels(reason).set(reason in stopped_by)

    async def _prune(self) -> None:
        """Remove what is over its time; replicas may do so at once, each its batch."""
        gone = await prune(self._store, self._retention)
        if gone:
            log.info("pruned", **gone)
        if lost := await note_lost_runs(self._store, self._retention):
            log.info("runs_lost", number=lost)

    def _obey_targets(self, rows: Sequence[Any], *, held: bool) -> None:
        paused = {row.target for row in rows if row.paused}
        for lane in self._relay.lanes:
            if lane.paused != (held or lane.name in paused):
                lane.set_paused(held or lane.name in paused)

    def _obey_pause(self, known: dict[str, Any]) -> None:
        if controls.PAUSE in known:
            reason = known[controls.PAUSE][0].get("reason") or "no reason given"
            self._gate.close(PERSON, f"paused by a person: {reason}")
        else:
            self._gate.open(PERSON)

    def _obey_queues(self, known: dict[str, Any]) -> None:
        """Consume what a replica with other settings has made, too: it may be the only one that is bound now."""
        if self.consumer is None or self.consumer.state is not State.CONSUMING:
            return
        if set(queues.former(self._amqp, controls.known_queues(known))) - set(self.consumer.queues):
            self.consumer.restart("channel")

    def _obey_level(self, known: dict[str, Any]) -> None:
        """Show as much as a person chose, while their choice lasts."""
        value = known[controls.LOG_LEVEL][0] if controls.LOG_LEVEL in known else None
        level = logs.of_control(value, datetime.now(UTC)) or self._usual_level
        if level != self._level:
            show_from(level)
            self._level = level
            log.warning("log_level", least=level)

    async def _obey_brake(self, known: dict[str, Any]) -> None:
        """Tell the store once that the brake is pulled; when a person removed that, lift it."""
        pulled = self._gate.reasons.get(BRAKE)
        if pulled is None:
            self._brake_told = False
        elif not self._brake_told:
            async with self._store.write() as connection:
                await controls.set_control(connection, self._brake_name, {"reason": pulled})
            self._brake_told = True
        elif self._brake_name not in known:
            self._pipeline.brake.release()
            self._gate.open(BRAKE)
            self._brake_told = False
            log.info("brake_lifted")

    async def _tell(self, connection: AsyncConnection) -> None:
        await controls.heartbeat(connection, self.replica_id, self._started_at, self.status())
        if self.consumer and self.consumer.state is State.CONSUMING:
            await controls.set_control(connection, controls.CONSUMED, {"replica": self.replica_id})
        letters = await dead_letters.count(connection, dead_letters.Filter())
        self._metrics.dead_letters.set(letters)
        self._metrics.gaps.set(len(await controls.open_gaps(connection)))
        await self._relay.measure(connection)
        for kind, differing in (await progress.drift(connection)).items():
            self._metrics.drift.labels(kind).set(differing)

    def status(self) -> dict[str, Any]:
        """How this replica is, as `status` shows it."""
        consumer, closed = self.consumer, self._gate.reasons
        found = [part.problem for part in (consumer, self.watchdog) if part and part.problem]
        problems = [f"{problem} {problem.advice()}" for problem in found]
        return {
            "version": __version__,
            "consumer": consumer.state.value if consumer else "none",
            "reasons": [*closed.values(), *problems],
            "waits_for": [*(why for who, why in closed.items() if who not in (PERSON, BRAKE)), *problems],
            "delivered": consumer.deliveries_seen if consumer else 0,
            "in_hand_s": round(consumer.oldest_in_hand_s, 1) if consumer else 0.0,
            "reading": self.director.status() if self.director else None,
            "flow": self._flow.look(),
        }

    async def leave(self) -> None:
        """Tell the store that we stopped in good order."""
        try:
            async with self._store.write() as connection:
                await controls.leave(connection, self.replica_id)
                await controls.clear_control(connection, self._brake_name)
        except STORE_ERRORS as error:
            log.warning("left_without_telling", problem=str(error)[:200])

    async def notice_topology(self, found: Topology) -> Former:
        """Before consuming: a long absence, or a queue that had to be made anew, means that events may be lost.

        Answers what settings no longer name.

        Raises:
            StoreUnavailable: it could not be looked up; consuming must not start before it was.
        """
        async with self._store.writing() as connection:
            known = await controls.read_controls(connection)
            await self._record_gaps(connection, found, known)
            former = queues.former(self._amqp, controls.known_queues(known))
            await controls.set_queues(connection, queues.names(self._amqp))
            holder = queues.holder(self._amqp)
            bindings = await controls.remember_bindings(connection, holder, self._amqp.exchange, self._bindings)
        return Former(bindings, former)

    async def notice_gap(self, kind: str, detail: str) -> None:
        """Our queue lost messages, or is about to."""
        log.error("gap", kind=kind, detail=detail)
        try:
            async with self._store.write() as connection:
                await controls.record_gap(connection, kind, detail, None)
        except STORE_ERRORS as error:
            log.warning("gap_not_recorded", kind=kind, problem=str(error)[:200])

    async def _record_gaps(self, connection: AsyncConnection, found: Topology, known: dict[str, Any]) -> None:
        last = known[controls.CONSUMED][1] if controls.CONSUMED in known else None
        lost = [name for name in found.created if name in controls.known_queues(known)]
        for name in lost:
            detail = f"queue {name} was gone and has been made anew"
            await controls.record_gap(connection, "queue_recreated", detail, last)
            log.error("gap", kind="queue_recreated", detail=detail, since=str(last))
        is_long_ago = await controls.is_older(connection, self._store, controls.CONSUMED, self._amqp.gap_after_s)
        if not lost and last and is_long_ago:
            detail = f"nothing was consumed since {last.isoformat(timespec='seconds')}"
            await controls.record_gap(connection, "absence", detail, last)
            log.error("gap", kind="absence", detail=detail)
        await controls.set_control(connection, controls.CONSUMED, {"replica": self.replica_id})
