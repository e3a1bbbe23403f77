"""The storage of objects that signed URLs lead to: a server of its own, over TLS, which knows nothing of tokens."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.catalog.asset_routes import object_of
from sandbox.catalog.model import PocketCatalog
from sandbox.parts.tls import Certificates
from service.http.sites import site

#: What a test does in place of answering; None answers as usual.
Spoil = Callable[[web.Request, dict[str, Any]], Any]


@dataclass
class Storage:
    """The server, as tests see it."""

    catalog: PocketCatalog
    origin: str = ""
    #: Headers of what was asked, in order.
    asked: list[dict[str, str]] = field(default_factory=list)
    spoil: Spoil | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """An object, to whoever has its URL."""
        self.asked.append(dict(request.headers))
        words = request.match_info
        found = object_of(self.catalog, words["asset_id"], words["attachment_id"])
        if self.spoil is not None and (other := self.spoil(request, found)) is not None:
            answered: web.StreamResponse = await other if hasattr(other, "__await__") else other
            return answered
        return web.Response(body=json.dumps(found).encode(), content_type="application/octet-stream")


@asynccontextmanager
async def storing(catalog: PocketCatalog, certificates: Certificates) -> AsyncIterator[Storage]:
    """Serve the catalog's objects on loopback; its signed URLs lead there meanwhile."""
    storage = Storage(catalog)
    app = web.Application()
    app.router.add_get("/pocket/objects/{asset_id}/{attachment_id}", storage.answer)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    async with site(app, "127.0.0.1", 0, tls=context, shutdown_timeout=1.0) as port:
        storage.origin = catalog.knobs.storage = f"https://localhost:{port}"
        try:
            yield storage
        finally:
            catalog.knobs.storage = None
