"""Tokens: how we sign in, and how long a token is used.

On a cloud an API key is exchanged for a token that lives for an hour, on each in its own way; on premises the catalog
itself takes a user with a key or a password (docs/contract.md, "Sign-in"). Secrets are read again from their files at
each sign-in, so they may rotate. They, and the tokens, are in no message, log line or repr.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

from pydantic import SecretStr

from service.catalog.answer import Answer, date_of
from service.catalog.clouds import EXCHANGES, exchange_of, way_of
from service.catalog.refusals import read_refusal, sentence
from service.catalog.transport import Call, Raw
from service.errors import CatalogAnswerInvalid, CatalogRefused, DataError, MirrorError, SettingInvalid
from service.settings.model import CatalogSettings
from service.text import documents

_GRANT = "urn:ibm:params:oauth:grant-type:apikey"
_SECTION = "CATALOG_MIRROR_CATALOG__"
#: Seconds before its end that a token is renewed at the latest; of a short life this share.
SKEW_S, SKEW_SHARE = 300.0, 0.2
#: Seconds in which credentials that were refused are not tried again, so that nobody's account is locked.
REFUSAL_HOLDS_S = 10.0

#: Sends a call, retrying what may pass; answers whatever status came back in the end below 500, but 429.
Send = Callable[[Call], Awaitable[Raw]]


@dataclass(frozen=True, slots=True)
class _Token:
    value: SecretStr
    #: On the monotonic clock; None where its life is not told, so that a 401 tells.
    renew_at: float | None

    @property
    def is_fresh(self) -> bool:
        return self.renew_at is None or time.monotonic() < self.renew_at


class TokenSource:
    """Gives a token, renews it in time, and asks for one only once however many wait for it."""

    def __init__(self, settings: CatalogSettings, send: Send) -> None:
        """Raises `SettingInvalid` where settings name nobody to sign in."""
        self._settings = settings
        self._send = send
        self._token: _Token | None = None
        self._lock = asyncio.Lock()
        #: Sign-ins that ended, and how the last one failed.
        self._ended = 0
        self._failure: MirrorError | None = None
        self._tried: Credentials = credentials_of(settings)
        self._tried_at = -math.inf

    async def token(self) -> str:
        """A token that is good for some time yet.

        Raises:
            CatalogRefused: the sign-in does not accept our credentials.
            CatalogUnreachable, CatalogFailed, CatalogBusy: it does not answer, or not now.
            CatalogAnswerInvalid: it answers without a token.
        """
        if self._token is None or not self._token.is_fresh:
            await self._renew(self._token)
        return self._value()

    async def renewed(self, refused: str) -> str:
        """Another token than this one, which the catalog refuses."""
        if self._token is not None and self._token.value.get_secret_value() == refused:
            await self._renew(self._token)
        return await self.token()

    def secrets(self) -> list[str]:
        """All that must not be shown."""
        held = [*self._credentials().secrets]
        return [*held, self._token.value.get_secret_value()] if self._token else held

    @property
    def setting(self) -> str:
        """Which setting to look at when the catalog refuses us."""
        return self._credentials().setting

    def _credentials(self) -> Credentials:
        """As the files are now."""
        return credentials_of(self._settings)

    def _value(self) -> str:
        if self._token is None:
            raise RuntimeError("there is no token")
        return self._token.value.get_secret_value()

    async def _renew(self, old: _Token | None) -> None:
        """Sign in, unless whoever was first did it meanwhile; then share what came of that."""
        ended = self._ended
        async with self._lock:
            if self._token is not old:
                return
            if self._failure is not None and (self._ended != ended or self._is_still_refused()):
                raise type(self._failure)(**self._failure.details)
            self._failure = None
            try:
                self._token = await self._signed_in()
            except MirrorError as error:
                self._failure = error
                raise
            finally:
                self._ended += 1

    def _is_still_refused(self) -> bool:
        """Whether the same credentials were refused just now."""
        is_recent = time.monotonic() < self._tried_at + REFUSAL_HOLDS_S
        return isinstance(self._failure, CatalogRefused) and is_recent and self._tried == self._credentials()

    async def _signed_in(self) -> _Token:
        credentials = self._credentials()
        self._tried, self._tried_at = credentials, time.monotonic()
        call = credentials.call
        raw = await self._send(call)
        if raw.status >= 300:
            told = read_refusal(raw.body, credentials.secrets)
            raise CatalogRefused(
                call=call.name, problem=sentence(raw.status, told), setting=credentials.setting,
                status=raw.status, code=told.code, trace=told.trace,
            )  # fmt: skip
        answer = Answer(raw.status, raw.body, None, call.name)
        value = answer.object()
        token = value.get(credentials.token_key)
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
            raise CatalogAnswerInvalid(call=call.name, problem=f"it holds no text under {credentials.token_key!r}")
        token = token.removeprefix("Bearer ").strip()
        life_s = _life_s(value, token, raw.headers)
        renew_at = None if life_s is None else time.monotonic() + life_s - min(SKEW_S, life_s * SKEW_SHARE)
        return _Token(SecretStr(token), renew_at)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs in, and how."""

    call: Call
    #: Which setting to look at when they are refused.
    setting: str
    token_key: str
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Credentials({self.call.name})"


def credentials_of(settings: CatalogSettings) -> Credentials:
    """The call that signs in.

    Raises:
        SettingInvalid: what it needs is not set.
    """
    if not settings.url:
        raise SettingInvalid(setting=_SECTION + "URL", problem="it is not set")
    key = settings.api_key.get_secret_value().strip() if settings.api_key else ""
    password = settings.password.get_secret_value() if settings.password else ""
    way = way_of(settings)
    if way == "cpd":
        return _on_premises(settings.url, settings.username or "", key, password)
    if not key:
        raise SettingInvalid(setting=_SECTION + "API_KEY", problem="it is not set, and CATALOG__URL is")
    path, token_key = EXCHANGES[way]
    if way == "mcsp":
        if not settings.account_id:
            raise SettingInvalid(setting=_SECTION + "ACCOUNT_ID", problem="it is not set, and the catalog is on AWS")
        path = path.format(account=quote(settings.account_id, safe=""))
        content, body = "application/json", json.dumps({"apikey": key}).encode()
    else:
        form = {"grant_type": _GRANT, "apikey": key} if way == "iam" else {"apikey": key}
        content, body = "application/x-www-form-urlencoded", urlencode(form).encode()
    call = Call("POST", exchange_of(settings), path, headers={"Content-Type": content}, body=body)
    return Credentials(call, _SECTION + "API_KEY", token_key, (key, password, quote_plus(key)))


def _on_premises(url: str, username: str, key: str, password: str) -> Credentials:
    if not username:
        raise SettingInvalid(setting=_SECTION + "USERNAME", problem="it is not set, and CATALOG__AUTH is cpd")
    if not key and not password:
        problem = "it is not set, and no PASSWORD either, for the user that signs in"
        raise SettingInvalid(setting=_SECTION + "API_KEY", problem=problem)
    name, secret = ("api_key", key) if key else ("password", password)
    body = json.dumps({"username": username, name: secret}).encode()
    call = Call("POST", url, "/icp4d-api/v1/authorize", headers={"Content-Type": "application/json"}, body=body)
    return Credentials(call, _SECTION + name.upper(), "token", (key, password))


def _life_s(value: Mapping[str, Any], token: str, headers: Mapping[str, str]) -> float | None:
    """Seconds that a token lives, the shortest of what is told; None where nothing is, so that a 401 tells.

    Moments are on the issuer's clock, so they are compared with its `Date`; ours, which may be wrong, is the last
    resort.
    """
    clock = date_of(headers)
    told = [_number(value.get("expires_in"), 0)]
    if clock is not None or told == [None]:
        now_s = clock.timestamp() if clock else time.time()
        told += [_number(value.get("expiration"), now_s), _number(_claims(token).get("exp"), now_s)]
    return min((life_s for life_s in told if life_s is not None and life_s > 0), default=None)


def _number(value: Any, since: float) -> float | None:
    return float(value) - since if isinstance(value, int | float) and not isinstance(value, bool) else None


def _claims(token: str) -> dict[str, Any]:
    """What a JWT says of itself; it is not verified, for it is not us who trust it."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = documents.read(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), 10)
    except (ValueError, DataError):
        return {}
    return claims if isinstance(claims, dict) else {}
