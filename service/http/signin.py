"""Signing in with an OpenID Connect issuer: authorization code with PKCE (RFC 6749, RFC 7636, OpenID Connect Core 1.0).

A browser is sent to the issuer (`begin`) and comes back with a code (`finish`), which we exchange for tokens; who it is
stands in one of them. What lies between is one secret of that browser's (`Pending`), which whoever calls keeps.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import structlog

from service.errors import MirrorError, SettingInvalid
from service.http.oidc import Issuer, IssuerUnreachable, name_of
from service.http.tokens import Caller, TokenRefused
from service.settings.model import HttpSettings
from service.settings.proxies import proxy_for
from service.text import documents

log = structlog.get_logger(__name__)

#: Seconds that somebody may take to sign in.
PATIENCE_S = 600.0
#: Bytes of the issuer's answer that are read.
_MAX_ANSWER = 256 * 1024
#: Claims that say which person it is.
_NAME_CLAIMS = ("preferred_username", "email", "sub")


class SignInRefused(MirrorError):
    """You could not be signed in: {problem}."""

    error_class = "sign_in"
    remedy = "Sign in anew; if it stays so, tell whoever runs the mirror."


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that was begun: secrets of one browser, not to be shown to another."""

    state: str
    nonce: str
    verifier: str
    #: Seconds since 1970.
    begun_at: float


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser is sent, and what has to be kept for it until it comes back."""

    url: str
    pending: Pending


class SignIn:
    """Signs people in.

    Raises:
        SettingInvalid: an issuer, a client or where people come back to is missing.
    """

    def __init__(self, settings: HttpSettings, issuer: Issuer) -> None:
        for name in ("oidc_client_id", "oidc_redirect_url"):
            if not getattr(settings, name):
                raise SettingInvalid(setting=f"CATALOG_MIRROR_HTTP__{name.upper()}", problem="signing in needs it")
        if "openid" not in settings.oidc_scopes.split():
            raise SettingInvalid(setting="CATALOG_MIRROR_HTTP__OIDC_SCOPES", problem="openid is not among it")
        self._settings = settings
        self._issuer = issuer

    async def begin(self) -> Begun:
        """Begin to sign somebody in.

        Raises:
            IssuerUnreachable: nobody can be signed in now.
        """
        endpoint = _endpoint(await self._issuer.configuration(), "authorization_endpoint", self._settings)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        pending = Pending(state, nonce, verifier, time.time())
        asked = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id or "",
            "redirect_uri": self._settings.oidc_redirect_url or "",
            "scope": self._settings.oidc_scopes,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": _challenge(pending.verifier),
            "code_challenge_method": "S256",
        }
        return Begun(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", pending)

    async def finish(self, pending: Pending, query: Mapping[str, str]) -> Caller:
        """Who came back with these query parameters.

        Args:
            pending: what was kept for this browser, and is forgotten now: a code is used once.

        Raises:
            SignInRefused: nobody did, or not in answer to what we asked.
            IssuerUnreachable: it does not say.
        """
        if not _same(query.get("state", ""), pending.state):
            raise SignInRefused(problem="the answer is none to what this browser asked")
        if not 0 <= time.time() - pending.begun_at <= PATIENCE_S:
            raise SignInRefused(problem="it took too long")
        if "error" in query or not query.get("code"):
            raise SignInRefused(problem="the sign-in service did not agree")
        told = await self._issuer.configuration()
        if query.get("iss", told.get("issuer")) != told.get("issuer"):  # RFC 9207
            raise SignInRefused(problem="the answer is another sign-in service's")
        tokens = await self._exchange(told, query["code"], pending.verifier)
        return await self._caller(tokens, pending.nonce)

    async def _exchange(self, told: dict[str, Any], code: str, verifier: str) -> dict[str, Any]:
        """The tokens for a code."""
        endpoint = _endpoint(told, "token_endpoint", self._settings)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.oidc_redirect_url or "",
            "code_verifier": verifier,
        }
        headers = self._authenticated(form, told.get("token_endpoint_auth_methods_supported"))
        try:
            async with (
                self._issuer.session() as session,
                session.post(
                    endpoint, data=form, headers=headers, allow_redirects=False, proxy=proxy_for(endpoint)
                ) as response,
            ):
                status, raw = response.status, await _bounded(response.content)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise IssuerUnreachable(issuer=self._settings.oidc_issuer, problem=type(error).__name__) from None
        if status >= 500:
            raise IssuerUnreachable(issuer=self._settings.oidc_issuer, problem=f"HTTP {status}")
        try:
            value = documents.shallow(raw)
        except ValueError:
            value = None
        if status != 200 or not isinstance(value, dict):
            log.warning("sign_in_refused", status=status, error=_word(value))
            raise SignInRefused(problem="the sign-in service does not take the code")
        return value

    def _authenticated(self, form: dict[str, str], methods: Any) -> dict[str, str]:
        """Say in the form or by a header which client we are; a client without a secret says its name alone."""
        client, secret = self._settings.oidc_client_id or "", self._settings.oidc_client_secret
        by_form = isinstance(methods, list) and "client_secret_basic" not in methods
        if secret is None or by_form:
            form["client_id"] = client
            if secret is not None:
                form["client_secret"] = secret.get_secret_value()
            return {}
        pair = f"{quote(client, safe='')}:{quote(secret.get_secret_value(), safe='')}"  # RFC 6749, 2.3.1
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    async def _caller(self, tokens: dict[str, Any], nonce: str) -> Caller:
        """Who signed in, by the ID token; what they may do, by the access token if it is one for us, else by it too."""
        try:
            claims = await self._issuer.claims(str(tokens.get("id_token")), self._settings.oidc_client_id or "")
        except TokenRefused as refused:
            raise SignInRefused(problem=f"the ID token is not good ({refused})") from None
        if not _same(str(claims.get("nonce", "")), nonce):
            raise SignInRefused(problem="the ID token is none for this sign-in")
        if claims.get("azp", self._settings.oidc_client_id) != self._settings.oidc_client_id:
            raise SignInRefused(problem="the ID token is for another client")
        try:
            scopes = (await self._issuer.caller(str(tokens.get("access_token")))).scopes
        except TokenRefused:  # not a JSON Web Token, or one for another service
            scopes = self._issuer.scopes(claims)
        return Caller(name_of(claims, _NAME_CLAIMS), scopes)


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    raw = bytearray()
    async for chunk in content.iter_chunked(16_384):
        raw += chunk
        if len(raw) > _MAX_ANSWER:
            raise aiohttp.ClientPayloadError("too large")
    return bytes(raw)


def _same(told: str, known: str) -> bool:
    return hmac.compare_digest(told.encode("utf-8", "surrogatepass"), known.encode())


def _endpoint(told: dict[str, Any], name: str, settings: HttpSettings) -> str:
    url = told.get(name)
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise IssuerUnreachable(issuer=settings.oidc_issuer, problem=f"it names no {name}")
    return url


def _challenge(verifier: str) -> str:
    """RFC 7636, 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _word(value: Any) -> str:
    """The error code of RFC 6749, 5.2, if that is what was answered; nothing else of it is logged."""
    error = value.get("error") if isinstance(value, dict) else None
    return error[:40] if isinstance(error, str) and error.replace("_", "").isalpha() else "unknown"
