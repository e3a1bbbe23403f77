"""The neighbourhood of an asset as one graph, to be drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import LineageEdge, Role
from service.mirror.bulk import among
from service.mirror.lineage.events import PRIVATE_MODES, edges_of, is_shown, read_events
from service.mirror.lineage.identities import identities_of, same_as
from service.mirror.lineage.questions import find_asset
from service.mirror.lineage.walk import Direction, walk
from service.mirror.tables import assets

#: Edges of one drawing; a graph that is wider is cut and says so.
MAX_EDGES = 50_000
#: Events of each level that are drawn where nobody says otherwise.
NEWEST = 100


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
    """What lies around an asset."""

    asset_id: str
    known: bool = False
    #: What else the asset is called, as far as everybody may see it.
    also: list[str] = field(default_factory=list)
    events: dict[str, EventNode] = field(default_factory=dict)
    #: By event.
    edges: dict[str, list[LineageEdge]] = field(default_factory=dict)
    #: Names by asset: as the mirror knows them, else as an event said.
    names: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    #: Older events that were left out, by direction.
    older: dict[Direction, int] = field(default_factory=dict)

    @property
    def assets(self) -> list[str]:
        """All assets, the asset itself among them."""
        return sorted({self.asset_id, *(edge.asset_id for edges in self.edges.values() for edge in edges)})

    def events_of(self, asset_id: str, role: Role) -> list[EventNode]:
        """Events that used or generated this asset, oldest first."""
        named = (self.events[id_] for id_, edges in self.edges.items() if _names(edges, asset_id, role))
        return sorted(named, key=lambda event: (str(event.event_time), event.event_id))

    def assets_of(self, event_id: str, role: Role) -> list[str]:
        """Assets that this event used or generated."""
        return [edge.asset_id for edge in self.edges.get(event_id, ()) if edge.role == role]


def _names(edges: Iterable[LineageEdge], asset_id: str, role: Role) -> bool:
    return any(edge.asset_id == asset_id and edge.role == role for edge in edges)


async def graph(
    connection: AsyncConnection,
    asset_id: str,
    depth: int,
    directions: Sequence[Direction] = tuple(Direction),
    newest: int = NEWEST,
    *,
    failed: bool = False,
) -> Graph:
    """The events and assets within `depth` events of an asset. Assets that not everybody may see are left out.

    Of each level the `newest` events are shown, and the others counted; runs that `failed` only where asked for.
    """
    found = Graph(await _shown(connection, asset_id))
    ids: set[str] = set()
    for direction in directions:
        reach = await walk(
            connection, asset_id, direction, depth=depth, newest=newest, failed=failed, max_edges=MAX_EDGES
        )
        found.older[direction] = reach.older
        ids |= reach.events.keys()
        found.cut = found.cut or reach.cut
    found.edges = await _joined(connection, await edges_of(connection, ids))
    for row in await read_events(connection, ids):
        found.events[row.event_id] = EventNode(
            row.event_id, row.event_type, row.event_time, row.source_service, row.own
        )
    found.known = await find_asset(connection, asset_id) is not None
    if found.known:
        others = set(await same_as(connection, [asset_id])) - {found.asset_id}
        found.also = sorted(others - await _private(connection, others))
    await _name(connection, found)
    return found


async def _shown(connection: AsyncConnection, asset_id: str) -> str:
    """What an asset is called in a drawing: by the name that stands for all, if everybody may see that."""
    return (await _identities(connection, [asset_id])).get(asset_id, asset_id)


async def _joined(connection: AsyncConnection, told: dict[str, list[LineageEdge]]) -> dict[str, list[LineageEdge]]:
    """The edges with one asset for each data set, whatever names they give it."""
    identities = await _identities(connection, sorted({edge.asset_id for edges in told.values() for edge in edges}))
    if not identities:
        return told
    names: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    for edge in (edge for edges in told.values() for edge in edges if edge.asset_id in identities and edge.name):
        names[identities[edge.asset_id]].append((edge.asset_id != identities[edge.asset_id], edge.name or ""))
    joined: dict[str, list[LineageEdge]] = {}
    for event_id, edges in told.items():
        once: dict[tuple[str, Role], LineageEdge] = {}
        for edge in edges:
            identity = identities.get(edge.asset_id)
            if identity is not None:
                edge = structs.replace(edge, asset_id=identity, name=min(names[identity], default=(False, None))[1])
            once.setdefault((edge.asset_id, edge.role), edge)
        joined[event_id] = sorted(once.values(), key=lambda edge: edge.asset_id)
    return joined


async def _identities(connection: AsyncConnection, asset_ids: list[str]) -> dict[str, str]:
    found = await identities_of(connection, asset_ids)
    hidden = await _private(connection, set(found.values()))
    return {asset_id: identity for asset_id, identity in found.items() if identity not in hidden}


async def _private(connection: AsyncConnection, asset_ids: set[str]) -> set[str]:
    """Those of these assets that not everybody may see."""
    if not asset_ids:
        return set()
    known = assets.c
    private = known.visibility_mode.in_(PRIVATE_MODES)
    query = sa.select(known.asset_id).where(among(connection, known.asset_id, sorted(asset_ids)), private)
    return set((await connection.execute(query)).scalars())


async def _name(connection: AsyncConnection, found: Graph) -> None:
    """Put names to assets: as the mirror knows them, else as an event said."""
    for edges in found.edges.values():
        found.names |= {edge.asset_id: edge.name for edge in edges if edge.name}
    known = assets.c
    shown = is_shown(known.visibility_mode)
    query = sa.select(known.asset_id, known.name).where(among(connection, known.asset_id, found.assets), shown)
    found.names |= {row.asset_id: row.name for row in await connection.execute(query) if row.name}
