"""A server that speaks HTTP as the catalog does, one path at a time, and clients for it."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from service.catalog.client import CatalogClient, Patience
from service.http.sites import site
from service.settings.model import CatalogSettings
from service.telemetry.metrics import Metrics

API_KEY = "key-hunter2+SWORDFISH/="
PASSWORD = "password hunter2"
GRANT = "urn:ibm:params:oauth:grant-type:apikey"

Reply = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]


@dataclass
class Heard:
    """One request, as the server understood it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


#: Where one signs in: on IBM Cloud, on premises, on AWS (in an account with a slash), for the US government.
SIGN_INS = (
    "/identity/token", "/icp4d-api/v1/authorize", "/api/2.0/accounts/my%2Faccount/apikeys/token",
    "/api/rest/mcsp/apikeys/token",
)  # fmt: skip


@dataclass
class CatalogServer:
    """Answers what tests tell it to; without a token of its own it answers 401, whatever is asked."""

    api_key: str = API_KEY
    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    #: Tokens given out; a test may take one away.
    tokens: list[str] = field(default_factory=list)
    token_life_s: int | None = 3600
    sign_in: Reply | None = None
    replies: dict[str, list[Reply | dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def answers(self, call: str, *replies: Reply | dict[str, Any]) -> None:
        """What `GET /path` is answered with, one after the other; the last for ever. An object is a JSON answer."""
        self.replies[call] = list(replies)

    def calls(self, path: str = "") -> list[Heard]:
        """What was heard beside sign-ins."""
        return [heard for heard in self.heard if heard.path.startswith(path) and heard.path not in SIGN_INS]

    @property
    def sign_ins(self) -> int:
        return len(self.heard) - len(self.calls())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.heard.append(
            Heard(request.method, request.rel_url.raw_path, dict(request.query), dict(request.headers), body)
        )
        if request.rel_url.raw_path in SIGN_INS:
            return await _made(self.sign_in or self._sign_in, request)
        if request.headers.get("Authorization", "") not in [f"Bearer {token}" for token in self.tokens]:
            return web.json_response({"trace": "t", "errors": [{"code": "unauthorized", "message": "no"}]}, status=401)
        replies = self.replies[f"{request.method} {request.path}"]
        if not replies:
            return web.json_response({"trace": "t", "errors": [{"code": "not_found", "message": "no"}]}, status=404)
        return await _made(replies.pop(0) if len(replies) > 1 else replies[0], request)

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        token = f"token-{len(self.tokens)}-SWORDFISH"
        if request.path == "/identity/token":
            assert request.content_type == "application/x-www-form-urlencoded"
            form = await request.post()
            if form.get("grant_type") != GRANT or form.get("apikey") != self.api_key:
                error = {"errorCode": "BXNIM0415E", "errorMessage": f"Key {form.get('apikey')!r} could not be found"}
                return web.json_response(error, status=400)
            self.tokens.append(token)
            life_s = self.token_life_s
            told = {} if life_s is None else {"expires_in": life_s, "expiration": int(time.time()) + life_s}
            return web.json_response({"access_token": token, "refresh_token": "r", "token_type": "Bearer", **told})
        if request.path == "/api/rest/mcsp/apikeys/token":
            assert request.content_type == "application/x-www-form-urlencoded"
            if (await request.post()).get("apikey") != self.api_key:
                return web.json_response({"message": "no such key"}, status=401)
            self.tokens.append(token)
            return web.json_response({"token": token, "expires_in": 3600})
        said = json.loads(await request.read())
        if request.path.startswith("/api/2.0/"):
            assert request.content_type == "application/json"
            if said != {"apikey": self.api_key}:
                return web.json_response({"errorCode": "BXNIM0415E", "errorMessage": "no such key"}, status=401)
            self.tokens.append(token)
            return web.json_response({"token": token, "token_type": "jwt", "expires_in": 3600})
        assert said["username"] == "admin"
        if said.get("api_key") != self.api_key and said.get("password") != PASSWORD:
            return web.json_response({"_messageCode_": "401", "message": "User unauthorized"}, status=401)
        self.tokens.append(token)
        return web.json_response({"_messageCode_": "200", "message": "Success", "token": token})


async def _made(reply: Reply | dict[str, Any], request: web.Request) -> web.StreamResponse:
    if isinstance(reply, dict):
        return web.json_response(reply)
    made = reply(request)
    return made if isinstance(made, web.StreamResponse) else await made


Serve = Callable[..., Awaitable[CatalogServer]]
MakeClient = Callable[..., CatalogClient]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts servers of this test's own, over TLS where it gives a context."""
    async with AsyncExitStack() as stack:

        async def start(context: ssl.SSLContext | None = None) -> CatalogServer:
            server = CatalogServer()
            app = web.Application(client_max_size=2**26)
            app.router.add_route("*", "/{path:.*}", server.handle)
            port = await stack.enter_async_context(site(app, "127.0.0.1", 0, tls=context, shutdown_timeout=0.1))
            server.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"
            return server

        yield start


@pytest.fixture
async def server(serve: Serve) -> CatalogServer:
    """One such server."""
    return await serve()


@pytest.fixture
def settings_for() -> Callable[..., CatalogSettings]:
    """Settings for a server, with a key, fast."""

    def make(server: CatalogServer, **changes: Any) -> CatalogSettings:
        base = {"url": server.url, "iam_url": server.url, "api_key": SecretStr(API_KEY), "calls_per_minute": 60_000}
        return CatalogSettings(**{**base, "timeout_s": 5.0, **changes})

    return make


@pytest.fixture
async def client_of(settings_for: Callable[..., CatalogSettings]) -> AsyncIterator[MakeClient]:
    """Open clients of a server, closed at the end; they try three times, and wait no longer than 0.2 s."""
    async with AsyncExitStack() as stack:

        def make(
            server: CatalogServer, metrics: Metrics | None = None, patience: Patience | None = None, **changes: Any
        ) -> CatalogClient:
            client = CatalogClient(
                settings_for(server, **changes), metrics, patience or Patience(attempts=3, first_s=0.001, longest_s=0.2)
            )
            client.open()
            stack.push_async_callback(client.close)
            return client

        yield make


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1."""

    file: Path
    context: ssl.SSLContext


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Made once a run."""
    place = tmp_path_factory.mktemp("certificate")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", "key.pem", "-out", "cert.pem"], cwd=place, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "cert.pem", place / "key.pem")
    return Certificate(place / "cert.pem", context)
