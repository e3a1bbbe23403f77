"""The admin API on a mirror of its own, served in this process, and a client for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml
from yarl import URL

from service.http.admin.api import AdminApi
from service.http.admin.calls import Means
from service.http.probes import listening
from service.operations.work import Desk
from service.settings.model import HttpSettings, Settings
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

TOKENS = {name: f"{name}-0123456789abcdef" for name in ("reader", "ingester", "dana", "erik")}
SCOPES = {"reader": ["read"], "ingester": ["ingest"], "dana": ["operate"], "erik": ["read", "operate"]}


class Client:
    """Calls the admin API, as Dana unless told otherwise."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url
        #: Where the last answer leads, if it does.
        self.location: str | None = None

    async def call(
        self, method: str, path: str, body: Any = None, token: str | None = "dana", **headers: str
    ) -> tuple[int, Any]:
        """Status and body; `headers` have `_` for `-`."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            told["Authorization"] = f"Bearer {TOKENS.get(token, token)}"
        if method == "POST":
            told = {"Content-Type": "application/json"} | told
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        url = URL(f"{self.url}/api/admin{path}", encoded=True)
        async with self._session.request(method, url, data=data, headers=told) as response:
            self.location = response.headers.get("Location")
            return response.status, await response.json(content_type=None)

    async def get(self, path: str, **options: Any) -> Any:
        """The body of a reading call that succeeds."""
        status, body = await self.call("GET", path, **options)
        assert status == 200, body
        return body

    async def post(self, path: str, body: Any = None, expect: int = 200, **options: Any) -> Any:
        """The body of a writing call that is answered so."""
        status, answer = await self.call("POST", path, {} if body is None else body, **options)
        assert status == expect, answer
        return answer

    async def refused(self, path: str, body: Any = None, expect: int = 400, **options: Any) -> str:
        """What a writing call is refused with."""
        return str((await self.post(path, body, expect, **options))["errors"][0]["message"])

    async def until(self, path: str, done: Callable[[Any], bool]) -> Any:
        """The body of a reading call, once it is as wanted; the test's time-out bounds it."""
        while not done(body := await self.get(path)):
            pass
        return body


Served = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    """A file with a token per scope."""
    path = tmp_path / "tokens.yaml"
    content = {name: {"token": token, "scopes": SCOPES[name]} for name, token in TOKENS.items()}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture
def served(mirror: Mirror, tokens_file: Path) -> Served:
    """`served(catalog=…)` is a client of an admin API on this mirror; sections of settings may be given."""

    @asynccontextmanager
    async def serve(**sections: Any) -> AsyncIterator[Client]:
        http = HttpSettings(tokens_file=tokens_file, admin_port=0)
        desk = Desk(mirror.store)
        api = AdminApi(Means(Settings(http=http, **sections), mirror.store, desk), Metrics())
        async with listening(api.application(), "127.0.0.1", 0, "") as port, aiohttp.ClientSession() as session:
            yield Client(session, f"http://127.0.0.1:{port}")
            await desk.stop()

    return serve


@pytest.fixture
async def admin(served: Served) -> AsyncIterator[Client]:
    """An admin API without a catalog."""
    async with served() as client:
        yield client
