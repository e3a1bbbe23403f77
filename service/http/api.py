"""The API as one application: its routes, its door, its limits, and where it listens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from service.http import openapi, probes
from service.http.access import Access, guarded
from service.http.assistants import Assistants
from service.http.console.app import Console
from service.http.ingest import Ingest
from service.http.lineage import LineageApi
from service.http.openlineage import OpenLineageApi
from service.http.problems import in_shape
from service.http.reading import ReadApi
from service.http.watching import watched
from service.mirror.store import Store
from service.pipeline.pipeline import Pipeline
from service.settings.model import HttpSettings, Settings
from service.telemetry.traces import OFF, Traces

log = structlog.get_logger(__name__)

#: Where the API listens while it has no tokens.
LOOPBACK = "127.0.0.1"


class Api:
    """What answers on the API port.

    Raises:
        SettingInvalid: the token file cannot be used, an issuer lacks its audience, or a naming rule is none.
    """

    def __init__(self, settings: Settings, store: Store, pipeline: Pipeline, traces: Traces = OFF) -> None:
        self._settings: HttpSettings = settings.http
        self._traces = traces
        self._access = Access(settings.http)
        self._metrics = pipeline.metrics
        ingest = Ingest(store, pipeline, settings.http, settings.pipeline, settings.openlineage, settings.lineage)
        self._console = Console(settings, store, self._access, acts=False)
        lineage = LineageApi(store, ingest, settings.http.max_edges)
        self._assistants = Assistants(store, ingest.renaming)
        self._parts = (lineage, OpenLineageApi(ingest), ReadApi(store, ingest.renaming), self._assistants)

    @property
    def host(self) -> str:
        """Where it listens: everywhere that settings say, once callers can be told apart."""
        return self._settings.host if self._access.has_tokens else LOOPBACK

    def application(self) -> web.Application:
        """The API as an aiohttp application."""
        app = web.Application(
            middlewares=[watched(self._metrics, self._traces), in_shape, guarded(self._access)],
            client_max_size=self._settings.max_body_bytes,
        )
        for part in self._parts:
            app.add_routes(part.routes())
        app.cleanup_ctx.append(self._assistants.running)
        app.add_routes([web.get("/openapi.json", _describe, allow_head=False)])
        self._console.add_to(app)
        return app

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Answer while the block runs; gives the port.

        Raises:
            SettingInvalid: the port cannot be taken.
        """
        setting = "CATALOG_MIRROR_HTTP__API_PORT"
        async with probes.listening(self.application(), self.host, self._settings.api_port, setting) as port:
            log.info("api_listening", host=self.host, port=port, read_only=not self._access.has_tokens)
            yield port


async def _describe(_: web.Request) -> web.Response:
    return web.json_response(openapi.document())
