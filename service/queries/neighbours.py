"""What is near an asset in the lineage: what it was made of, and what was made of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import among
from service.mirror.lineage.events import is_shown
from service.mirror.lineage.walk import Direction, walk
from service.mirror.tables import assets, lineage_edges

#: Edges that are read in each direction, and neighbours that are told.
MAX_EDGES, MAX_NEIGHBOURS = 4000, 50


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An asset some steps away, and how many lineage events lead there."""

    asset_id: str
    name: str | None
    asset_type: str | None
    container_id: str | None
    distance: int
    events: int


@dataclass(frozen=True, slots=True)
class Neighbours:
    """One direction, the nearest first, then those with most events; all is at `/v2/asset_lineages/{asset_id}`."""

    assets: list[Neighbour]
    #: How many were found; `more`: there are further ones, or further events.
    found: int
    more: bool


async def neighbours(
    connection: AsyncConnection, asset_id: str, direction: Direction, *, depth: int | None = 1, limit: int | None = None
) -> Neighbours:
    """What every member of its container may see, of what is at most so many steps away.

    Args:
        depth: steps at most; None: to the end.
        limit: neighbours that are told at most, `MAX_NEIGHBOURS` where none is given.
    """
    reach = await walk(connection, asset_id, direction, depth=depth, max_edges=MAX_EDGES)
    events = {one: len(set(reach.ways.get(one, ()))) for one, level in reach.assets.items() if level}
    shown = await _shown(connection, events)
    ranked = sorted(shown, key=lambda one: (reach.assets[one], -events[one], one))
    ranked = ranked[: MAX_NEIGHBOURS if limit is None else limit]
    names = await told_names(connection, [one for one in ranked if shown[one][0] is None])
    told = [
        Neighbour(one, shown[one][0] or names.get(one), *shown[one][1:], reach.assets[one], events[one])
        for one in ranked
    ]
    return Neighbours(told, len(shown), reach.cut or len(shown) > len(ranked))


async def _shown(
    connection: AsyncConnection, ids: Collection[str]
) -> dict[str, tuple[str | None, str | None, str | None]]:
    """Name, type and container of those that everybody may see and that are not deleted."""
    asset = assets.c
    query = sa.select(asset.asset_id, asset.name, asset.asset_type, asset.container_id).where(
        among(connection, asset.asset_id, ids), is_shown(asset.visibility_mode), asset.deleted_at.is_(None)
    )
    return {row[0]: tuple(row[1:]) for row in (await connection.execute(query) if ids else ())}


async def told_names(connection: AsyncConnection, ids: Collection[str]) -> dict[str, str]:
    """How lineage events name what the catalog has no name for."""
    edge = lineage_edges.c
    query = sa.select(edge.asset_id, sa.func.max(edge.name)).where(among(connection, edge.asset_id, ids))
    rows = await connection.execute(query.group_by(edge.asset_id)) if ids else ()
    return {asset_id: name for asset_id, name in rows if name}
