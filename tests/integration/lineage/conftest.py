"""The API on a mirror of its own, served in this process, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml
from yarl import URL

from service.http.api import Api
from service.http.probes import listening
from service.settings.model import HttpSettings, Settings
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror, Subscriber

TOKENS = {name: f"{name}-0123456789abcdef" for name in ("reader", "airflow", "operator")}


class Client:
    """Calls the API, as somebody or as nobody."""

    def __init__(self, session: aiohttp.ClientSession, url: str, metrics: Metrics | None = None) -> None:
        self._session = session
        #: Of the service that is called, where it runs in this process.
        self.metrics = metrics
        self.url = url

    async def get(
        self, path: str, token: str | None = None, headers: dict[str, str] | None = None, **query: Any
    ) -> tuple[int, Any]:
        """Status and body of a reading call."""
        return await self._call("GET", path, token, params=query, headers=headers or {})

    async def post(self, path: str, body: Any, token: str | None = None, **options: Any) -> tuple[int, Any]:
        """Status and body of a writing call; bytes are sent as they are."""
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        return await self._call("POST", path, token, **sent, **options)

    async def _call(self, method: str, path: str, token: str | None, **options: Any) -> tuple[int, Any]:
        headers = options.pop("headers", {}) | (
            {"Authorization": f"Bearer {TOKENS.get(token, token)}"} if token else {}
        )
        async with self._session.request(
            method, URL(self.url + path, encoded=True), headers=headers, **options
        ) as response:
            return response.status, await response.json()


Served = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def served(mirror: Mirror) -> Served:
    """`served(*subscribers, tokens_file=…)` is a client of an API on this mirror."""

    @asynccontextmanager
    async def serve(*subscribers: Subscriber, **http: Any) -> AsyncIterator[Client]:
        http = {"answer_within_s": 60.0, **http}  # however busy the machine is
        settings = Settings(http=HttpSettings(host="127.0.0.1", api_port=0, **http))
        pipeline = mirror.pipeline(*subscribers)
        api = Api(settings, mirror.store, pipeline)
        async with listening(api.application(), "127.0.0.1", 0, "") as port, aiohttp.ClientSession() as session:
            yield Client(session, f"http://127.0.0.1:{port}", pipeline.metrics)

    return serve


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    """A file with a token per scope."""
    scopes = {"reader": ["read"], "airflow": ["ingest"], "operator": ["read", "ingest", "operate"]}
    content = {name: {"token": TOKENS[name], "scopes": allowed} for name, allowed in scopes.items()}
    path = tmp_path / "tokens.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture
async def api(served: Served, tokens_file: Path) -> AsyncIterator[Client]:
    """An API with tokens."""
    async with served(tokens_file=tokens_file) as client:
        yield client
