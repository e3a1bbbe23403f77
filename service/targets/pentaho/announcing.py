"""A finished job says so in the catalog's lineage: one event, whose id depends on the job alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Container, LineageEdge
from service.mirror import deliveries, writer
from service.mirror.bulk import key_in, rows_by_key
from service.mirror.store import Store
from service.mirror.tables import assets, things
from service.pipeline.answers import DATA_SET, NAMESPACE, Answerer
from service.targets.pentaho import links
from service.targets.pentaho.links import Link
from service.targets.pentaho.operations import Takes

if TYPE_CHECKING:
    from service.targets.pentaho.ledger import Job, State

#: Assets that one event names at most.
ASSETS_MAX = 1000


class Announcer:
    """Tells lineage targets of jobs that came to an end.

    Args:
        to: the targets' names; none: nothing is told.
    """

    def __init__(self, target: str, answerer: Answerer, to: Sequence[str]) -> None:
        self._target = target
        self._answerer = answerer
        self._to = tuple(to)

    async def announce(self, connection: AsyncConnection, store: Store, job: Job, state: State) -> None:
        """Record the event and its deliveries, in the transaction that ends the job.

        What the job was about is looked up by the links as they are now; an event that would name no asset of the
        catalog is none.
        """
        if not self._to:
            return
        edges = await self._edges(connection, job)
        if not edges:
            return
        event_type = f"PENTAHO_{job.operation.name}_{state.value}".upper()
        event_id = str(uuid5(NAMESPACE, f"Job/{self._target}/{job.job_key}"))
        event = self._answerer.announcement(event_id, event_type, time.time_ns() // 1000, edges)
        if await writer.record_own_lineage(connection, [event]):
            new = [deliveries.of_lineage(name, event_id, event.document.text) for name in self._to]
            await deliveries.create(connection, new)

    async def _edges(self, connection: AsyncConnection, job: Job) -> list[LineageEdge]:
        about = job.operation.ids_of(job.request)
        if job.operation.takes is Takes.RULES:
            about = list(job.request.get("scope", ()))
        found = await links.of_pentaho(connection, self._target, about)
        told = [link for some in found.values() for link in some]
        ids = {link.catalog_id for link in told if link.kind in ("asset", "connection", "enrichment_area")}
        ids |= await _in_lists(connection, [link for link in told if link.kind == "list"])
        known = await rows_by_key(
            connection, assets, "asset_id", sorted(ids)[:ASSETS_MAX], "name", "container_kind", "container_id"
        )
        return [LineageEdge(row.asset_id, "uses", "Used", DATA_SET, row.name, _place(row)) for row in known.values()]


def _place(row: sa.Row[tuple[object, ...]]) -> Container | None:
    return Container(row.container_kind, row.container_id) if row.container_id else None


async def _in_lists(connection: AsyncConnection, told: Sequence[Link]) -> set[str]:
    """The assets of lists."""
    items = things["asset_list_item"].c
    mine = key_in(connection, items.asset_list_id, [link.catalog_id for link in told])
    query = sa.select(items.asset_id).where(mine, items.asset_id.is_not(None), items.deleted_at.is_(None))
    return set((await connection.execute(query.limit(ASSETS_MAX))).scalars()) if told else set()
