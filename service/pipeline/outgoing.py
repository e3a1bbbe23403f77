"""What goes out of a batch, and to whom: our answers, the lineage of others, and states that took effect.

Lineage back is per distinct event, so that it does not depend on order or batching; everything else is told for
what took effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Change, LineageRecorded, Origin, was_read
from service.mirror import deliveries, writer
from service.mirror.deliveries import Delivery
from service.mirror.effects import Effect, Watched
from service.mirror.lineage.events import completed
from service.mirror.writer import Applied
from service.pipeline.answers import Answerer

#: Changes of a batch, each with the place of its event in it.
Placed = Sequence[tuple[int, Change]]
#: By the identity of a change, the context of its event's span, where that is traced.
Traced = Mapping[int, str]


class Subscriber(Protocol):
    """What deciding what goes out needs to know of a target."""

    name: str
    origins: frozenset[Origin]
    #: Takes lineage: our answers, and what came from elsewhere if `forwards`.
    lineage: bool
    forwards: bool
    #: Systems that it is: what came from one of them is not told to it.
    sources: frozenset[str]
    #: Takes OpenLineage events as they were sent, instead of the lineage event that they are part of.
    takes_originals: bool
    #: Seconds that its deliveries settle before they go out.
    settles_s: float
    #: Whose effects it wants to know, to tell them; None: it is told states.
    watched: Watched | None

    async def prepare(self, connection: AsyncConnection) -> None:
        """Look up what `wants` needs to know, before it is asked about a batch."""

    def wants(self, change: Change) -> bool:
        """Whether this change, having taken effect, is delivered to it."""

    def tells(self, change: Change, effect: Effect | None, origin: Origin) -> str | None:
        """What one that watches is told of a change; None: nothing."""


class Outgoing:
    """Decides for every batch; answers are recorded on the way."""

    def __init__(self, answerer: Answerer, subscribers: Sequence[Subscriber]) -> None:
        self._answerer = answerer
        self._subscribers = tuple(subscribers)
        self._watched = {origin: _watched_by(self._active(origin)) for origin in Origin}

    def _active(self, origin: Origin) -> list[Subscriber]:
        return [subscriber for subscriber in self._subscribers if origin in subscriber.origins]

    def watched(self, origin: Origin) -> Watched:
        """Whose effects are to be told of, of changes of this origin."""
        return self._watched[origin]

    async def of(
        self, connection: AsyncConnection, origin: Origin, changes: Placed, applied: Applied, traces: Traced
    ) -> list[Delivery]:
        """Deliveries of a batch, to those who want this origin's."""
        active = self._active(origin)
        lineage = [subscriber for subscriber in active if subscriber.lineage]
        for subscriber in active if applied.effective else ():
            await subscriber.prepare(connection)
        return [
            *(await self._answers(connection, changes, applied, lineage, traces) if lineage else ()),
            *_of_effects(applied, origin, active, lineage, traces),
            *(await self._originals(connection, changes, applied, lineage, traces) if applied.originals else ()),
        ]

    async def _answers(
        self,
        connection: AsyncConnection,
        changes: Placed,
        applied: Applied,
        lineage: Sequence[Subscriber],
        traces: Traced,
    ) -> list[Delivery]:
        """Our answers that were not on record, per distinct event."""
        effects = {id(change) for _, change in applied.effective}
        answered = (change for _, change in changes if not was_read(change) or id(change) in effects)
        events, traced = [], {}
        for change in answered:
            if (answer := self._answerer.answer(change)) is not None:
                events.append(answer)
                if id(change) in traces:
                    traced[answer.event_id] = traces[id(change)]
        fresh = await writer.record_own_lineage(connection, events)
        own = {event.event_id: event for event in events if event.event_id in fresh}
        return [
            deliveries.of_lineage(subscriber.name, event_id, event.document.text, traced.get(event_id))
            for event_id, event in own.items()
            for subscriber in lineage
        ]

    async def _originals(
        self,
        connection: AsyncConnection,
        changes: Placed,
        applied: Applied,
        lineage: Sequence[Subscriber],
        traces: Traced,
    ) -> list[Delivery]:
        """OpenLineage events that were not on record, in their order; who takes one event per run is told once."""
        fresh = [
            change
            for change in _by_time(change for _, change in changes)
            if change.original and change.original.openlineage_id in applied.originals
        ]
        again = {change.event_id for change in fresh if change.is_complete} & applied.ended
        told = await completed(connection, again, applied.originals)
        return [
            delivery
            for change in fresh
            for delivery in _forwarded(
                structs.replace(change, is_complete=False) if change.event_id in told else change,
                lineage,
                traces.get(id(change)),
            )
        ]


def _watched_by(subscribers: Sequence[Subscriber]) -> Watched:
    """What any of them watches."""
    watched = [subscriber.watched for subscriber in subscribers if subscriber.watched is not None]
    return Watched(frozenset[str]().union(*(one.kinds for one in watched)), any(one.parts for one in watched))


def _of_effects(
    applied: Applied,
    origin: Origin,
    active: Sequence[Subscriber],
    lineage: Sequence[Subscriber],
    traces: Traced,
) -> Iterator[Delivery]:
    """What took effect: lineage that came in the catalog's words, states, and what they changed."""
    told_states = [target for target in active if not target.lineage]
    for _, change in applied.effective:
        trace = traces.get(id(change))
        if isinstance(change, LineageRecorded):
            if change.original is None:
                yield from _forwarded(change, lineage, trace)
            continue
        for target in told_states:
            told = None
            if target.watched is not None:
                told = target.tells(change, applied.effects.get(id(change)), origin)
                if told is None:
                    continue
            elif not target.wants(change):
                continue
            yield deliveries.of_state(target.name, change, target.settles_s, trace, told)


def _forwarded(change: LineageRecorded, targets: Iterable[Subscriber], trace: str | None) -> Iterator[Delivery]:
    """Lineage that others told, to every target but the one that it came from."""
    for target in targets:
        if not target.forwards or change.came_from in target.sources:
            continue
        if change.original and target.takes_originals:
            yield deliveries.of_run(target.name, change.event_id, change.original.openlineage_id, trace)
        elif change.original is None:
            yield deliveries.of_lineage(target.name, change.event_id, change.document.text, trace)
        elif change.is_complete:  # told when it is read from the store, with what all events of the run say
            yield structs.replace(deliveries.of_lineage(target.name, change.event_id, None, trace), waits=True)


def _by_time(changes: Iterable[Change]) -> list[LineageRecorded]:
    """Lineage in the order in which it happened; of one moment, what begins a run comes first and what ends it last."""
    told = [change for change in changes if isinstance(change, LineageRecorded)]
    return sorted(told, key=_stage)


def _stage(change: LineageRecorded) -> tuple[int, bool, int]:
    version = change.version
    return version.at_us or 0, version.ended, version.rank
