"""Backfill: deliveries to one target of what the mirror holds already, whatever its origin, because a person asks.

A target of lineage gets our answers to the states that are there, as if they had just been told, and every lineage
event that it is told of; another target gets the states that it wants. Batch by batch, beside a running service, which
delivers them; what is pending already stays as it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import CATALOG, Change
from service.errors import DataError
from service.events.stored import change_of
from service.mirror import deliveries, writer
from service.mirror.deliveries import LINEAGE, RUN, Delivery
from service.mirror.store import Store
from service.mirror.tables import STATES, lineage_edges, lineage_events, openlineage_events
from service.openlineage.words import EVENT_TYPES, JOB_DESCRIBED, LAST_STATES
from service.pipeline.answers import Answerer
from service.pipeline.outgoing import Subscriber
from service.settings.scope import Scope

#: Rows of one transaction.
ROWS = 500
#: Kinds whose states are answered in lineage.
_ANSWERED = ("asset", "data_profile")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of the mirror's rows: of one container, and not older than a moment of the catalog's clock."""

    container_id: str | None = None
    since: datetime | None = None


class Backfill:
    """One backfill of one target; with `dry_run` it only counts, and writes nothing."""

    def __init__(
        self, store: Store, receiver: Subscriber, answerer: Answerer, scope: Scope, chosen: Chosen, *, dry_run: bool
    ) -> None:
        self._store = store
        self._receiver = receiver
        self._answerer = answerer
        self._scope = scope
        self._chosen = chosen
        self._dry_run = dry_run

    async def run(self) -> AsyncIterator[tuple[str, int]]:
        """Make the deliveries; yields kind and number of new ones, batch by batch.

        With `dry_run`, deliveries that are pending already are counted too.
        """
        kinds = _ANSWERED if self._receiver.lineage else tuple(STATES)
        async with self._store.read() as connection:
            await self._receiver.prepare(connection)
        for kind in kinds:
            async for rows in self._batches(_states(kind, self._chosen)):
                changes = self._changes(kind, rows)
                if self._receiver.lineage:
                    yield LINEAGE, await self._answer(changes)
                else:
                    wanted = [change for change in changes if self._receiver.wants(change)]
                    yield kind, await self._create([self._delivery(one) for one in wanted])
        if self._receiver.lineage:
            async for rows in self._batches(_events(self._chosen, self._receiver)):
                new = [deliveries.of_lineage(self._receiver.name, row.event_id, None) for row in rows]
                yield LINEAGE, await self._create(new)
            if self._receiver.takes_originals:
                async for rows in self._batches(_runs(self._chosen, self._receiver)):
                    yield RUN, await self._create(await self._originals([row.event_id for row in rows]))

    def _delivery(self, change: Change) -> Delivery:
        return deliveries.of_state(self._receiver.name, change, self._receiver.settles_s)

    async def _batches(self, query: sa.Select[Any]) -> AsyncIterator[Sequence[Any]]:
        """Rows in the order of the query's first column, which names a row."""
        key = query.selected_columns[0]
        last = ""
        while True:
            async with self._store.read() as connection:
                rows = list(await connection.execute(query.where(key > last).order_by(key).limit(ROWS)))
            if rows:
                last = rows[-1][0]
                yield rows
            if len(rows) < ROWS:
                return

    async def _originals(self, event_ids: Sequence[str]) -> list[Delivery]:
        """Deliveries of OpenLineage events as they came, by run in the order in which they happened."""
        told = openlineage_events.c
        query = sa.select(told.openlineage_id, told.event_id).where(told.event_id.in_(event_ids))
        stage = sa.case((_says("START"), 0), (sa.or_(*map(_says, sorted(LAST_STATES))), 2), else_=1)
        async with self._store.read() as connection:
            rows = await connection.execute(query.order_by(told.event_time, stage, told.openlineage_id))
            return [deliveries.of_run(self._receiver.name, row.event_id, row.openlineage_id) for row in rows]

    def _changes(self, kind: str, rows: Sequence[Any]) -> list[Change]:
        key = STATES[kind].primary_key.columns.values()[0].name
        changes = []
        for row in rows:
            try:
                change = change_of(kind, row._mapping, key)
            except DataError:
                continue  # `mirror rebuild` keeps such a row as it is, too
            if self._scope.admits(change):
                changes.append(change)
        return changes

    async def _answer(self, changes: Sequence[Change]) -> int:
        """Record our answers that are not on record, for the deliveries that follow; a dry run counts those alone."""
        answers = [event for change in changes if (event := self._answerer.answer(change)) is not None]
        if self._dry_run:
            async with self._store.read() as connection:
                return len(answers) - await _known(connection, [event.event_id for event in answers])
        async with self._store.write() as connection:
            await writer.record_own_lineage(connection, answers)
        return 0

    async def _create(self, new: Sequence[Delivery]) -> int:
        if self._dry_run:
            return len(new)
        async with self._store.write() as connection:
            return len(await deliveries.create_in_turn(connection, new))


def _states(kind: str, chosen: Chosen) -> sa.Select[Any]:
    table = STATES[kind]
    key = table.primary_key.columns.values()[0]
    others = [column for column in table.c if column is not key]
    query = sa.select(key, *others).where(table.c.document.is_not(None), table.c.deleted_at.is_(None))
    if chosen.container_id is not None:
        query = query.where((key if kind == "container" else table.c.container_id) == chosen.container_id)
    return query.where(table.c.version_at >= chosen.since) if chosen.since else query


def _events(chosen: Chosen, receiver: Subscriber) -> sa.Select[Any]:
    """Lineage events that are ours, and of those that came from elsewhere what the receiver is told of them."""
    event = lineage_events.c
    told = _from_elsewhere(receiver)
    if receiver.takes_originals:
        told = sa.and_(told, ~_HAS_ORIGINALS)
    else:  # one event per run, once it is complete
        told = sa.and_(told, sa.or_(~_HAS_ORIGINALS, event.event_type.in_(_COMPLETE)))
    return _within(chosen, sa.select(event.event_id).where(sa.or_(event.own, told)))


def _runs(chosen: Chosen, receiver: Subscriber) -> sa.Select[Any]:
    """Lineage events that the receiver is told of in the words of those who sent them."""
    return _within(chosen, sa.select(lineage_events.c.event_id).where(_from_elsewhere(receiver), _HAS_ORIGINALS))


def _from_elsewhere(receiver: Subscriber) -> sa.ColumnElement[bool]:
    """Not ours, and not from the receiver itself; what an older version wrote came from the catalog."""
    event = lineage_events.c
    if not receiver.forwards:
        return sa.false()
    return sa.and_(~event.own, sa.func.coalesce(event.came_from, CATALOG).not_in(sorted(receiver.sources)))


def _says(state: str) -> sa.ColumnElement[bool]:
    """Whether an OpenLineage event tells this state, by its canonical text."""
    return openlineage_events.c.document.contains(f'"eventType":"{state}"', autoescape=True)


_HAS_ORIGINALS = sa.exists().where(openlineage_events.c.event_id == lineage_events.c.event_id)
#: Types of events of which there is nothing more to come.
_COMPLETE = (EVENT_TYPES["COMPLETE"], JOB_DESCRIBED)


def _within(chosen: Chosen, query: sa.Select[Any]) -> sa.Select[Any]:
    if chosen.container_id is not None:
        of_event = lineage_edges.c.event_id == lineage_events.c.event_id
        query = query.where(sa.exists().where(of_event, lineage_edges.c.container_id == chosen.container_id))
    return query.where(lineage_events.c.event_time >= chosen.since) if chosen.since else query


async def _known(connection: AsyncConnection, event_ids: Sequence[str]) -> int:
    query = sa.select(sa.func.count()).where(lineage_events.c.event_id.in_(event_ids))
    return int((await connection.execute(query)).scalar_one())
