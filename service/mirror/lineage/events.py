"""Lineage events as they are stored, with their edges, and as whole bodies of the catalog's form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import CATALOG, Container, LineageEdge
from service.events.lineage import bare_asset
from service.mirror.bulk import among
from service.mirror.tables import assets, dataset_identities, lineage_edges, lineage_events, openlineage_events
from service.text import documents

#: Visibility modes of assets that not every member of a container may see.
PRIVATE_MODES = (8, 16)


def is_shown(visibility_mode: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether every member of its container may see an asset; of one that is not mirrored nobody says otherwise."""
    return sa.func.coalesce(visibility_mode, 0).not_in(PRIVATE_MODES)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One lineage event; `document` is its body in the catalog's form."""

    event_id: str
    event_type: str | None
    categories: str | None
    event_time: datetime | None
    source_service: str | None
    user_id: str | None
    own: bool
    came_from: str | None
    document: str

    @property
    def adds_up(self) -> bool:
        """Several events may have told of it: the document is that of the last one, the edges are those of all."""
        return self.came_from not in (None, CATALOG)

    def body(self) -> dict[str, Any]:
        """The document as an object."""
        body: dict[str, Any] = documents.parsed_text(self.document)
        return body


_event = lineage_events.c
EVENT_COLUMNS = (
    _event.event_id, _event.event_type, _event.categories, _event.event_time, _event.source_service, _event.user_id,
    _event.own, _event.came_from, _event.document,
)  # fmt: skip


async def read_events(connection: AsyncConnection, ids: Collection[str]) -> list[EventRow]:
    """The events with these ids, as far as they are there."""
    if not ids:
        return []
    query = sa.select(*EVENT_COLUMNS).where(among(connection, _event.event_id, ids))
    return [EventRow(*row) for row in await connection.execute(query)]


async def edges_of(connection: AsyncConnection, ids: Collection[str]) -> dict[str, list[LineageEdge]]:
    """The edges of events, without the assets that not everybody may see; by event, in the order of asset ids."""
    edge, known, whole = lineage_edges.c, dataset_identities.c, assets.alias("whole")
    columns = (edge.event_id, edge.asset_id, edge.role, edge.relation, edge.asset_type, edge.name)
    hidden = sa.func.coalesce(assets.c.visibility_mode, 0).in_(PRIVATE_MODES)
    # A mere name of an asset is hidden with it.
    of_hidden = sa.and_(assets.c.container_id.is_(None), whole.c.visibility_mode.in_(PRIVATE_MODES))
    query = (
        sa.select(*columns, edge.container_kind, edge.container_id)
        .outerjoin(assets, assets.c.asset_id == edge.asset_id)
        .outerjoin(dataset_identities, known.asset_id == edge.asset_id)
        .outerjoin(whole, whole.c.asset_id == known.identity_id)
        .where(among(connection, edge.event_id, ids), ~hidden, sa.func.coalesce(~of_hidden, sa.true()))
    )
    found: dict[str, list[LineageEdge]] = defaultdict(list)
    for row in await connection.execute(query) if ids else ():
        found[row.event_id].append(_edge(row))
    for edges in found.values():
        edges.sort(key=lambda edge: edge.asset_id)
    return found


async def originals_of(connection: AsyncConnection, event_id: str, limit: int) -> list[dict[str, Any]]:
    """The OpenLineage events that told of a lineage event, the newest of them."""
    told = openlineage_events.c
    query = sa.select(told.document).where(told.event_id == event_id)
    rows = await connection.execute(query.order_by(told.event_time.desc(), told.openlineage_id).limit(limit))
    return [documents.parsed_text(row.document) for row in rows]


async def completed(connection: AsyncConnection, ids: Collection[str], besides: Collection[str]) -> set[str]:
    """Which of these runs an OpenLineage event says to be complete that is not one of `besides`."""
    told = openlineage_events.c
    query = sa.select(told.openlineage_id, told.event_id, told.document).where(among(connection, told.event_id, ids))
    return {
        row.event_id
        for row in (await connection.execute(query) if ids else ())
        if row.openlineage_id not in besides and documents.parsed_text(row.document).get("eventType") == "COMPLETE"
    }


def _edge(row: Any) -> LineageEdge:
    container = Container(row.container_kind, row.container_id) if row.container_kind else None
    return LineageEdge(row.asset_id, row.role, row.relation, row.asset_type, row.name, container)


async def bodies(connection: AsyncConnection, ids: Collection[str]) -> dict[str, str]:
    """What the catalog is told of events: each a whole body of its form."""
    rows = await read_events(connection, ids)
    edges = await edges_of(connection, [row.event_id for row in rows if row.adds_up])
    return {row.event_id: _whole(row, edges.get(row.event_id, [])) for row in rows}


def _whole(row: EventRow, edges: list[LineageEdge]) -> str:
    return documents.canonical(with_edges(row.body(), edges)).decode() if edges else row.document


def with_edges(body: dict[str, Any], edges: list[LineageEdge]) -> dict[str, Any]:
    """The body with the assets of edges that it does not name itself."""
    added = dict(body)
    for role in ("uses", "generates"):
        named = [asset for asset in body.get(f"{role}_assets") or () if isinstance(asset, dict)]
        known = {asset.get("id") for asset in named}
        missing = [edge for edge in edges if edge.role == role and edge.asset_id not in known]
        added[f"{role}_assets"] = [*named, *map(bare_asset, missing)]
    return added
