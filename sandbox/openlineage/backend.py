"""The backend: judges each event by the JSON Schema and keeps what it took; knobs let it fail as real ones do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from sandbox.serving import serving
from service.openlineage import schema

#: Facets that IBM's endpoint does not take although the specification has them.
_NOT_AT_IBM = frozenset({"parent", "sourceCodeLocation"})


@dataclass
class PocketBackend:
    """What one backend took, and how it behaves."""

    #: Refuses what IBM's endpoint refuses.
    ibm: bool = False
    #: A bearer token that it asks for.
    token: str | None = None
    #: Answers of this status, one after the other, before it works again.
    failures: list[int] = field(default_factory=list)
    #: So many calls are answered by a page for people, with 200.
    pages: int = 0
    #: Names of jobs whose events it answers with 500, for ever.
    cursed: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    #: Bodies of the calls, refused ones among them: a list is a batch.
    calls: list[Any] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    #: Is told of each event that was taken.
    told: Callable[[dict[str, Any]], None] | None = None

    def states(self, run_id: str | None = None) -> list[str]:
        """States of runs in the order in which they came."""
        return [event["eventType"] for event in self.events if run_id in (None, event["run"]["runId"])]

    def application(self) -> web.Application:
        """The paths of both kinds of backend."""
        app = web.Application()
        for path in ("/api/v1/lineage", "/gov_lineage/v2/lineage_events/openlineage"):
            app.router.add_post(path, self._take_one)
            app.router.add_post(f"{path}/batch", self._take_many)
        return app

    async def _take_one(self, request: web.Request) -> web.Response:
        return await self._take(request, many=False)

    async def _take_many(self, request: web.Request) -> web.Response:
        return await self._take(request, many=True)

    async def _take(self, request: web.Request, *, many: bool) -> web.Response:
        body = msgspec.json.decode(await request.read())
        self.calls.append(body)
        self.agents.add(request.headers.get("User-Agent", ""))
        if self.pages:
            self.pages -= 1
            return web.Response(text="<html>Please sign in.</html>", content_type="text/html")
        if self.failures:
            return _problem(self.failures.pop(0), "It does not work now.")
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _problem(401, "No such token.")
        events = body if many else [body]
        try:
            for event in events:
                self._judge(schema.check(event))
        except schema.OpenLineageInvalid as refusal:
            return _problem(400, str(refusal))
        if any((event.get("job") or {}).get("name") in self.cursed for event in events):
            return _problem(500, "The event could not be persisted.")
        self.events += events
        if self.told is not None:
            for event in events:
                self.told(event)
        return web.json_response({}, status=201)

    def _judge(self, event: dict[str, Any]) -> None:
        """IBM's limits."""
        if not self.ibm:
            return
        if "run" not in event:
            raise schema.OpenLineageInvalid(field="run", problem="only run events are taken over HTTP")
        for facet in _facets(event):
            if facet in _NOT_AT_IBM or facet.startswith("catalogMirror_"):
                raise schema.OpenLineageInvalid(field=facet, problem="this facet is not supported")
        for output in event.get("outputs") or ():
            if (output.get("facets") or {}).get("columnLineage", {}).get("dataset", True) == []:
                raise schema.OpenLineageInvalid(field="columnLineage.dataset", problem="it is empty")


def _facets(event: dict[str, Any]) -> set[str]:
    things = [event["run"], event["job"], *(event.get("inputs") or ()), *(event.get("outputs") or ())]
    return {name for thing in things for name in thing.get("facets") or {}}


def _problem(status: int, message: str) -> web.Response:
    body = {"trace": "trace-1", "errors": [{"code": "refused", "message": message}]}
    return web.json_response(body, status=status, headers={"x-global-transaction-id": "support-1"})


@asynccontextmanager
async def serve(backend: PocketBackend, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Answer in the running event loop; gives the base URL."""
    async with serving(backend.application(), port, host) as url:
        yield url
