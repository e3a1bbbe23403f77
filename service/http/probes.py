"""Probes for Kubernetes, and metrics for Prometheus.

`/livez` fails only when a restart helps: an outage of broker, store or target does not. `/readyz` is 503 `starting`
until store and first consume succeeded once, and 200 from then on, with `degraded` and the reasons where there are any.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from service.errors import SettingInvalid
from service.http.sites import site
from service.settings.model import HttpSettings

log = structlog.get_logger(__name__)

#: Bytes of a request's first line: a cursor and several filters, each byte of them written as three.
MAX_LINE_BYTES = 64 * 1024


@dataclass(slots=True)
class Health:
    """How the service is, at this moment."""

    alive: bool = True
    started: bool = False
    reasons: list[str] = field(default_factory=list)


def application(health: Callable[[], Health], registry: CollectorRegistry) -> web.Application:
    """The probes and metrics as an aiohttp application."""

    async def livez(_: web.Request) -> web.Response:
        """200 `alive`, or 503 `dead` where a restart helps; an outage of broker, store or target is no death."""
        alive = health().alive
        return web.json_response({"status": "alive" if alive else "dead"}, status=200 if alive else 503)

    async def readyz(_: web.Request) -> web.Response:
        """503 `starting` until store and first consume (or reading) succeeded, then 200: `ready`, or `degraded`."""
        now = health()
        body: dict[str, Any] = {"status": "ready" if now.started else "starting", "reasons": now.reasons}
        if now.started and now.reasons:
            body["status"] = "degraded"
        return web.json_response(body, status=200 if now.started else 503)

    async def metrics(request: web.Request) -> web.Response:
        """The metrics, in the format of Prometheus or of OpenMetrics."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app


@asynccontextmanager
async def serving(app: web.Application, settings: HttpSettings) -> AsyncIterator[int]:
    """Serve while the block runs; gives the port.

    Raises:
        SettingInvalid: the port cannot be taken.
    """
    async with listening(app, settings.host, settings.port, "CATALOG_MIRROR_HTTP__PORT") as port:
        log.info("http_listening", host=settings.host, port=port)
        yield port


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int, setting: str) -> AsyncIterator[int]:
    """Serve an application while the block runs; gives the port, which the system chooses where it is 0.

    Raises:
        SettingInvalid: the port, which `setting` names, cannot be taken.
    """
    async with AsyncExitStack() as stack:
        try:
            taken = await stack.enter_async_context(site(app, host, port, max_line_size=MAX_LINE_BYTES))
        except OSError as error:
            raise SettingInvalid(setting=setting, problem=str(error)) from None
        yield taken
