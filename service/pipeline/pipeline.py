"""One batch from bytes to its transaction: decode → redact → handle → apply. Only here an event's fate is decided.

A message is mirrored, unchanged, ignored, or a dead letter; which of these is committed in one transaction, after which
the caller may acknowledge the batch. What goes out is decided here too: answers in lineage, and deliveries of changes
that took effect.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from service.changes import (
    SECOND_US,
    Origin,
)
from service.errors import (
    DataError,
    PoisonSuspect,
    StoreRefusedRow,
)
from service.events.message import Message
from service.mirror import controls, dead_letters, deliveries, writer
from service.mirror.deliveries import Delivery, Lease
from service.mirror.store import STORE_ERRORS, Fault, Store, fault_of
from service.mirror.usage.observing import Observer
from service.pipeline import trial
from service.pipeline.answers import Answerer
from service.pipeline.brake import Brake
from service.pipeline.decoding import Decoder, Read
from service.pipeline.outgoing import Outgoing, Subscriber
from service.pipeline.routing import Router
from service.settings.model import PipelineSettings, ScopeSettings
from service.settings.scope import Scope
from service.telemetry.metrics import Metrics
from service.text import documents

log = structlog.get_logger(__name__)

#: The time that a message is met alone in hand from which on it has to survive a trial first, or is poison.
SUSPECT_LIMIT = 3
#: The time at which it is poison whatever its trials say: what they do not try may be what kills.
HOPELESS_LIMIT = 6
#: Messages that are decoded before others have their turn: a millisecond or two, which a transaction waits for at
#: every statement.
DECODE_SLICE = 8
#: Attempts at a transaction that fails by deadlock or serialisation.
_ATTEMPTS = 8


class Fate(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    IGNORED = "ignored"
    DEAD_LETTERED = "dead_lettered"


class Outlet(Protocol):
    """Takes fresh deliveries from memory; the relay."""

    def lease(self, number: int) -> Lease | None:
        """The lease under which so many deliveries are born; None: there is no room, they wait in the store."""

    def accept(self, fresh: Sequence[Delivery]) -> None:
        """These deliveries are committed and leased."""


@dataclass(slots=True)
class Outcome:
    """What became of a batch."""

    read: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    topics: Counter[tuple[str, Fate]] = field(default_factory=Counter)
    deliveries: int = 0
    fresh: list[Delivery] = field(default_factory=list)
    errors: list[DataError] = field(default_factory=list)
    #: The same by the place of the event in the batch.
    failed: dict[int, DataError] = field(default_factory=dict)


class Pipeline:
    """Carries batches of messages into the mirror."""

    def __init__(
        self,
        store: Store,
        router: Router,
        settings: PipelineSettings,
        metrics: Metrics,
        *,
        answerer: Answerer,
        subscribers: Sequence[Subscriber] = (),
        outlet: Outlet | None = None,
        verifies_hints: bool = False,
        scope: Scope | None = None,
        horizon_s: float | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._store = store
        self._observer = observer
        self._settings = settings
        self.metrics = metrics
        self._outgoing = Outgoing(answerer, subscribers)
        self._outlet = outlet
        self._decoder = Decoder(
            router,
            settings,
            answerer.source_service,
            scope or Scope(ScopeSettings()),
            verifies_hints=verifies_hints,
            horizon_s=horizon_s,
            observer=observer,
        )
        self.brake = Brake(settings.brake_window, settings.brake_failures)
        #: Keys of the messages that we noted as met, alone in hand, and whose batch has not been committed.
        self._met: set[str] = set()

    async def process(
        self, messages: Sequence[Message], origin: Origin, *, braked: bool = False, alone: bool = False
    ) -> Outcome:
        """Carry one batch into the mirror; when this returns, its effects or dead letters are committed.

        Args:
            origin: why we know of these messages.
            braked: whether the brake looks on (while consuming).
            alone: the batch is one message that may have killed us before: note it as a suspect first.

        Raises:
            StoreUnavailable: nothing is committed; the batch has to come again.
            BrakePulled: nothing is committed; a person has to look.
        """
        reads = await self.decode(messages, alone=alone)
        return await self.commit(reads, origin, braked=braked, alone=alone)

    async def decode(self, messages: Sequence[Message], *, alone: bool = False) -> list[Read]:
        """Read a batch, in slices, so that the transaction of the batch before goes on meanwhile."""
        poison = await self._meet_suspect(messages[0]) if alone else None
        if poison:
            return [Read(messages[0], error=poison)]
        if self._observer:
            await self._observer.prepare(self._store)
        reads: list[Read] = []
        for start in range(0, len(messages), DECODE_SLICE):
            reads += [self._decoder.read(message) for message in messages[start : start + DECODE_SLICE]]
            await asyncio.sleep(0)
        return reads

    async def commit(self, reads: list[Read], origin: Origin, *, braked: bool = False, alone: bool = False) -> Outcome:
        """Commit what `decode` read, and hand fresh deliveries to the outlet; raises as `process` does."""
        started = time.perf_counter()
        async with self._store.translated():
            outcome = await self._commit(reads, origin, braked=braked, suspects=alone)
        self._met.difference_update(read.message.key for read in reads if alone)
        self._observe(reads, outcome, time.perf_counter() - started, origin)
        if outcome.fresh and self._outlet:
            self._outlet.accept(outcome.fresh)
        return outcome

    async def rehearse(self, reads: list[Read]) -> None:
        """Have the store do all that committing these asks of it, and undo that: whether it would take them now.

        A store may answer every question and yet not take a batch: a lock on a table or a row, a server that only
        reads, a full disk. To try it on messages in hand would count as a delivery of each, again and again.

        Raises:
            StoreUnavailable: it does not take them.
        """
        batch = _Transaction(self, reads, Origin.LIVE, braked=False, suspects=False)
        async with self._store.translated():
            try:
                await batch.rehearse()
            except STORE_ERRORS as error:
                if fault_of(error) is Fault.DOWN:
                    raise

    async def take_back(self) -> None:
        """Forget the meetings that ended without a commit: this process has outlived them.

        Raises:
            StoreUnavailable: they are taken back the next time.
        """
        if self._met:
            async with self._store.writing() as connection:
                await controls.take_back_suspects(connection, sorted(self._met))
            self._met.clear()

    async def _meet_suspect(self, message: Message) -> DataError | None:
        """Note that this message is in hand; answers why it is not read. A trial that we do not outlive is none."""
        await self.take_back()
        async with self._store.reading() as connection:
            met = 1 + await controls.suspected(connection, message.key)
        if met >= HOPELESS_LIMIT or (met >= SUSPECT_LIMIT and not await self._survives(message, met)):
            return PoisonSuspect(met=met)
        async with self._store.writing() as connection:
            await controls.meet_suspect(connection, message.key, documents.column_text(message.routing_key))
        self._met.add(message.key)
        return None

    async def _survives(self, message: Message, met: int) -> bool:
        survived = await trial.survives(self._decoder, message, self._settings.handler_deadline_s)
        log.warning("suspect_tried", message=message.key, met=met, survived=survived)
        return survived

    async def _commit(self, reads: list[Read], origin: Origin, *, braked: bool, suspects: bool) -> Outcome:
        """One transaction; where a row is refused, once more with the batch split until the culprit stands alone."""
        batch = _Transaction(self, reads, origin, braked=braked, suspects=suspects)
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: fault_of(error) is Fault.RETRY),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.02, max=1),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                try:
                    return await batch.run(split=False)
                except STORE_ERRORS as error:
                    if fault_of(error) is not Fault.DATA:
                        raise
                return await batch.run(split=True)
        raise AssertionError("unreachable: the last attempt raises")

    def _observe(self, reads: Sequence[Read], outcome: Outcome, seconds: float, origin: Origin) -> None:
        metrics = self.metrics
        for (topic, fate), number in outcome.topics.items():
            metrics.events.labels(topic, fate).inc(number)
        expired = sum(read.expired for read in reads)
        if expired:
            metrics.expired.inc(expired)
        metrics.batch_size.observe(len(reads))
        metrics.apply_seconds.observe(seconds)
        if origin is Origin.LIVE:
            now_us = time.time_ns() // 1000
            for read in reads:
                if read.at_us is not None:
                    metrics.event_age.observe(max(0, now_us - read.at_us) / SECOND_US)
        if outcome.errors:
            classes = Counter(error.error_class for error in outcome.errors)
            log.warning(
                "dead_lettered", number=len(outcome.errors), classes=dict(classes), first=str(outcome.errors[0])
            )


class _Transaction:
    """One batch in its transaction; may be run again, from the start, when the store asks for it."""

    def __init__(self, pipeline: Pipeline, reads: list[Read], origin: Origin, *, braked: bool, suspects: bool) -> None:
        self._pipeline = pipeline
        self._reads = reads
        self._origin = origin
        self._braked = braked
        self._suspects = suspects

    async def rehearse(self) -> None:
        """Write everything, and undo it."""
        async with self._pipeline._store.write() as connection:
            undone = await connection.begin_nested()
            await self._write_all(connection, split=False)
            await undone.rollback()

    async def run(self, *, split: bool) -> Outcome:
        """Write everything and commit."""
        pipeline = self._pipeline
        async with pipeline._store.write() as connection:
            await self._write_all(connection, split=split)
            if self._suspects:
                await controls.clear_suspects(connection, [read.message.key for read in self._reads])
            failed = [index in self._errors for index in range(len(self._reads))]
            window = pipeline.brake.check(failed) if self._braked else None
        if window is not None:
            pipeline.brake.keep(window)
        return self._counted()

    async def _write_all(self, connection: AsyncConnection, *, split: bool) -> None:
        self._fates: dict[int, Fate] = {}
        self._errors = {index: read.error for index, read in enumerate(self._reads) if read.error}
        self._outcome = Outcome(read=len(self._reads))
        usable = [i for i, read in enumerate(self._reads) if not read.ignored and not read.error]
        await (self._split if split else self._write)(connection, usable)
        await self._store_dead_letters(connection)

    async def _split(self, connection: AsyncConnection, indices: list[int]) -> None:
        """Bisect with savepoints: what the store takes is written, a single event that it refuses is a dead letter."""
        try:
            async with connection.begin_nested():
                await self._write(connection, indices)
            return
        except STORE_ERRORS as error:
            if fault_of(error) is not Fault.DATA:
                raise
            if len(indices) == 1:
                self._errors[indices[0]] = StoreRefusedRow(problem=_problem(error))
                return
        middle = len(indices) // 2
        await self._split(connection, indices[:middle])
        await self._split(connection, indices[middle:])

    async def _write(self, connection: AsyncConnection, indices: list[int]) -> None:
        if not indices:
            return
        changes = [(index, change) for index in indices for change in self._reads[index].changes]
        applied = await writer.apply(connection, changes, self._origin)
        if self._pipeline._observer:
            readings = self._pipeline._observer.readings(change for _, change in applied.effective)
            await writer.write_facts(connection, readings)
        await self._send(connection, await self._pipeline._outgoing.of(connection, self._origin, changes, applied))
        for index in indices:
            was_own = index in applied.own
            written = Fate.APPLIED if index in applied.events else Fate.UNCHANGED
            self._fates[index] = Fate.IGNORED if was_own else written

    async def _send(self, connection: AsyncConnection, new: Sequence[Delivery]) -> None:
        """Write deliveries down; those that need not wait for their turn go on from memory, where it has room."""
        ready = [delivery for delivery in new if not delivery.waits]
        waiting = [delivery for delivery in new if delivery.waits]
        outlet, store = self._pipeline._outlet, self._pipeline._store
        lease = outlet.lease(len(ready)) if outlet and ready else None
        created = await deliveries.create(connection, store, ready, lease)
        if lease:
            self._outcome.fresh += [delivery for delivery in ready if delivery.delivery_id in created]
        created |= await deliveries.create_in_turn(connection, store, waiting)
        self._outcome.deliveries += len(created)

    async def _store_dead_letters(self, connection: AsyncConnection) -> None:
        settings = self._pipeline._settings
        letters = []
        for index, error in self._errors.items():
            read = self._reads[index]
            letters.append(
                dead_letters.dead_letter_of(
                    read.message, error, settings.max_body_bytes, settings.principals, read.clean
                )
            )
        await dead_letters.store_events(connection, letters)

    def _counted(self) -> Outcome:
        outcome = self._outcome
        outcome.failed, outcome.errors = dict(self._errors), list(self._errors.values())
        for index, read in enumerate(self._reads):
            fate = Fate.DEAD_LETTERED if index in self._errors else self._fates.get(index, Fate.IGNORED)
            outcome.fates[fate] += 1
            outcome.topics[read.topic, fate] += 1
        return outcome


def _problem(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {str(cause).splitlines()[0][:200] if str(cause) else ''}"
