"""`/api/v1/lineage`: where OpenLineage producers (Airflow, Spark, dbt, another mirror) send their events."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from service.http.access import CALLER, needs
from service.http.ingest import TOO_OLD, Ingest
from service.http.query import Query, body_of
from service.http.tokens import Scope


class OpenLineageApi:
    """The paths that the clients of OpenLineage know."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    def routes(self) -> list[web.RouteDef]:
        """Both take one event, or an array of them."""
        post = needs(Scope.INGEST, self.post)
        return [web.post("/api/v1/lineage", post), web.post("/api/v1/lineage/batch", post)]

    async def post(self, request: web.Request) -> web.Response:
        """Take in events; the answer says that all of them are committed, but those that it names."""
        Query(request)
        received = await self._ingest.openlineage(await body_of(request), request[CALLER].name)
        number, failed = received.number, len(received.expired)
        answer: dict[str, Any] = {
            "status": "partial_success" if failed else "success",
            "summary": {"received": number, "successful": number - failed, "failed": failed},
            "failed_events": [{"index": place, "reason": TOO_OLD, "retriable": False} for place in received.expired],
        }
        if received.warnings:
            answer["warnings"] = [{"index": place, "told": told} for place, told in received.warnings.items()]
        return web.json_response(answer, status=201)
