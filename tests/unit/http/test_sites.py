"""Who is being let in while a listener closes: served or closed, never left to the garbage collector."""

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable

import pytest

from service.http.sites import close


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("connections", [1, 20])
def test_whoever_is_being_let_in_while_it_closes_is_served(turns: int, connections: int) -> None:
    accepted = 0 if turns < 2 else connections  # sooner, the loop has not looked at the listener yet
    assert asyncio.run(_let_in(close, turns, connections)) == accepted
    gc.collect()  # a transport without an owner is a warning here, and so an error


async def _let_in(end: Callable[[asyncio.Server], Awaitable[None]], turns: int, connections: int) -> int:
    """How many are served of those that connect, where the listener closes some turns of the loop later."""
    served = 0

    def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    peers = [socket.create_connection(address) for _ in range(connections)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await end(server)
    await server.wait_closed()
    for _ in range(10):
        await asyncio.sleep(0)
    for peer in peers:
        peer.close()
    return served
