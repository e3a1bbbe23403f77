"""A proxy between a client and a real server, that does to connections what networks do to them."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from sandbox.parts.listener import Listener

#: Bytes that are forwarded at once.
CHUNK_BYTES = 64 * 1024

# Linger of zero seconds: closing sends a reset instead of an orderly end.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class TcpProxy:
    """Forwards bytes between its own port and a server; belongs to the loop in which it was entered."""

    def __init__(self, host: str, port: int) -> None:
        self._server_address = (host, port)
        self._listener: Listener | None = None
        self._port: int | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        #: Whether bytes are forwarded: to the server, to the client.
        self._to_server, self._to_client = _open_event(), _open_event()
        self._refusing = False
        self._delay_s = 0.0
        #: Bytes that are forwarded at once.
        self.chunk_bytes = CHUNK_BYTES
        #: Connections accepted so far, refused ones left out.
        self.accepted = 0

    @classmethod
    def before(cls, url: str) -> Self:
        """A proxy before the server that `url` names; see `through`."""
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError("the URL has to name host and port")
        return cls(parts.hostname, parts.port)

    @property
    def port(self) -> int:
        """The port to connect to, on loopback."""
        if self._port is None:
            raise RuntimeError("the proxy has not been entered")
        return self._port

    def through(self, url: str) -> str:
        """The same URL, through this proxy."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    def cut(self) -> None:
        """Reset every open connection, both ways; new ones are taken."""
        for writer in list(self._writers):
            _reset(writer)
        self._writers.clear()

    def stall(self) -> None:
        """Forward nothing more; connections stay open and new ones are taken, as behind a dead network path."""
        self._to_server.clear()
        self._to_client.clear()

    def half_open(self) -> None:
        """Forward nothing more to clients; what they send still arrives, as when one way of a path is dead."""
        self._to_client.clear()

    def freeze(self) -> None:
        """Forward nothing more on the connections that are open, for good; new ones are served as before."""
        self.stall()
        self._to_server, self._to_client = _open_event(), _open_event()

    def resume(self) -> None:
        """Forward again, first what was held."""
        self._to_server.set()
        self._to_client.set()

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """`stall` for the length of a block."""
        self.stall()
        try:
            yield
        finally:
            self.resume()

    def delay(self, seconds: float) -> None:
        """Hold every chunk for this long, each way."""
        self._delay_s = seconds

    def lead_to(self, url: str) -> None:
        """New connections go to another server from now on, as behind a service that chose another node."""
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError("the URL has to name host and port")
        self._server_address = (parts.hostname, parts.port)

    def refuse(self, refusing: bool = True) -> None:
        """Reset new connections at once; open ones stay."""
        self._refusing = refusing

    async def __aenter__(self) -> Self:
        self._listener = await Listener(self._serve, self._port or 0).__aenter__()
        self._port = self._listener.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            self.resume()
            self.delay(0)
            self.cut()
            await self._listener.__aexit__(kind, error, trace)

    async def _serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(client)
            return
        try:
            server_reader, server = await asyncio.open_connection(*self._server_address)
        except OSError:
            _reset(client)
            return
        self.accepted += 1
        self._writers |= {client, server}
        try:
            await asyncio.gather(
                self._forward(client_reader, server, self._to_server),
                self._forward(server_reader, client, self._to_client),
            )
        finally:
            for writer in (client, server):
                writer.close()
                self._writers.discard(writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, open_: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(self.chunk_bytes):
                await asyncio.sleep(self._delay_s)
                await open_.wait()
                writer.write(chunk)
                await writer.drain()
            await open_.wait()
            if writer.can_write_eof() and not writer.is_closing():
                writer.write_eof()


def _open_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
