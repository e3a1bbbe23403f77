"""JSON Web Tokens of an OpenID Connect issuer: signature, issuer, audience and life are checked (RFC 7519, 9068)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import aiohttp
import jwt
import structlog

from service.changes import CATALOG
from service.errors import TransientError
from service.http.tokens import Caller, Scope, TokenRefused
from service.settings.model import HttpSettings
from service.settings.proxies import proxy_for
from service.settings.trust import Trust
from service.text import documents

log = structlog.get_logger(__name__)

#: Signatures that are taken: of public keys only, so that nobody signs with what everybody can read.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
#: Seconds that keys are used, and seconds before an unknown key has them read again.
KEYS_LIVE_S, KEYS_REST_S = 600.0, 10.0
#: Seconds that clocks may differ.
LEEWAY_S = 30
_TIMEOUT = aiohttp.ClientTimeout(total=10)
#: Claims that say who it is, the client before the user: a run is known by what sent it.
_NAME_CLAIMS = ("azp", "client_id", "sub")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")


class IssuerUnreachable(TransientError):
    """The keys of the issuer {issuer} cannot be read: {problem}."""

    error_class = "issuer"
    remedy = "Check CATALOG_MIRROR_HTTP__OIDC_ISSUER and HTTP__OIDC_JWKS_URL; tokens of a file work meanwhile."


class Issuer:
    """One issuer whose tokens we take."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._trust = Trust(settings.oidc_ca_file, "HTTP__OIDC_CA_FILE")
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def caller(self, token: str) -> Caller:
        """Who presents this token.

        Raises:
            TokenRefused: it is not good.
            IssuerUnreachable: its key is not known and cannot be read now.
        """
        claims = await self.claims(token, self._settings.oidc_audience or "")
        return Caller(name_of(claims, _NAME_CLAIMS), self.scopes(claims))

    async def claims(self, token: str, audience: str) -> dict[str, Any]:
        """What a token for this audience claims, once signature, issuer, audience and life are checked.

        Raises: as `caller`.
        """
        try:
            key = await self._key(jwt.get_unverified_header(token).get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=list(ALGORITHMS), audience=audience,
                issuer=[self._issuer, f"{self._issuer}/"], leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise TokenRefused(type(error).__name__) from None
        return claims

    async def configuration(self) -> dict[str, Any]:
        """What the issuer says of itself (OpenID Connect Discovery 1.0).

        Raises:
            IssuerUnreachable: it does not.
        """
        with self._reached():
            async with self.session() as session:
                return await _json(session, f"{self._issuer}/.well-known/openid-configuration")

    def session(self) -> aiohttp.ClientSession:
        """What calls the issuer, trusting whom settings trust."""
        return aiohttp.ClientSession(timeout=_TIMEOUT, connector=aiohttp.TCPConnector(ssl=self._trust.context))

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, jwt.PyJWTError) as error:
            raise IssuerUnreachable(issuer=self._issuer, problem=type(error).__name__) from None

    @property
    def _issuer(self) -> str:
        return self._settings.oidc_issuer or ""

    async def _key(self, key_id: Any) -> jwt.PyJWK:
        """The key with this id; read anew when it is not known."""
        age_s = time.monotonic() - self._read_at
        if age_s > KEYS_LIVE_S or (key_id not in self._keys and age_s > KEYS_REST_S):
            async with self._lock:
                if time.monotonic() - self._read_at >= age_s:
                    await self._read_keys()
        if key_id not in self._keys:
            raise TokenRefused("it is signed with a key that the issuer does not have")
        return self._keys[key_id]

    async def _read_keys(self) -> None:
        try:
            with self._reached():
                url = self._settings.oidc_jwks_url or _keys_url(await self.configuration())
                async with self.session() as session:
                    found = jwt.PyJWKSet.from_dict(await _json(session, url)).keys
        except IssuerUnreachable as error:
            if self._keys:
                log.warning("issuer_keys_not_renewed", problem=error.details["problem"])
                self._read_at = time.monotonic() - KEYS_LIVE_S + KEYS_REST_S
                return
            raise
        self._keys = {key.key_id: key for key in found if key.key_type != "oct"}
        self._read_at = time.monotonic()

    def scopes(self, claims: dict[str, Any]) -> frozenset[Scope]:
        """Those of ours that the claim names; others are of other services."""
        told = claims.get(self._settings.oidc_scope_claim) or ()
        words = told.split() if isinstance(told, str) else [word for word in told if isinstance(word, str)]
        prefix = self._settings.oidc_scope_prefix
        ours = {word.removeprefix(prefix) for word in words if word.startswith(prefix)}
        return frozenset(scope for scope in Scope if scope.value in ours)


def name_of(claims: dict[str, Any], names: Sequence[str]) -> str:
    """Who it is, by the first of these claims that is there, in characters that any log takes."""
    told = next((claims[claim] for claim in names if isinstance(claims.get(claim), str)), "oidc")
    name = _NOT_IN_NAMES.sub("_", told)[:64] or "oidc"
    return f"oidc_{name}" if name == CATALOG else name


def _keys_url(told: dict[str, Any]) -> str:
    url = told.get("jwks_uri")
    if not isinstance(url, str):
        raise ValueError("no jwks_uri")
    return url


async def _json(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, proxy=proxy_for(url)) as response:
        response.raise_for_status()
        value = documents.shallow(await response.read())
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value
