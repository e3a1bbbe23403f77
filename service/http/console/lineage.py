"""Lineage of assets and columns, drawn: as a page, and as what its script draws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from service.http.console.screens import Screen
from service.http.lineage import column_nodes
from service.http.problems import bad_request, not_found
from service.http.query import Query
from service.http.tokens import Scope
from service.mirror.lineage.columns import ColumnGraph, Node, column_graph, impact
from service.mirror.lineage.graph import EventNode, Graph, graph
from service.mirror.lineage.questions import find_asset, find_named
from service.mirror.lineage.walk import Direction
from service.text.visible import visible_line

#: Nodes of one drawing; a browser lays out so many within seconds.
MAX_NODES = 2000
#: Events to follow in each direction, by default and at most; edges that a question may read.
DEPTH, MAX_DEPTH, MAX_EDGES = 2, 20, 20_000
#: Characters of a name in a drawing, whose end tells more than its beginning; and links that the page lists.
_LABEL, _LISTED = 40, 200
#: Assets of one name that may be chosen from.
_CHOICES = 50

Element = dict[str, Any]


class LineageScreen(Screen):
    """`/lineage`."""

    def shown(self) -> list[web.RouteDef]:
        """What is answered at either port."""
        return [
            self.see("/lineage", self.show, Scope.READ),
            self.see("/lineage/graph", self.elements, Scope.READ),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """The page: the drawing, and its links in words."""
        query = Query(request, "of", "column", "depth", "impact")
        text, column = query.text("of") or "", query.text("column") or None
        depth, asks_impact = query.number("depth", DEPTH, 1, MAX_DEPTH), query.flag("impact")
        told: dict[str, Any] = {"text": text, "column": column, "depth": depth, "impact": None, "drawn": None,
                                "choices": [], "max_depth": MAX_DEPTH}  # fmt: skip
        if text:
            async with self._store.reading() as connection:
                asset_id, told["choices"] = await _meant(connection, text)
                if asset_id and column and asks_impact:
                    nodes = await column_nodes(connection, asset_id, column)
                    told["impact"] = await impact(connection, nodes, max_edges=MAX_EDGES)
                if asset_id:
                    told["drawn"] = await _drawn(connection, asset_id, column, depth)
            if not asset_id and not told["choices"]:
                raise not_found("asset", text)
        drawn: Drawn | None = told["drawn"]
        told["links"] = drawn.links(_LISTED) if drawn else []
        return self._pages.show(request, "lineage.html", **told)

    async def elements(self, request: web.Request) -> web.Response:
        """What the script draws: nodes and edges."""
        query = Query(request, "of", "column", "depth")
        asset_id = query.id("of")
        if not asset_id:
            raise bad_request("of is missing: the id of an asset.")
        async with self._store.reading() as connection:
            drawn = await _drawn(connection, asset_id, query.text("column"), query.number("depth", 1, 1, MAX_DEPTH))
        return web.json_response(drawn.told)


class Drawn:
    """Nodes and edges as Cytoscape takes them: where there are too many, those that are nearest to the start."""

    def __init__(self, nodes: Iterable[Element], edges: Sequence[Element], *, cut: bool) -> None:
        listed = list(nodes)
        if len(listed) > MAX_NODES:
            away = _distances([node["id"] for node in listed if node.get("start")], edges)
            listed.sort(key=lambda node: away.get(node["id"], len(listed)))
        self.nodes = listed[:MAX_NODES]
        kept = {node["id"] for node in self.nodes}
        self.edges = [edge for edge in edges if edge["source"] in kept and edge["target"] in kept]
        self.cut = cut or len(listed) > MAX_NODES

    @property
    def told(self) -> Element:
        """What the script draws."""
        return {"nodes": self.nodes, "edges": self.edges, "cut": self.cut}

    def links(self, most: int) -> list[tuple[Element, Element, Element]]:
        """The edges with what they join, for who reads instead of looking."""
        known = {node["id"]: node for node in self.nodes}
        return [(known[edge["source"]], edge, known[edge["target"]]) for edge in self.edges[:most]]


def _distances(start: Sequence[str], edges: Sequence[Element]) -> dict[str, int]:
    """How many links each node is away from the start, whichever way they lead."""
    beside: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        beside[edge["source"]].append(edge["target"])
        beside[edge["target"]].append(edge["source"])
    away, front = dict.fromkeys(start, 0), list(start)
    while front:
        distance = away[front[0]] + 1
        front = [near for node in front for near in beside[node] if near not in away]
        away |= dict.fromkeys(front, distance)
    return away


async def _meant(connection: AsyncConnection, text: str) -> tuple[str | None, list[Any]]:
    """The asset that is called so, or those among which somebody has to choose."""
    if known := await find_asset(connection, text):
        return known.asset_id, []
    named = await find_named(connection, text, _CHOICES)
    return (named[0].asset_id, []) if len(named) == 1 else (None, named)


async def _drawn(connection: AsyncConnection, asset_id: str, column: str | None, depth: int) -> Drawn:
    if column:
        nodes = await column_nodes(connection, asset_id, column)
        return _of_columns(await column_graph(connection, nodes, tuple(Direction), depth=depth, max_edges=MAX_EDGES))
    return _of_assets(await graph(connection, asset_id, depth))


def _of_assets(found: Graph) -> Drawn:
    """Assets, and what happened between them: events that join the same assets are one node, with their number."""
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for event_id in sorted(found.events):
        alike[tuple(found.assets_of(event_id, "uses")), tuple(found.assets_of(event_id, "generates"))].append(event_id)
    nodes = [_asset(found, found.asset_id) | {"start": True}]
    nodes += [_asset(found, asset_id) for asset_id in found.assets if asset_id != found.asset_id]
    edges: list[Element] = []
    for (used, made), event_ids in alike.items():
        event = _events([found.events[event_id] for event_id in event_ids])
        nodes.append(event)
        edges += [_edge(_asset_id(asset_id), event["id"], "uses") for asset_id in used]
        edges += [_edge(event["id"], _asset_id(asset_id), "generates") for asset_id in made]
    return Drawn(nodes, edges, cut=found.cut or any(found.older.values()))


def _asset(found: Graph, asset_id: str) -> Element:
    name = found.names.get(asset_id, asset_id)
    return {"id": _asset_id(asset_id), "asset": asset_id, "kind": "asset", **_named(name, name)}


def _events(alike: list[EventNode]) -> Element:
    newest = max(alike, key=lambda event: str(event.event_time))
    what = newest.event_type or "event"
    label = what if len(alike) == 1 else f"{what} ×{len(alike)}"
    name = f"{label}, {newest.source_service or 'unknown'}, {newest.event_time or 'at an unknown time'}"
    return {"id": f"e:{min(event.event_id for event in alike)}", "kind": "event", **_named(label, name)}


def _of_columns(found: ColumnGraph) -> Drawn:
    nodes = [_column(found, node) | {"start": node in found.start} for node in found.nearest()]
    edges = [
        _edge(_column_id(link.source), _column_id(link.target), "direct" if link.is_direct else "indirect")
        for link in found.links
    ]
    return Drawn(nodes, edges, cut=found.cut)


def _column(found: ColumnGraph, node: Node) -> Element:
    column, asset = found.labels.get(node, node.key), found.names.get(node.asset_id, node.asset_id)
    named = _named(column or "(all columns)", f"{asset}.{column or '*'}")
    return {"id": _column_id(node), "asset": node.asset_id, "column": column, "kind": "column", **named}


def _named(label: str, name: str) -> Element:
    """What a node is called: shortly in the drawing, wholly where it is chosen."""
    shown = visible_line(label)
    return {"label": shown if len(shown) <= _LABEL else f"…{shown[-_LABEL:]}", "name": visible_line(name)}


def _asset_id(asset_id: str) -> str:
    return f"a:{asset_id}"


def _column_id(node: Node) -> str:
    return f"c:{len(node.asset_id)}:{node.asset_id}:{node.key}"


def _edge(source: str, target: str, role: str) -> Element:
    return {"id": f"{role}:{len(source)}:{source}>{target}", "source": source, "target": target, "role": role}
