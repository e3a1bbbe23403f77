"""The first page: how things flow, what is stuck and why; it stays up to date while it is open."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass

from aiohttp import hdrs, web

from service.http.access import CALLER
from service.http.console.door import HEADERS
from service.http.console.forms import form_token
from service.http.console.live import Full, Live
from service.http.console.rendering import render
from service.http.console.screens import Means, Screen
from service.http.problems import try_again
from service.http.tokens import Scope
from service.queries.overview import Overview, overview

#: Seconds of silence after which a comment tells proxies that the connection lives.
_ALIVE_S, _ALIVE = 15.0, ": alive\n\n"
#: Stands for the token of whoever looks, in what is made for all; nobody outside can write it.
_TOKEN = secrets.token_hex()


@dataclass(frozen=True, slots=True)
class _Told:
    """One event, for those who read and for those who operate."""

    reading: str
    operating: str

    def to(self, operates: bool, token: str) -> str:
        """The event for one of them; their own token is in its forms."""
        return self.operating.replace(_TOKEN, token) if operates else self.reading


class Flow(Screen):
    """`/` and `/live`."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._live: Live[_Told] = Live(self._tell)

    def shown(self) -> list[web.RouteDef]:
        """What is answered at either port."""
        return [
            self.see("/", self.show, Scope.READ),
            self.see("/live", self.follow, Scope.READ),
        ]

    async def end(self, _: web.Application) -> None:
        """Let all go who look on, so that the service can end."""
        await self._live.end()

    async def _look(self) -> Overview:
        async with self._store.reading() as connection:
            return await overview(connection, self._store)

    async def _tell(self) -> _Told:
        """The part of the page that changes, once for all who may operate and once for all others."""
        now = await self._look()
        parts = (
            render("overview_now.html", now=now, may_operate=may, acts=self._pages.acts and may, token=_TOKEN)
            for may in (False, True)
        )
        return _Told(*map(_event, parts))

    async def show(self, request: web.Request) -> web.Response:
        """The page, as things are now."""
        return self._pages.show(request, "overview.html", now=await self._look())

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """What changes, as server-sent events, each the part of the page that shows it."""
        operates, token = Scope.OPERATE in request[CALLER].scopes, form_token(request)
        headers = {hdrs.CONTENT_TYPE: "text/event-stream", hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no"}
        answer = web.StreamResponse(headers={**HEADERS, **headers})
        try:
            async with aclosing(self._live.watch()) as changes, aclosing(_or_silence(changes)) as told_or_not:
                await answer.prepare(request)
                async for now in told_or_not:
                    await answer.write((_ALIVE if now is None else now.to(operates, token)).encode())
        except Full:
            raise try_again("too_many_watchers", "Too many pages are open; this one does not follow.") from None
        except ConnectionError:
            pass  # the page was closed
        return answer


async def _or_silence(changes: AsyncIterator[_Told]) -> AsyncGenerator[_Told | None]:
    """The changes, and None where nothing changes for long."""
    while True:
        coming = asyncio.ensure_future(anext(changes))
        try:
            while not (await asyncio.wait([coming], timeout=_ALIVE_S))[0]:
                yield None
            yield coming.result()
        except StopAsyncIteration:
            return
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await coming


def _event(text: str) -> str:
    return "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
