"""The graph of columns: what a column was made of and what it decided about, walked level by level.

A node is a column of an asset by the key that names are compared by; the empty key stands for the data set as a whole,
which columns decide about (a filter, an order): what depends on it depends on every column of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import among, pairs_among
from service.mirror.lineage.events import PRIVATE_MODES, is_shown
from service.mirror.lineage.identities import any_names, identity_of, names_of, same_as
from service.mirror.lineage.walk import MAX_EDGES, Direction, made_something
from service.mirror.tables import (
    asset_columns,
    assets,
    column_facets,
    column_flows,
    dataset_identities,
    lineage_edges,
    lineage_events,
)

#: The key of a data set as a whole.
WHOLE = ""
#: Jobs that are named of those that read a table and do not say which columns.
MAX_UNSURE = 1000


class Node(NamedTuple):
    """A column of an asset."""

    asset_id: str
    key: str


class Link(NamedTuple):
    """From the column that something was made of to what was made, and how."""

    source: Node
    target: Node
    is_direct: bool
    transformation: str | None
    masking: bool | None


@dataclass(slots=True)
class Told:
    """Who tells of a link: jobs, how many events, and when last."""

    jobs: set[str] = field(default_factory=set)
    events: int = 0
    at: datetime | None = None


@dataclass(slots=True)
class ColumnGraph:
    """What lies around a column."""

    start: list[Node]
    #: Columns with the number of links on the shortest way.
    columns: dict[Node, int] = field(default_factory=dict)
    links: dict[Link, Told] = field(default_factory=dict)
    #: How columns are called, and assets.
    labels: dict[Node, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    #: More edges than the question may read: this is not all.
    cut: bool = False
    #: What tells the links: `column_facets.flow_id`.
    flows: set[str] = field(default_factory=set)

    @property
    def assets(self) -> list[str]:
        """The assets whose columns these are."""
        return sorted({node.asset_id for node in self.columns})

    def nearest(self) -> list[Node]:
        """The columns, the nearest first."""
        return sorted(self.columns, key=lambda node: (self.columns[node], node))

    def data(self) -> dict[str, Any]:
        """For machines: columns, the nearest first, and the links between them."""
        return {
            "columns": [self.told(node) | {"distance": self.columns[node]} for node in self.nearest()],
            "links": [
                {
                    "from": self.told(link.source), "to": self.told(link.target),
                    "kind": "direct" if link.is_direct else "indirect", "transformation": link.transformation,
                    "masking": link.masking, "jobs": sorted(told.jobs), "events": told.events,
                    "last_event_time": told.at.isoformat() if told.at else None,
                }
                for link, told in sorted(self.links.items(), key=lambda item: _in_order(item[0]))
            ],
            "cut": self.cut,
        }  # fmt: skip

    def told(self, node: Node) -> dict[str, Any]:
        """A column by its names; null stands for the data set as a whole."""
        column = self.labels.get(node, node.key) or None
        return {"asset_id": node.asset_id, "asset_name": self.names.get(node.asset_id), "column": column}


def _in_order(link: Link) -> tuple[Any, ...]:
    return (link.source, link.target, link.is_direct, link.transformation or "", str(link.masking))


@dataclass(frozen=True, slots=True)
class Impact:
    """What breaks if a column goes: what was made of it, directly or not, and the jobs that do that."""

    graph: ColumnGraph
    jobs: list[str]
    #: Jobs that read one of the assets and do not say which columns, by asset: they may break, too.
    unsure: dict[str, list[str]]

    def data(self) -> dict[str, Any]:
        """For machines."""
        return {
            **self.graph.data(),
            "assets": [
                {"asset_id": asset_id, "asset_name": self.graph.names.get(asset_id)} for asset_id in self.graph.assets
            ],
            "jobs": self.jobs,
            "jobs_without_columns": [
                {"asset_id": asset_id, "job": job} for asset_id, jobs in sorted(self.unsure.items()) for job in jobs
            ],
        }


async def nodes_of(connection: AsyncConnection, asset_id: str, column: str) -> list[Node]:
    """The nodes of a column as people name it: by its own name, else whatever its case; none where it is unknown."""
    names, identity = await same_as(connection, [asset_id]), await identity_of(connection, asset_id)
    here, known = column_flows.c, asset_columns.c
    ends = (
        sa.select(here.from_key.label("key"), here.from_column.label("name")).where(
            among(connection, here.from_asset_id, names)
        ),
        sa.select(here.to_key, here.to_column).where(among(connection, here.to_asset_id, names), here.to_key != WHOLE),
    )
    told = [(row.key, row.name) for row in await connection.execute(sa.union(*ends))]
    query = sa.select(known.name).where(among(connection, known.asset_id, names))
    called = [(name, name) for name in (await connection.execute(query)).scalars()]
    for keys in (told, called):
        exact = {key for key, name in keys if column in (key, name)}
        alike = {key for key, name in keys if column.lower() in (key.lower(), name.lower())}
        if exact or alike:
            return sorted(Node(identity, key) for key in exact or alike)
    return []


async def column_names(connection: AsyncConnection, asset_id: str, limit: int) -> list[str]:
    """Columns that an asset is known to have, by lineage or by the catalog."""
    names = await same_as(connection, [asset_id])
    here, known = column_flows.c, asset_columns.c
    ends = (
        sa.select(here.from_column.label("name")).where(among(connection, here.from_asset_id, names)),
        sa.select(here.to_column).where(among(connection, here.to_asset_id, names), here.to_key != WHOLE),
        sa.select(known.name).where(among(connection, known.asset_id, names)),
    )
    return list((await connection.execute(sa.union(*ends).order_by("name").limit(limit))).scalars())


async def column_graph(
    connection: AsyncConnection,
    start: Collection[Node],
    directions: Iterable[Direction],
    *,
    depth: int | None = None,
    failed: bool = False,
    max_edges: int = MAX_EDGES,
) -> ColumnGraph:
    """Everything around some nodes, in these directions. Columns of assets that not everybody may see are left out.

    Args:
        depth: links at most; None: to the end.
        failed: what runs that failed or were aborted tell counts, too.
        max_edges: edges read at most.
    """
    found = ColumnGraph(list(start), dict.fromkeys(start, 0))
    flows: dict[str, set[Link]] = {}
    has_names = await any_names(connection)
    for direction in directions:
        walk = _Walk(connection, direction, failed=failed, room=max_edges, has_names=has_names)
        await walk.go(found, start, depth)
        for flow_id, links in walk.links.items():
            flows.setdefault(flow_id, set()).update(links)
    await _tell(connection, found, flows, failed=failed)
    await _name(connection, found)
    return found


class _Row(NamedTuple):
    """An edge, with what stands for the data sets of its ends where these have several names."""

    flow_id: str
    from_asset_id: str
    from_key: str
    from_column: str
    to_asset_id: str
    to_key: str
    to_column: str
    is_direct: bool
    transformation: str | None
    masking: bool | None
    from_identity: str | None
    to_identity: str | None


class _Walk:
    """One direction.

    Args:
        room: edges that may be read.
        has_names: some data set has several names; where none has, nobody asks for them.
    """

    def __init__(
        self, connection: AsyncConnection, direction: Direction, *, failed: bool, room: int, has_names: bool
    ) -> None:
        self._connection = connection
        self._forward = direction is Direction.FORWARD
        self._failed = failed
        self._room = room
        self._has_names = has_names
        #: Links by the flow that tells them.
        self.links: dict[str, set[Link]] = {}

    async def go(self, found: ColumnGraph, start: Collection[Node], depth: int | None) -> None:
        seen, front, level = set(start), sorted(start), 0
        if self._has_names:
            front = await self._by_all_names(front)
        while front and level != depth and self._room >= 0:
            level += 1
            rows = [_Row(*row) for row in await self._connection.execute(self._edges(front))]
            self._room -= len(rows)
            fresh = {self._take(found, row) for row in rows}
            front = sorted(fresh - seen)
            seen |= fresh
            for node in front:
                found.columns.setdefault(node, level)
            if any(row.from_identity or row.to_identity for row in rows):
                front = await self._by_all_names(front)
        found.cut = found.cut or self._room < 0

    async def _by_all_names(self, front: Collection[Node]) -> list[Node]:
        """The columns by every name of their data sets."""
        names = await names_of(self._connection, sorted({node.asset_id for node in front}))
        return sorted({Node(name, node.key) for node in front for name in names.get(node.asset_id, [node.asset_id])})

    def _edges(self, front: list[Node]) -> sa.Select[Any]:
        edge, source, target = column_flows.c, dataset_identities.alias("source"), dataset_identities.alias("target")
        query = sa.select(
            edge.flow_id, edge.from_asset_id, edge.from_key, edge.from_column, edge.to_asset_id, edge.to_key,
            edge.to_column, edge.is_direct, edge.transformation, edge.masking,
        )  # fmt: skip
        if self._has_names:
            query = query.add_columns(source.c.identity_id, target.c.identity_id)
            query = query.outerjoin(source, source.c.asset_id == edge.from_asset_id)
            query = query.outerjoin(target, target.c.asset_id == edge.to_asset_id)
        else:
            query = query.add_columns(sa.null(), sa.null())
        if self._forward:
            here = pairs_among(self._connection, (edge.from_asset_id, edge.from_key), front)
            if whole := [node.asset_id for node in front if node.key == WHOLE]:
                here = sa.or_(here, among(self._connection, edge.from_asset_id, whole))
        else:
            wholes = {Node(node.asset_id, WHOLE) for node in front}
            here = pairs_among(self._connection, (edge.to_asset_id, edge.to_key), [*front, *sorted(wholes - {*front})])
        return query.where(here, self._is_told()).limit(self._room + 1)

    def _is_told(self) -> sa.ColumnElement[bool]:
        """Whether a run that counts tells the edge: one is enough, however many do."""
        facet, event = column_facets.c, lineage_events.c
        tells = sa.select(facet.flow_id).where(facet.flow_id == column_flows.c.flow_id)
        if not self._failed:
            tells = tells.outerjoin(lineage_events, event.event_id == facet.event_id)
            tells = tells.where(made_something(event.event_type))
        return tells.exists()

    def _take(self, found: ColumnGraph, row: _Row) -> Node:
        """Note the edge; answers where it leads to."""
        source = Node(row.from_identity or row.from_asset_id, row.from_key)
        target = Node(row.to_identity or row.to_asset_id, row.to_key)
        link = Link(source, target, bool(row.is_direct), row.transformation, row.masking)
        self.links.setdefault(row.flow_id, set()).add(link)
        found.links.setdefault(link, Told())
        for node, name in ((source, row.from_column), (target, row.to_column)):
            there = found.labels.get(node)
            if there is None or name < there:  # the same, whatever the order of rows
                found.labels[node] = name
        return target if self._forward else source


async def _tell(connection: AsyncConnection, found: ColumnGraph, flows: dict[str, set[Link]], *, failed: bool) -> None:
    """Put to the links who tells them."""
    found.flows = set(flows)
    facet, event = column_facets.c, lineage_events.c
    query = (
        sa.select(facet.flow_id, event.source_service, sa.func.count().label("events"), sa.func.max(event.event_time))
        .outerjoin(lineage_events, event.event_id == facet.event_id)
        .where(among(connection, facet.flow_id, sorted(flows)))
        .group_by(facet.flow_id, event.source_service)
    )
    if not failed:
        query = query.where(made_something(event.event_type))
    for flow_id, job, events, at in (await connection.execute(query)).all() if flows else ():
        for told in (found.links[link] for link in flows[flow_id]):
            told.events += events
            told.jobs |= {job} if job else set()
            told.at = max(filter(None, (told.at, at)), default=None)


async def _name(connection: AsyncConnection, found: ColumnGraph) -> None:
    """Call assets and columns as the catalog does, and leave out what not everybody may see."""
    known, column = assets.c, asset_columns.c
    query = sa.select(known.asset_id, known.name, known.visibility_mode)
    rows = (await connection.execute(query.where(among(connection, known.asset_id, found.assets)))).all()
    private = {row.asset_id for row in rows if row.visibility_mode in PRIVATE_MODES}
    found.names = {row.asset_id: row.name for row in rows if row.name and row.asset_id not in private}
    found.columns = {node: level for node, level in found.columns.items() if node.asset_id not in private}
    found.links = {
        link: told for link, told in found.links.items() if not private & {link.source.asset_id, link.target.asset_id}
    }
    mine = await connection.execute(
        sa.select(column.asset_id, column.name).where(among(connection, column.asset_id, found.assets))
    )
    by_asset: dict[str, dict[str, str]] = {}
    for row in mine:
        names = by_asset.setdefault(row.asset_id, {})
        names.setdefault(row.name.lower(), row.name)
    for node in found.columns:
        called = by_asset.get(node.asset_id, {})
        label = found.labels.get(node, node.key)
        found.labels[node] = label if label in called.values() else called.get(node.key.lower(), label)


async def impact(connection: AsyncConnection, start: Collection[Node], *, max_edges: int = MAX_EDGES) -> Impact:
    """What breaks if a column goes."""
    graph = await column_graph(connection, start, [Direction.FORWARD], max_edges=max_edges)
    jobs = {job for told in graph.links.values() for job in told.jobs}
    edge, event = lineage_edges.c, lineage_events.c
    names = await same_as(connection, graph.assets)
    tells = sa.exists().where(column_facets.c.event_id == edge.event_id)
    query = (
        sa.select(edge.asset_id, event.source_service)
        .join(lineage_events, event.event_id == edge.event_id)
        .outerjoin(assets, assets.c.asset_id == edge.asset_id)
        .where(among(connection, edge.asset_id, names), edge.role == "uses", ~tells)
        .where(event.source_service.is_not(None), event.own.is_(False))
        .where(is_shown(assets.c.visibility_mode))
        .distinct()
        .order_by(edge.asset_id, event.source_service)
        .limit(MAX_UNSURE + 1)
    )
    unsure: dict[str, list[str]] = {}
    rows = (await connection.execute(query)).all()
    graph.cut = graph.cut or len(rows) > MAX_UNSURE
    for row in rows[:MAX_UNSURE]:
        if row.source_service not in jobs:
            unsure.setdefault(row.asset_id, []).append(row.source_service)
    return Impact(graph, sorted(jobs), unsure)
