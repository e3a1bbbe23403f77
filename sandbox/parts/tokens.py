"""A server that gives tokens to clients who sign in as themselves, as companies have one (RFC 6749, section 4.4)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.serving import serving

#: What the broker calls itself in tokens that are for it.
RESOURCE = "rabbitmq"
#: Scopes with which everything is allowed, and the management API may be asked.
EVERYTHING = " ".join(f"{RESOURCE}.{what}" for what in ("configure:*/*", "read:*/*/*", "write:*/*/*", "tag:monitoring"))

_CONFIGURATION = """\
auth_backends.1 = rabbit_auth_backend_oauth2
auth_backends.2 = rabbit_auth_backend_internal
auth_oauth2.resource_server_id = {resource}
auth_oauth2.default_key = pocket
auth_oauth2.signing_keys.pocket = {key}
"""


class PocketTokens:
    """Signs tokens of a life of its own choice for one client; keeps count of them.

    `broker_configuration` has a broker with the plugin rabbitmq_auth_backend_oauth2 believe it.
    """

    def __init__(self, place: Path, *, client: str = "mirror", secret: str = "token-secret") -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        public = place / "tokens.pem"
        public.write_bytes(self._key.public_key().public_bytes(pem, form))
        self.broker_configuration = _CONFIGURATION.format(resource=RESOURCE, key=public)
        self.client, self.secret = client, secret
        self.life_s, self.scope, self.audience = 3600, EVERYTHING, RESOURCE
        #: Tokens that were given, and whether any are.
        self.given = 0
        self.is_up = True

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Give tokens until it is left; gives the URL to ask at."""
        app = web.Application()
        app.router.add_post("/token", self._answer)
        async with serving(app, 0, "127.0.0.1") as url:
            yield f"{url}/token"

    async def _answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        if not self.is_up:
            return web.json_response({"error": "temporarily_unavailable"}, status=503)
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        if request.headers.get("Authorization") != aiohttp.encode_basic_auth(self.client, self.secret):
            told = {"error": "invalid_client", "error_description": "Invalid client or Invalid client credentials"}
            return web.json_response(told, status=401)
        self.given += 1
        return web.json_response({"access_token": self._token(), "token_type": "Bearer", "expires_in": self.life_s})

    def _token(self) -> str:
        now = int(time.time())
        claims: dict[str, object] = {"iss": "pocket", "sub": self.client, "client_id": self.client}
        claims |= {"aud": [self.audience], "iat": now, "exp": now + self.life_s, "scope": self.scope}
        return jwt.encode(claims, self._key, "RS256", headers={"kid": "pocket"})
