"""A receiver over HTTP that only takes what it is sent, in a process of its own: `python -m benchmarks.taking`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from sandbox.serving import serving


async def _take(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=204)


async def _serve() -> None:
    app = web.Application(client_max_size=16 * 1_048_576)
    app.router.add_post("/", _take)
    async with serving(app, 0, "127.0.0.1") as url:
        print(url, flush=True)
        await asyncio.Event().wait()


@contextmanager
def taking() -> Iterator[str]:
    """Gives its URL; it ends with this."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.taking"], stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("it tells no URL")
        with process.stdout:
            yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
