"""Serves the application of a pocket system in the running event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from yarl import URL

from service.http.sites import site


@asynccontextmanager
async def serving(app: web.Application, port: int, host: str) -> AsyncIterator[str]:
    """Answer until it is left; gives the base URL. Port 0 takes a free one."""
    async with site(app, host, port, shutdown_timeout=1.0) as taken:
        yield f"http://{host}:{taken}"


@asynccontextmanager
async def answering(value: object) -> AsyncIterator[int]:
    """Something over HTTP that answers whatever it is asked; gives its port on loopback."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(value)

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    async with serving(app, 0, "127.0.0.1") as url:
        yield URL(url).port or 0
