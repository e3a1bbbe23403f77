"""The protocol over HTTP, without a web framework of its own: a request in, an answer out.

The SDK speaks ASGI. A call is one POST, answered as JSON; there are no sessions, so any replica answers any call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from service.mcp.server import server_of
from service.mirror.store import Store
from service.openlineage.renaming import Renaming

#: Where it is answered.
PATH = "/mcp"


@dataclass(slots=True)
class Answer:
    """What is answered."""

    status: int = 500
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class Exchange:
    """Answers calls while `running`."""

    def __init__(self, store: Store, renaming: Renaming) -> None:
        self._manager = StreamableHTTPSessionManager(server_of(store, renaming), json_response=True, stateless=True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the block runs; what the SDK holds open lives and ends in a task of its own."""
        ready, over = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with self._manager.run():
                ready.set()
                await over.wait()

        async with asyncio.TaskGroup() as group:
            group.create_task(hold(), name="mcp")
            await ready.wait()
            try:
                yield
            finally:
                over.set()

    async def answer(self, method: str, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
        """One call."""
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": PATH, "raw_path": PATH.encode(), "root_path": "", "query_string": b"",
            "headers": [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers],
            "client": None, "server": None, "state": {},
        }  # fmt: skip
        received, answered = False, Answer()

        async def receive() -> dict[str, Any]:
            nonlocal received
            if received:
                await asyncio.Event().wait()  # whoever asked waits for the answer
            received = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answered.status = message["status"]
                answered.headers = [
                    (name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]
                ]
            elif message["type"] == "http.response.body":
                answered.body += message.get("body", b"")

        await self._manager.handle_request(scope, receive, send)
        return answered
