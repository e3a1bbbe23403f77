"""Serves an application on a port, and lets go of the port without losing whoever is just being let in.

A listener that is closed between accepting a connection and serving it leaves that connection open, with nobody behind
it, until the garbage collector finds it (CPython before 3.13, python/cpython#109564). So it stops accepting first.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

#: Turns of the loop from accepting a connection to its protocol's beginning, and one more.
_TURNS = 4


@asynccontextmanager
async def site(
    app: web.Application, host: str, port: int, *, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[int]:
    """Serve while the block runs; gives the port, which the system chooses where it is 0.

    Args:
        options: those of aiohttp's `AppRunner`.

    Raises:
        OSError: the port cannot be taken.
    """
    runner = web.AppRunner(app, access_log=None, **options)
    await runner.setup()
    try:
        assert runner.server is not None
        server = await asyncio.get_running_loop().create_server(runner.server, host, port, ssl=tls, backlog=128)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            await close(server)
    finally:
        await runner.cleanup()


async def close(server: asyncio.Server) -> None:
    """Accept no more, see begun what is accepted, and close the listener; connections stay."""
    loop = asyncio.get_running_loop()
    for listener in server.sockets:
        loop.remove_reader(listener.fileno())
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    server.close()
