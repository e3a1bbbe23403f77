"""What the lineage of an asset amounts to, in figures; and which part each event plays for it.

The catalog documents that there is a summary and a classification named `timelines`, and that events generate, modify
or use an asset, but no shape of either; ours is told in docs/lineage.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import among
from service.mirror.lineage.identities import same_as
from service.mirror.lineage.walk import MAX_EDGES, Direction, Reach, walk
from service.mirror.tables import lineage_edges, lineage_events


class Part(StrEnum):
    """What an event is to an asset: the catalog's three kinds."""

    GENERATION = "generation"
    MODIFICATION = "modification"
    USAGE = "usage"


@dataclass(frozen=True, slots=True)
class Side:
    """What lies in one direction."""

    assets: int
    events: int
    #: Events on the longest of the shortest ways.
    depth: int
    cut: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """The lineage of an asset in figures."""

    upstream: Side
    downstream: Side
    #: Events of the asset itself, by what they are to it.
    parts: Counter[Part] = field(default_factory=Counter)
    event_types: Counter[str] = field(default_factory=Counter)
    first_at: datetime | None = None
    last_at: datetime | None = None


async def summarise(connection: AsyncConnection, asset_id: str, max_edges: int = MAX_EDGES) -> Summary:
    """Walk both ways and count."""
    upstream = await walk(connection, asset_id, Direction.BACKWARD, max_edges=max_edges)
    downstream = await walk(connection, asset_id, Direction.FORWARD, max_edges=max_edges)
    edge, event = lineage_edges.c, lineage_events.c
    here = among(connection, edge.asset_id, await same_as(connection, [asset_id]))
    mine = event.event_id.in_(sa.select(edge.event_id).where(here))
    rows = (await connection.execute(sa.select(event.event_id, event.event_type, event.event_time).where(mine))).all()
    parts = await parts_of(connection, asset_id, [row.event_id for row in rows])
    times = [row.event_time for row in rows if row.event_time is not None]
    return Summary(
        _side(upstream),
        _side(downstream),
        Counter(parts.values()),
        Counter(row.event_type or "" for row in rows),
        min(times, default=None),
        max(times, default=None),
    )


def _side(reach: Reach) -> Side:
    return Side(len(reach.assets) - 1, len(reach.events), max(reach.assets.values()), reach.cut)


async def parts_of(
    connection: AsyncConnection, asset_id: str, ids: Collection[str], indirect: Part = Part.GENERATION
) -> dict[str, Part]:
    """What each of these events is to the asset; those that do not name it are `indirect`."""
    edge, names = lineage_edges.c, set(await same_as(connection, [asset_id]))
    query = sa.select(edge.event_id, edge.role, edge.asset_id).where(among(connection, edge.event_id, ids))
    seen: dict[str, set[tuple[str, bool]]] = {event_id: set() for event_id in ids}
    for event_id, role, named in await connection.execute(query) if ids else ():
        seen[event_id].add((role, named in names))
    return {event_id: _part(edges, indirect) for event_id, edges in seen.items()}


def _part(edges: set[tuple[str, bool]], indirect: Part) -> Part:
    used, generated = ("uses", True) in edges, ("generates", True) in edges
    if generated:
        return Part.MODIFICATION if used else Part.GENERATION
    if used:
        return Part.USAGE if ("generates", False) in edges else Part.MODIFICATION
    return indirect
