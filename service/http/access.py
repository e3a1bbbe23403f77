"""Who may call what. Without tokens: everybody on this machine, and only to read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from service.errors import SettingInvalid
from service.http.guesses import Guesses
from service.http.problems import Handler, Problem, forbidden
from service.http.tokens import Caller, NamedToken, Scope, TokenFileInvalid, TokenRefused, find, read_tokens
from service.operations.findings import Finding, checked
from service.settings.files import Watched
from service.settings.model import HttpSettings, Settings

if TYPE_CHECKING:
    from service.http.oidc import Issuer

#: Who calls while there are no tokens.
ANYBODY = Caller("anybody", frozenset({Scope.READ}))
#: What a handler needs; handlers without it may be called by everybody.
_NEEDS = "needs_scope"
#: The proof of a session whose token an issuer vouched for: it lasts as long as it was given.
BY_ISSUER = "issuer"
CALLER = web.RequestKey("caller", Caller)


class Access:
    """The door.

    Raises:
        SettingInvalid: the token file cannot be used, or settings contradict each other.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._tokens = _tokens(settings)
        self._issuer = _issuer_of(settings)
        self._guesses = Guesses()

    @property
    def issuer(self) -> Issuer | None:
        """Who issues tokens that we take beside our own."""
        return self._issuer

    @property
    def has_tokens(self) -> bool:
        """Somebody may be told from somebody else."""
        return self._tokens is not None or self._issuer is not None

    async def caller(self, request: web.Request) -> Caller:
        """Who calls.

        Raises:
            Problem: 401 nobody that we know; 403 from elsewhere, while there are no tokens; 429 too many wrong tokens
                came from this address. A right one is always taken.
        """
        if not self.has_tokens:
            if not is_local(request.host):  # a page of somebody else's, whose name leads here
                raise forbidden("Without tokens the API answers this machine alone, under the name localhost.")
            return ANYBODY
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unauthorized("Send `Authorization: Bearer …` with a token of this API.")
        return await self._whose(token.strip(), request.remote or "")

    async def signed_in(self, request: web.Request, token: str) -> tuple[Caller, str]:
        """Whose token this is, and the proof that a session of theirs keeps; it tells nothing of the token.

        Raises:
            Problem: 401, it is not known; 429 as for `caller`.
        """
        caller = await self._whose(token, request.remote or "")
        for named in self._tokens.value if self._tokens else ():
            if named.caller == caller:
                return caller, _proof(named)
        return caller, BY_ISSUER

    def still(self, name: str, proof: str, scopes: Iterable[str]) -> frozenset[Scope]:
        """What a session may do now: what its token may, as long as the file has it; none once it is gone."""
        if proof == BY_ISSUER:
            return frozenset(map(Scope, scopes)) if self._issuer else frozenset()
        for named in self._tokens.value if self._tokens else ():
            if named.caller.name == name and hmac.compare_digest(_proof(named), proof):
                return named.caller.scopes
        return frozenset()

    async def _whose(self, token: str, address: str) -> Caller:
        found = find(self._tokens.value, token) if self._tokens else None
        if found is None and self._issuer is not None and token.count(".") == 2:
            try:
                return await self._issuer.caller(token)
            except TokenRefused as refused:
                raise _unauthorized(f"The token is not good: {refused}.") from None
        if found is None:  # a signature cannot be guessed, these can
            await self._guesses.wrong(address)
            raise _unauthorized("The token is not known.")
        return found


def needs(scope: Scope, handler: Handler) -> Handler:
    """The handler, for callers with this scope alone."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    setattr(handle, _NEEDS, scope)
    return handle


def guarded(access: Access) -> Middleware:
    """The middleware that lets callers with the right scope through."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        scope: Scope | None = getattr(request.match_info.handler, _NEEDS, None)
        if scope is not None:
            caller = await access.caller(request)
            if scope not in caller.scopes:
                raise forbidden(_lacks(scope, caller))
            request[CALLER] = caller
        return await handler(request)

    return guard


def _proof(named: NamedToken) -> str:
    """Whether it is the same token, to be told without the token and without what it is compared with."""
    return hashlib.sha256(named.sha256).hexdigest()


def _lacks(scope: Scope, caller: Caller) -> str:
    if caller is ANYBODY:
        return f"Without tokens the API only reads; {scope} needs one of CATALOG_MIRROR_HTTP__TOKENS_FILE."
    return f"The token of {caller.name} lacks the scope {scope}."


def _unauthorized(message: str) -> Problem:
    return Problem(401, "not_authenticated", message, {hdrs.WWW_AUTHENTICATE: 'Bearer realm="catalog-mirror"'})


async def findings(settings: Settings) -> AsyncIterator[Finding]:
    """What `doctor` finds at the door."""

    async def door() -> str:
        http = settings.http
        if Access(http).has_tokens:
            return f"answers whoever has a token, on {http.host}:{http.api_port}"
        return f"answers this machine alone and only reads, on port {http.api_port}: no tokens are set"

    yield await checked("api", door)


def is_local(host: str) -> bool:
    """Whether the name by which we are called leads to this machine from everywhere, so that it is meant."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _tokens(settings: HttpSettings) -> Watched[list[NamedToken]] | None:
    if settings.tokens_file is None:
        return None
    try:
        return Watched.text(settings.tokens_file, read_tokens)
    except (OSError, UnicodeDecodeError, TokenFileInvalid) as error:
        problem = f"{settings.tokens_file}: {error}"
        raise SettingInvalid(setting="CATALOG_MIRROR_HTTP__TOKENS_FILE", problem=problem) from None


def _issuer_of(settings: HttpSettings) -> Issuer | None:
    """The issuer that settings name; what reads its tokens is large, and imported only for it.

    Raises:
        SettingInvalid: issuer or audience without the other: a token for somebody else would open the door.
    """
    if settings.oidc_issuer and not settings.oidc_audience:
        raise SettingInvalid(setting="CATALOG_MIRROR_HTTP__OIDC_AUDIENCE", problem="an issuer needs an audience")
    if settings.oidc_audience and not settings.oidc_issuer:
        raise SettingInvalid(setting="CATALOG_MIRROR_HTTP__OIDC_ISSUER", problem="an audience needs an issuer")
    if not settings.oidc_issuer:
        return None
    from service.http.oidc import Issuer

    return Issuer(settings)
