"""One batch in one transaction: rows, answers, deliveries and dead letters together, or nothing of them.

Where the store refuses a row, the batch is split until the culprit stands alone; where it asks for it, all is done
again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from service.changes import DriftFound, Origin
from service.errors import DataError, StoreRefusedRow
from service.events.found import Found
from service.events.message import Message
from service.mirror import controls, dead_letters, deliveries, writer
from service.mirror.deliveries import Delivery, Lease
from service.mirror.store import STORE_ERRORS, Fault, Store, fault_of
from service.mirror.usage.observing import Observer
from service.pipeline.brake import Brake
from service.pipeline.decoding import Read
from service.pipeline.outgoing import Outgoing
from service.pipeline.profile_watch import ProfileWatch
from service.settings.model import PipelineSettings

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

    def lease(self) -> Lease:
        """The lease under which the deliveries are born that it takes."""

    def admits(self, wanted: Mapping[str, int]) -> frozenset[str]:
        """Of targets with so many deliveries each, those for which it has room; the others' wait in the store."""

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
    #: What changed from one run of profiling to the next.
    drifts: list[DriftFound] = field(default_factory=list)
    errors: list[DataError] = field(default_factory=list)
    #: The same by the place of the event in the batch.
    failed: dict[int, DataError] = field(default_factory=dict)


def retrying() -> AsyncRetrying:
    """Attempts at one transaction, as long as it fails for another one's sake; the last failure is raised."""
    return AsyncRetrying(
        retry=retry_if_exception(lambda error: fault_of(error) is Fault.RETRY),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.02, max=1),
        reraise=True,
    )


@dataclass(frozen=True, slots=True)
class Committer:
    """What every batch is committed with."""

    store: Store
    settings: PipelineSettings
    outgoing: Outgoing
    outlet: Outlet | None
    observer: Observer | None
    brake: Brake
    watch: ProfileWatch | None = None
    #: Every state is kept, not only the row.
    histories: bool = False

    async def commit(self, reads: list[Read], origin: Origin, *, braked: bool, suspects: bool) -> Outcome:
        """Write everything and commit; raises as `Pipeline.process` does."""
        async for attempt in retrying():
            with attempt:
                try:
                    return await self._attempt(reads, origin, braked=braked, suspects=suspects, split=False)
                except STORE_ERRORS as error:
                    if fault_of(error) is not Fault.DATA:
                        raise
                return await self._attempt(reads, origin, braked=braked, suspects=suspects, split=True)
        raise AssertionError("unreachable: the last attempt raises")

    async def rehearse(self, reads: list[Read]) -> None:
        """Write everything, and undo it; raises what the store raises."""
        async with self.store.write() as connection:
            undone = await connection.begin_nested()
            await _Batch(self, connection, reads, Origin.LIVE).write(split=False)
            await undone.rollback()

    async def _attempt(
        self, reads: list[Read], origin: Origin, *, braked: bool, suspects: bool, split: bool
    ) -> Outcome:
        async with self.store.write() as connection:
            outcome = await _Batch(self, connection, reads, origin).write(split=split)
            if suspects:
                await controls.clear_suspects(connection, [read.source.key for read in reads])
            window = self.brake.check([index in outcome.failed for index in range(len(reads))]) if braked else None
        if window is not None:
            self.brake.keep(window)
        return outcome


class _Batch:
    """One batch in one transaction, once."""

    def __init__(self, by: Committer, connection: AsyncConnection, reads: list[Read], origin: Origin) -> None:
        self._by = by
        self._connection = connection
        self._reads = reads
        self._origin = origin
        self._fates: dict[int, Fate] = {}
        self._errors = {index: read.error for index, read in enumerate(reads) if read.error}
        self._outcome = Outcome(read=len(reads))

    async def write(self, *, split: bool) -> Outcome:
        """Write all of it, and count."""
        usable = [i for i, read in enumerate(self._reads) if not read.ignored and not read.error]
        await (self._split if split else self._write)(usable)
        await self._store_dead_letters()
        return self._counted()

    async def _split(self, indices: list[int]) -> None:
        """Bisect with savepoints: what the store takes is written, a single event that it refuses is a dead letter."""
        try:
            async with self._connection.begin_nested():
                await self._write(indices)
            return
        except STORE_ERRORS as error:
            if fault_of(error) is not Fault.DATA:
                raise
            if len(indices) == 1:
                self._errors[indices[0]] = StoreRefusedRow(problem=_problem(error))
                return
        middle = len(indices) // 2
        await self._split(indices[:middle])
        await self._split(indices[middle:])

    async def _write(self, indices: list[int]) -> None:
        if not indices:
            return
        connection = self._connection
        reads = self._reads
        changes = [(index, change) for index in indices for change in reads[index].changes]
        spans = {index: span.context for index in indices if (span := reads[index].span)}
        traces = {id(change): spans[index] for index, change in changes if index in spans} if spans else {}
        watched = self._by.outgoing.watched(self._origin)
        applied = await writer.apply(connection, changes, self._origin, watched=watched, histories=self._by.histories)
        if self._by.watch:
            drifts = await self._by.watch.after(connection, changes, applied, self._origin)
            applied.effective += drifts
            self._outcome.drifts += [drift for _, drift in drifts]
        if self._by.observer:
            readings = self._by.observer.readings(change for _, change in applied.effective)
            await writer.write_facts(connection, readings)
        await self._send(await self._by.outgoing.of(connection, self._origin, changes, applied, traces))
        for index in indices:
            was_own = index in applied.own
            written = Fate.APPLIED if index in applied.events else Fate.UNCHANGED
            self._fates[index] = Fate.IGNORED if was_own else written

    async def _send(self, new: Sequence[Delivery]) -> None:
        """Write deliveries down; those that need not wait for their turn go on from memory, where it has room."""
        outlet, connection = self._by.outlet, self._connection
        ready = [delivery for delivery in new if not delivery.waits]
        admitted = outlet.admits(Counter(delivery.target for delivery in ready)) if outlet and ready else ()
        left = [delivery for delivery in ready if delivery.target not in admitted]
        created = await deliveries.create(connection, left)
        if outlet and len(left) < len(ready):
            lease, fresh = outlet.lease(), [delivery for delivery in ready if delivery.target in admitted]
            free, ordered = [one for one in fresh if not one.keeps], [one for one in fresh if one.keeps]
            in_order, behind = await deliveries.create_in_order(connection, ordered, lease)
            created |= in_order | await deliveries.create(connection, free, lease)
            self._outcome.fresh += [
                one for one in fresh if one.delivery_id in created and one.delivery_id not in behind
            ]
        created |= await deliveries.create_in_turn(connection, [delivery for delivery in new if delivery.waits])
        self._outcome.deliveries += len(created)

    async def _store_dead_letters(self) -> None:
        settings, privacy = self._by.settings, self._by.settings.privacy(self._by.store.forgotten)
        letters = []
        for index, error in self._errors.items():
            read = self._reads[index]
            letters.append(
                dead_letters.dead_letter_of(_told(read), error, settings.max_body_bytes, privacy, read.clean)
            )
        await dead_letters.store_events(self._connection, letters)

    def _counted(self) -> Outcome:
        outcome = self._outcome
        outcome.failed, outcome.errors = dict(self._errors), list(self._errors.values())
        for index, read in enumerate(self._reads):
            fate = Fate.DEAD_LETTERED if index in self._errors else self._fates.get(index, Fate.IGNORED)
            outcome.fates[fate] += 1
            outcome.topics[read.topic, fate] += 1
        return outcome


def _told(read: Read) -> Message | Found:
    """The source of a letter: of a thing that was read and is not kept, with the state that the store refused."""
    source = read.source
    if isinstance(source, Message) or source.body:
        return source
    kept = next((document for change in read.changes if (document := getattr(change, "document", None))), None)
    return replace(source, body=kept.text.encode("utf-8", "surrogatepass")) if kept else source


def _problem(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {str(cause).splitlines()[0][:200] if str(cause) else ''}"
