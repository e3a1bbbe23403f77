"""A session of ours that PostgreSQL waits for in the midst of a statement is ended by another replica."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from service.mirror.stalled import end_stalled
from service.mirror.store import Store
from service.settings.model import StoreSettings

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _message(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return kind + struct.pack("!i", len(body) + 4) + body


@asynccontextmanager
async def _session(url: str, application: str) -> AsyncIterator[Streams]:
    """A session that speaks PostgreSQL's protocol 3.0 by hand, in a transaction (docs, "Message Formats")."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    told = {"user": at.username or "", "database": at.path[1:], "application_name": application}
    begin = struct.pack("!i", 196_608) + b"".join(f"{name}\0{value}\0".encode() for name, value in told.items())
    writer.write(_message(b"", begin, b"\0") + _message(b"Q", b"BEGIN\0"))
    for _ in range(2):  # ready after signing in, and after BEGIN
        await reader.readuntil(b"Z\0\0\0\x05")
        await reader.readexactly(1)
    yield reader, writer
    writer.close()


def _ask_and_pause(writer: asyncio.StreamWriter) -> None:
    """A statement without the Sync that ends it, as if the link had broken before that."""
    parse = _message(b"P", b"\0SELECT 1\0", struct.pack("!h", 0))
    bind = _message(b"B", b"\0\0", struct.pack("!hhh", 0, 0, 0))
    writer.write(parse + bind + _message(b"E", b"\0", struct.pack("!i", 0)) + _message(b"H"))


async def _is_ended(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(0.3):
            while await reader.read(1000):
                pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    ("application", "pauses", "ends"),
    [("catalog-mirror", True, True), ("somebody-else", True, False), ("catalog-mirror", False, False)],
)
async def test_only_our_own_that_is_in_the_midst_of_a_statement_is_ended(
    postgres_url: str, application: str, pauses: bool, ends: bool
) -> None:
    store = Store(StoreSettings(url=SecretStr(postgres_url), timeout_s=0.5))
    async with _session(postgres_url, application) as (reader, writer):
        if pauses:
            _ask_and_pause(writer)
            await reader.readuntil(b"SELECT 1\0")  # of CommandComplete
        await end_stalled(store)
        assert not await _is_ended(reader), "it may still go on"
        await asyncio.sleep(0.5)
        await end_stalled(store)
        assert await _is_ended(reader) is ends
    await store.close()
