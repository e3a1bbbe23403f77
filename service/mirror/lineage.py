"""Reads the lineage graph: assets on one side, events on the other, never asset to asset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import key_in
from service.mirror.tables import assets, lineage_edges, lineage_events

Direction = Literal["upstream", "downstream"]
#: Rows of one step of the walk; a graph that is wider is cut and says so.
MAX_EVENTS = 2000


@dataclass(frozen=True, slots=True)
class Edge:
    """One asset that one event used or generated."""

    event_id: str
    asset_id: str
    role: str
    relation: str | None
    asset_type: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class EventNode:
    """One lineage event."""

    event_id: str
    event_type: str | None
    event_time: datetime | None
    source_service: str | None
    own: bool


@dataclass(slots=True)
class Graph:
    """The neighbourhood of an asset."""

    asset_id: str
    known: bool
    events: dict[str, EventNode] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    cut: bool = False

    def name_of(self, asset_id: str) -> str | None:
        """A name that some event gave this asset."""
        return next((edge.name for edge in self.edges if edge.asset_id == asset_id and edge.name), None)

    def events_of(self, asset_id: str, role: str) -> list[EventNode]:
        """Events that used or generated this asset, oldest first."""
        ids = {edge.event_id for edge in self.edges if edge.asset_id == asset_id and edge.role == role}
        return sorted((self.events[i] for i in ids), key=lambda e: (str(e.event_time), e.event_id))

    def assets_of(self, event_id: str, role: str) -> list[str]:
        """Assets that this event used or generated."""
        return sorted(edge.asset_id for edge in self.edges if edge.event_id == event_id and edge.role == role)


async def graph(connection: AsyncConnection, asset_id: str, depth: int) -> Graph:
    """The events and assets within `depth` events up- and downstream of an asset."""
    there = sa.select(sa.func.count()).where(assets.c.asset_id == asset_id)
    found = Graph(asset_id, known=bool((await connection.execute(there)).scalar_one()))
    for direction in ("upstream", "downstream"):
        await _walk(connection, found, direction, depth)
    found.edges = sorted(set(found.edges), key=lambda e: (e.event_id, e.role, e.asset_id))
    found.known = found.known or bool(found.edges)
    await _read_events(connection, found)
    return found


async def _walk(connection: AsyncConnection, found: Graph, direction: Any, depth: int) -> None:
    """Upstream: the events that generated what we stand on, then what those used; downstream the other way round."""
    here, there = ("generates", "uses") if direction == "upstream" else ("uses", "generates")
    seen, front = {found.asset_id}, {found.asset_id}
    for _ in range(depth):
        near = await _edges(connection, lineage_edges.c.asset_id, front, here)
        far = await _edges(connection, lineage_edges.c.event_id, {edge.event_id for edge in near}, there)
        found.edges += [*near, *far]
        found.cut = found.cut or len(near) >= MAX_EVENTS
        front = {edge.asset_id for edge in far} - seen
        seen |= front
        if not front:
            return


async def _edges(connection: AsyncConnection, column: Any, values: Iterable[str], role: str) -> list[Edge]:
    chosen = sorted(values)
    if not chosen:
        return []
    edge = lineage_edges.c
    columns = (edge.event_id, edge.asset_id, edge.role, edge.relation, edge.asset_type, edge.name)
    query = sa.select(*columns).where(key_in(connection, column, chosen), edge.role == role).limit(MAX_EVENTS)
    return [Edge(*row) for row in await connection.execute(query)]


async def _read_events(connection: AsyncConnection, found: Graph) -> None:
    ids = sorted({edge.event_id for edge in found.edges})
    if not ids:
        return
    event = lineage_events.c
    query = sa.select(event.event_id, event.event_type, event.event_time, event.source_service, event.own)
    for row in await connection.execute(query.where(key_in(connection, event.event_id, ids))):
        found.events[row.event_id] = EventNode(*row)
