"""Walks the graph level by level: each asset and each event is looked at once, so cost grows with what is found."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Role
from service.mirror.bulk import among
from service.mirror.lineage.identities import identity_of, same_as
from service.mirror.tables import dataset_identities, lineage_edges, lineage_events

#: Edges that one question may read; a graph that is wider is cut, and the answer says so.
MAX_EDGES = 100_000
#: What ended like this made nothing of what it names: a run that failed, or was aborted; in SQL, as of its index.
MADE_NOTHING: list[sa.ColumnElement[str]] = [sa.literal_column(f"'{word}'") for word in ("JOB_FAILED", "JOB_ABORTED")]


def made_something(event_type: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Of a lineage event by its type, which may be unknown: whether it counts as having made what it names."""
    return sa.func.coalesce(event_type, "").not_in(MADE_NOTHING)


class Direction(StrEnum):
    """Which way along the edges."""

    #: To what was made out of it.
    FORWARD = "forward"
    #: To what it was made of.
    BACKWARD = "backward"

    @property
    def near(self) -> Role:
        """How an event on the way names the asset that one comes from."""
        return "uses" if self is Direction.FORWARD else "generates"

    @property
    def far(self) -> Role:
        """How it names the assets that one gets to."""
        return "generates" if self is Direction.FORWARD else "uses"


@dataclass(slots=True)
class Reach:
    """What one gets to from an asset, each with the number of events on the shortest way.

    A data set with several names is one asset, by the name that stands for all (`identities`).
    """

    assets: dict[str, int]
    #: All names of where the way begins.
    names: list[str]
    events: dict[str, int] = field(default_factory=dict)
    #: Events by the asset that they led to.
    ways: dict[str, list[str]] = field(default_factory=dict)
    #: More edges than the question may read: this is not all.
    cut: bool = False
    edges_read: int = 0
    #: Events that were left out since newer ones were enough, level by level.
    older: int = 0


async def walk(
    connection: AsyncConnection,
    start: str,
    direction: Direction,
    *,
    depth: int | None = None,
    enough_assets: int | None = None,
    newest: int | None = None,
    failed: bool = False,
    max_edges: int = MAX_EDGES,
) -> Reach:
    """Everything in one direction from an asset, by whatever of its names; cycles end where they began.

    Forward, an event that generates nothing is no way; backward, one that used nothing is where a way begins.

    Args:
        depth: levels at most; None: to the end.
        enough_assets: end after the level with which so many other assets are found.
        newest: events of each level at most, the newest of them.
        failed: runs that failed or were aborted count, too; else they made nothing of what they name.
        max_edges: edges read at most.
    """
    front = await same_as(connection, [start])
    reach = Reach({start if len(front) == 1 else await identity_of(connection, start): 0}, front)
    level = 0
    while front and level != depth and not reach.cut:
        if enough_assets is not None and len(reach.assets) > enough_assets:
            break
        level += 1
        front = await _step(connection, reach, front, direction, level, max_edges, newest, failed=failed)
    return reach


async def _step(
    connection: AsyncConnection, reach: Reach, front: list[str], direction: Direction, level: int, max_edges: int,
    newest: int | None, *, failed: bool,
) -> list[str]:  # fmt: skip
    """One level: the events at these names, and the assets behind those; answers all names of those that are new."""
    room = max_edges - reach.edges_read + 1
    if newest is None:
        near = await events_at(connection, front, direction.near, room, failed=failed)
    else:
        near, older = await _newest_at(connection, front, direction.near, min(newest, room), failed=failed)
        reach.older += older
    reach.edges_read += len(near)
    fresh = sorted(near - reach.events.keys())
    far = await _ends(connection, fresh, direction.far, max(0, max_edges - reach.edges_read) + 1, failed=failed)
    reach.edges_read += len(far)
    reach.cut = reach.edges_read > max_edges
    identities = {asset_id: identity for _, asset_id, identity in far if identity is not None}
    ends = [(event_id, asset_id) for event_id, asset_id, _ in far]
    if identities:
        ends = sorted({(event_id, identities.get(asset_id, asset_id)) for event_id, asset_id in ends})
    ways = fresh if direction is Direction.BACKWARD else {event_id for event_id, _ in ends}
    reach.events |= dict.fromkeys(ways, level)
    for event_id, asset_id in ends:
        reach.ways.setdefault(asset_id, []).append(event_id)
    new = sorted({asset_id for _, asset_id in ends} - reach.assets.keys())
    reach.assets |= dict.fromkeys(new, level)
    return await same_as(connection, new) if identities else new


async def _ends(
    connection: AsyncConnection, events: Collection[str], role: Role, limit: int, *, failed: bool
) -> Sequence[Any]:
    """Edges of these events: event, asset, and what stands for that where it has several names."""
    if not events:
        return []
    edge, known = lineage_edges.c, dataset_identities.c
    query = sa.select(edge.event_id, edge.asset_id, known.identity_id)
    query = query.select_from(lineage_edges.outerjoin(dataset_identities, known.asset_id == edge.asset_id))
    query = query.where(among(connection, edge.event_id, events), _counts(role, failed=failed)).limit(limit)
    return (await connection.execute(query)).all()


async def events_at(
    connection: AsyncConnection, assets: Collection[str], role: Role, limit: int, *, failed: bool = False
) -> set[str]:
    """Events that used, or generated, any of these assets; those of runs that `failed` generated nothing."""
    edge = lineage_edges.c
    here = among(connection, edge.asset_id, assets), _counts(role, failed=failed)
    query = sa.select(edge.event_id).where(*here).distinct()
    return set((await connection.execute(query.limit(max(0, limit)))).scalars())


def _counts(role: Role, *, failed: bool) -> sa.ColumnElement[bool]:
    """Edges of this role that count."""
    edge = lineage_edges.c
    if failed or role == "uses":
        return edge.role == role
    event = lineage_events.alias("ended")
    made_nothing = sa.exists().where(event.c.event_id == edge.event_id, event.c.event_type.in_(MADE_NOTHING))
    return sa.and_(edge.role == role, ~made_nothing)


async def _newest_at(
    connection: AsyncConnection, assets: Collection[str], role: Role, limit: int, *, failed: bool
) -> tuple[set[str], int]:
    """The newest events that used, or generated, any of these assets, and how many older ones there are."""
    edge, event = lineage_edges.c, lineage_events.c
    here = sa.select(edge.event_id).where(among(connection, edge.asset_id, assets), _counts(role, failed=failed))
    chosen = sa.select(event.event_id).where(event.event_id.in_(here))
    chosen = chosen.order_by(event.event_time.desc().nulls_last(), event.event_id).limit(limit)
    found = set((await connection.execute(chosen)).scalars())
    if len(found) < limit:
        return found, 0
    every = sa.select(sa.func.count()).select_from(here.distinct().subquery())
    return found, (await connection.execute(every)).scalar_one() - len(found)
