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
from functools import partial

import structlog

from service.changes import (
    SECOND_US,
    Origin,
)
from service.errors import (
    DataError,
    PoisonSuspect,
)
from service.events.message import Message
from service.mirror import controls
from service.mirror.store import STORE_ERRORS, Fault, Store, fault_of
from service.mirror.usage.observing import Observer
from service.pipeline import trial
from service.pipeline.answers import Answerer
from service.pipeline.brake import Brake
from service.pipeline.committing import Committer, Outcome, Outlet
from service.pipeline.decoding import Decoder, Read
from service.pipeline.outgoing import Outgoing, Subscriber
from service.pipeline.profile_watch import ProfileWatch
from service.pipeline.routing import Router
from service.pipeline.tracing import committing, traced
from service.settings.model import PipelineSettings, ScopeSettings
from service.settings.scope import Scope
from service.telemetry.metrics import Metrics
from service.telemetry.traces import OFF, Traces
from service.text import documents
from service.text.shapes import Shapes

log = structlog.get_logger(__name__)

#: The time that a message is met alone in hand from which on it has to survive a trial first, or is poison.
SUSPECT_LIMIT = 3
#: The time at which it is poison whatever its trials say: what they do not try may be what kills.
HOPELESS_LIMIT = 6
#: Messages that are decoded before others have their turn: a millisecond or two, which a transaction waits for at
#: every statement.
DECODE_SLICE = 8


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
        watch: ProfileWatch | None = None,
        traces: Traces = OFF,
        histories: bool = False,
        shapes: Shapes | None = None,
    ) -> None:
        self._store = store
        self._observer = observer
        self._settings = settings
        self.metrics = metrics
        self._outlet = outlet
        self._traces = traces
        self._decoder = Decoder(
            router,
            settings,
            answerer.source_service,
            scope or Scope(ScopeSettings()),
            verifies_hints=verifies_hints,
            horizon_s=horizon_s,
            observer=observer,
            shapes=shapes,
            forgotten=store.forgotten,
        )
        self._read = partial(traced, self._decoder, traces) if traces.is_on else self._decoder.read
        self.brake = Brake(settings.brake_window, settings.brake_failures)
        self._committer = Committer(
            store, settings, Outgoing(answerer, subscribers), outlet, observer, self.brake, watch, histories
        )
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
        if alone:
            (message,) = messages
            if poison := await self._meet_suspect(message):
                return [Read(message, error=poison)]
        if self._observer:
            await self._observer.prepare(self._store)
        reads: list[Read] = []
        for start in range(0, len(messages), DECODE_SLICE):
            reads += [self._read(message) for message in messages[start : start + DECODE_SLICE]]
            await asyncio.sleep(0)
        return reads

    async def commit(self, reads: list[Read], origin: Origin, *, braked: bool = False, alone: bool = False) -> Outcome:
        """Commit what `decode` read, and hand fresh deliveries to the outlet; raises as `process` does."""
        started = time.perf_counter()
        with committing(reads if self._traces.is_on else ()) as failed:
            async with self._store.translated():
                outcome = await self._committer.commit(reads, origin, braked=braked, suspects=alone)
            failed.update(outcome.failed)
        self._met.difference_update(read.source.key for read in reads if alone)
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
        async with self._store.translated():
            try:
                await self._committer.rehearse(reads)
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
                    exemplar = read.span.exemplar if read.span else None
                    metrics.event_age.observe(max(0, now_us - read.at_us) / SECOND_US, exemplar)
        for drift in outcome.drifts:
            metrics.profile_drift.labels(drift.change).inc()
        if outcome.drifts:
            first = outcome.drifts[0]
            log.warning("profile_drift", number=len(outcome.drifts), asset_id=first.asset_id, column=first.column,
                        change=first.change, remedy="v1_profile_drift has what changed, and by how much.")  # fmt: skip
        if outcome.errors:
            classes = Counter(error.error_class for error in outcome.errors)
            log.warning(
                "dead_lettered", number=len(outcome.errors), classes=dict(classes), first=str(outcome.errors[0])
            )
