"""A listener all of whose connections are closed when it ends, whatever became of them.

One that stays open is found by the garbage collector, some tests later, and fails the one that happens to run.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from service.http.sites import close

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """Listens on loopback; each connection is served by a task, and closed when that ends.

    Args:
        serve: serves one connection; its errors are told to the loop.
        port: 0 for one that is free.
        tls: speak TLS.
    """

    def __init__(self, serve: Serve, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: dict[asyncio.Future[None], asyncio.StreamWriter] = {}
        self._is_over = False
        self.port = port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        if self._server is not None:
            await close(self._server)
        tasks = list(self._writers)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
        await asyncio.sleep(0)  # for what is closed to be let go

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_over:  # it was under way
            writer.transport.abort()
            return
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._writers[task] = writer
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[None]) -> None:
        """Close its connection, also where it was cancelled before it began."""
        self._writers.pop(task).close()
        if not task.cancelled() and (error := task.exception()):
            told = {"message": "A connection was not served to its end", "exception": error, "future": task}
            task.get_loop().call_exception_handler(told)
