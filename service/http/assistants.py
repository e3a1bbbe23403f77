"""`/mcp`: the Model Context Protocol over HTTP, for whoever may read; there where the extra `mcp` is installed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from service.http.access import needs
from service.http.query import body_of
from service.http.tokens import Scope
from service.mirror.store import Store
from service.openlineage.renaming import Renaming

if TYPE_CHECKING:
    from service.mcp.exchange import Exchange

PATH = "/mcp"
#: What our own server says of an answer.
_OURS = frozenset({hdrs.CONTENT_LENGTH.lower(), hdrs.TRANSFER_ENCODING.lower(), hdrs.DATE.lower(), hdrs.SERVER.lower()})


class Assistants:
    """The protocol's end here; its SDK is large, and imported when the first assistant asks."""

    def __init__(self, store: Store, renaming: Renaming) -> None:
        self._store = store
        self._renaming = renaming
        self._exchange: asyncio.Future[Exchange] | None = None
        self._holding: asyncio.Task[None] | None = None
        self._ends = asyncio.Event()

    @property
    def is_installed(self) -> bool:
        """The SDK is there."""
        return find_spec("mcp") is not None

    def routes(self) -> list[web.RouteDef]:
        """A call is one POST; there are no sessions that another method would be for."""
        return [web.post(PATH, needs(Scope.READ, self.post))] if self.is_installed else []

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """Answer as long as the application does."""
        yield
        if self._holding is not None:
            self._ends.set()
            await self._holding

    async def _hold(self, begun: asyncio.Future[Exchange]) -> None:
        """Keep what answers, from the first call to the end of the application."""
        try:
            module = await asyncio.to_thread(import_module, "service.mcp.exchange")
            exchange: Exchange = module.Exchange(self._store, self._renaming)
            async with exchange.running():
                begun.set_result(exchange)
                await self._ends.wait()
        except Exception as error:
            if begun.done():
                raise
            begun.set_exception(error)

    async def post(self, request: web.Request) -> web.Response:
        """One call of the protocol."""
        if self._exchange is None:
            self._exchange = asyncio.get_running_loop().create_future()
            self._holding = asyncio.create_task(self._hold(self._exchange), name="assistants")
        exchange = await asyncio.shield(self._exchange)
        found = await exchange.answer(request.method, request.headers.items(), await body_of(request))
        headers = [(name, value) for name, value in found.headers if name.lower() not in _OURS]
        return web.Response(status=found.status, body=found.body, headers=headers)
