"""The catalog's lineage API, answered by the mirror, also when the catalog is down."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from service.events.fields import is_usable_id
from service.http import shapes
from service.http.access import CALLER, needs
from service.http.ingest import Ingest
from service.http.problems import Problem, bad_request, forbidden, not_found
from service.http.query import Query, body_of, path_id
from service.http.tokens import Scope
from service.mirror.lineage import questions
from service.mirror.lineage.columns import ColumnGraph, Node, column_graph, impact, nodes_of
from service.mirror.lineage.events import edges_of, originals_of, read_events
from service.mirror.lineage.questions import Answer, Asset, LineageType, Place, Question
from service.mirror.lineage.summary import Part, parts_of, summarise
from service.mirror.lineage.walk import Direction
from service.mirror.store import Store
from service.openlineage.adding import added_up
from service.openlineage.resolving import find_asset
from service.openlineage.words import RUN_STATES
from service.text.documents import canonical

#: Events of one page at most, and what else a question may ask for at most.
MAX_LIMIT, MAX_OFFSET, MAX_COUNT = 1000, 2**31 - 1, 1000
#: OpenLineage events of one run that are added up, the newest of them.
MAX_ORIGINALS = 1000
#: What says where the asset, or the seed asset, lives; and what that means for a container.
CONTAINERS = {"catalog_id": "catalog", "project_id": "project", "space_id": "space"}
_PLACE = ("asset_type", *CONTAINERS, "wml_instance_id")
#: A word of the catalog's prose that its list of allowed values lacks.
_ALSO = {"default": LineageType.PARTIAL}


class AssetType(StrEnum):
    """What lineage calls an asset in a question."""

    DATASET = "dataset"
    MODEL = "model"


class Classification(StrEnum):
    """How events may be classified."""

    TIMELINES = "timelines"


class LineageApi:
    """`/v2/asset_lineages` and `/v2/lineage_events`."""

    def __init__(self, store: Store, ingest: Ingest, max_edges: int) -> None:
        self._store = store
        self._ingest = ingest
        self._max_edges = max_edges

    def routes(self) -> list[web.RouteDef]:
        """What is answered, and which scope it takes."""
        return [
            web.get("/v2/asset_lineages/{asset_id:[^/]+}", needs(Scope.READ, self.get_lineage), allow_head=False),
            web.get(
                "/v2/asset_lineages/{asset_id:[^/]+}/summary", needs(Scope.READ, self.get_summary), allow_head=False
            ),
            web.get("/v2/asset_lineages/{asset_id:[^/]+}/impact", needs(Scope.READ, self.get_impact), allow_head=False),
            web.get("/v2/lineage_events/{event_id:[^/]+}", needs(Scope.READ, self.get_event), allow_head=False),
            web.get(
                "/v2/lineage_events/{event_id:[^/]+}/openlineage",
                needs(Scope.OPERATE, self.get_openlineage),
                allow_head=False,
            ),
            web.post("/v2/lineage_events", needs(Scope.INGEST, self.post_event)),
        ]

    async def get_lineage(self, request: web.Request) -> web.Response:
        """A page of the events that an asset's lineage consists of."""
        query = Query(
            request, "lineage_type", "limit", "offset", "classification", "after_time", "hop_count", "event_count",
            "seed_asset_id", "bookmark", "failed", "column", *_PLACE,
        )  # fmt: skip
        question = _question(path_id(request, "asset_id"), query)
        classified = query.choice("classification", Classification)
        query.choice("asset_type", AssetType)
        async with self._store.reading() as connection:
            asset = await self._allowed(connection, question.asset_id, query)
            question = replace(question, asset_id=asset.asset_id)
            columns = await self._columns(connection, question, query.text("column"))
            if columns is None:
                found = await questions.answer(connection, question, self._max_edges)
            else:
                found = await questions.answer_of_columns(connection, question, columns)
            edges = await edges_of(connection, [event.event_id for event in found.events])
            body: dict[str, Any] = {
                "resources": [shapes.resource(event, edges.get(event.event_id, [])) for event in found.events],
                "limit": question.limit,
                "offset": question.offset,
                **_links(request, question, found),
            }
            if columns is not None:
                body["column_lineage"] = columns.data()
            if classified:
                body["timelines"] = await _timelines(connection, question, found)
        return web.json_response(body | ({"truncated": True} if found.cut else {}))

    async def get_summary(self, request: web.Request) -> web.Response:
        """What an asset's lineage amounts to."""
        query = Query(request, *_PLACE)
        query.choice("asset_type", AssetType)
        asset_id = path_id(request, "asset_id")
        async with self._store.reading() as connection:
            asset = await self._allowed(connection, asset_id, query)
            found = await summarise(connection, asset.asset_id, self._max_edges)
        return web.json_response(shapes.summary(asset.asset_id, asset, found))

    async def get_impact(self, request: web.Request) -> web.Response:
        """What breaks if a column goes: columns, assets and jobs."""
        query = Query(request, "column", *_PLACE)
        query.choice("asset_type", AssetType)
        asset_id, column = path_id(request, "asset_id"), query.text("column")
        if column is None:
            raise bad_request("column is missing: it is asked what breaks if a column goes.")
        async with self._store.reading() as connection:
            asset = await self._allowed(connection, asset_id, query)
            nodes = await column_nodes(connection, asset.asset_id, column)
            found = await impact(connection, nodes, max_edges=self._max_edges)
        return web.json_response(found.data())

    async def get_event(self, request: web.Request) -> web.Response:
        """One lineage event."""
        Query(request)
        event_id = path_id(request, "event_id")
        async with self._store.reading() as connection:
            rows = await read_events(connection, [event_id])
            edges = await edges_of(connection, [event_id])
        if not rows:
            raise not_found("lineage event", event_id)
        return web.json_response(shapes.resource(rows[0], edges.get(event_id, [])))

    async def get_openlineage(self, request: web.Request) -> web.Response:
        """What OpenLineage events told of one lineage event, added up; texts of facets are as they came."""
        Query(request)
        event_id = path_id(request, "event_id")
        async with self._store.reading() as connection:
            rows = await read_events(connection, [event_id])
            told = await originals_of(connection, event_id, MAX_ORIGINALS)
        if not rows or not told:
            raise not_found("lineage event that OpenLineage told", event_id)
        whole = added_up(told, RUN_STATES.get(rows[0].event_type or ""))
        return web.Response(body=canonical(whole), content_type="application/json", charset="utf-8")

    async def post_event(self, request: web.Request) -> web.Response:
        """Take in a lineage event of the catalog's form; the answer says that it is committed."""
        Query(request)
        event_id = await self._ingest.lineage_event(await body_of(request), request[CALLER].name)
        return web.json_response({"metadata": {"id": event_id, "source_event_id": event_id}}, status=202)

    async def _columns(self, connection: AsyncConnection, question: Question, column: str | None) -> ColumnGraph | None:
        """The graph around the column that is asked for, if one is: of a partial lineage what is one link away."""
        if column is None:
            return None
        directions = _DIRECTIONS.get(question.lineage_type)
        if directions is None:
            raise bad_request(f"{question.lineage_type} is asked of an asset, not of a column.")
        nodes = await column_nodes(connection, question.asset_id, column)
        depth = 1 if question.lineage_type is LineageType.PARTIAL else None
        return await column_graph(
            connection, nodes, directions, depth=depth, failed=question.failed, max_edges=self._max_edges
        )

    async def _allowed(self, connection: AsyncConnection, asset_id: str, query: Query) -> Asset:
        """The asset, if it may be shown and is where the question says.

        Raises:
            Problem: 404 it is not there; 403 it is not part of the lineage of the seed asset.
        """
        seed = query.id("seed_asset_id") if query.knows("seed_asset_id") else None
        asset = await find_asset(connection, asset_id, self._ingest.renaming)
        placed = await find_asset(connection, seed, self._ingest.renaming) if seed else asset
        if asset is None or placed is None:
            raise not_found("asset", asset_id if asset is None else seed or "")
        for name, kind in CONTAINERS.items():
            container_id = query.id(name)
            known = (placed.container_kind, placed.container_id)
            if container_id and placed.container_id and known != (kind, container_id):
                raise not_found("asset", placed.asset_id)
        connected = placed.asset_id == asset.asset_id or not seed
        if not connected and not await questions.is_connected(
            connection, asset.asset_id, placed.asset_id, self._max_edges
        ):
            raise forbidden(f"The asset {asset_id!r} is not part of the lineage of {seed!r}.")
        return asset


#: Which way is gone from a column.
_DIRECTIONS = {
    LineageType.PARTIAL: (Direction.BACKWARD, Direction.FORWARD),
    LineageType.FORWARD: (Direction.FORWARD,),
    LineageType.BACKWARD: (Direction.BACKWARD,),
}


async def column_nodes(connection: AsyncConnection, asset_id: str, column: str) -> list[Node]:
    """The column as the graph knows it.

    Raises:
        Problem: 404, nothing is known of it.
    """
    if not (nodes := await nodes_of(connection, asset_id, column)):
        raise not_found(f"column of the asset {asset_id!r}", column)
    return nodes


def _question(asset_id: str, query: Query) -> Question:
    return Question(
        asset_id,
        query.choice("lineage_type", LineageType, _ALSO) or LineageType.PARTIAL,
        query.number("limit", 50, 1, MAX_LIMIT),
        query.number("offset", 0, 0, MAX_OFFSET),
        after=query.moment("after_time"),
        hop_count=query.number("hop_count", 4, 0, MAX_COUNT),
        event_count=query.number("event_count", 10, 0, MAX_COUNT),
        place=_place(query.text("bookmark")),
        failed=query.flag("failed"),
    )


def _bookmark(place: Place) -> str:
    """A place as a parameter."""
    at = place.at.isoformat() if place.at else None
    told = json.dumps([place.event_id, at, place.since.isoformat(), place.again], separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def _place(bookmark: str | None) -> Place | None:
    if bookmark is None:
        return None
    try:
        told = json.loads(base64.b64decode(bookmark + "=" * (-len(bookmark) % 4), b"-_", validate=True))
        event_id, at, since, again = told
        moment = datetime.fromisoformat(at) if at is not None else None
        place = Place(str(event_id), moment, datetime.fromisoformat(since), bool(again))
    except (ValueError, TypeError, RecursionError):
        raise Problem(404, "does_not_exist", _NO_PAGE) from None
    timeless = place.at is None and not place.again
    if place.since.tzinfo is None or not (timeless or (place.at and place.at.tzinfo)):
        raise Problem(404, "does_not_exist", _NO_PAGE)
    if not (is_usable_id(place.event_id) or (place.again and not place.event_id)):
        raise Problem(404, "does_not_exist", _NO_PAGE)
    return place


_NO_PAGE = "There is no page at this bookmark: take it from the link `next` of a page."


async def _timelines(connection: AsyncConnection, question: Question, found: Answer) -> list[dict[str, Any]]:
    """Events that do not name the asset made it, going backward, and use what it went into, going forward."""
    backward = question.lineage_type is LineageType.BACKWARD
    indirect = Part.GENERATION if backward else Part.USAGE
    parts = await parts_of(connection, question.asset_id, [event.event_id for event in found.events], indirect)
    return shapes.timelines(found.events, parts)


def _links(request: web.Request, question: Question, found: Answer) -> dict[str, Any]:
    """The first page and the next, if there is one; with a moment that keeps caches out, as the catalog does."""
    links = {"first": {"href": _href(request, offset=0)}}
    if found.next:
        place = _bookmark(found.next)
        links["next"] = {"href": _href(request, offset=question.offset + question.limit, bookmark=place)}
    return links


def _href(request: web.Request, **changed: int | str) -> str:
    rest = request.url.without_query_params("bookmark")
    return str(rest.update_query({**changed, "_": time.time_ns() // 1_000_000}))
