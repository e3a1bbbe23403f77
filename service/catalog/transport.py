"""One exchange over HTTP: bounded, with a deadline, over verified TLS, and never with a host that we did not name."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urljoin, urlsplit

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from service import __version__
from service.catalog.clouds import exchange_of
from service.errors import (
    CatalogAnswerInvalid,
    CatalogAnswerTooLarge,
    CatalogLeadsElsewhere,
    CatalogUnreachable,
    MirrorError,
)
from service.settings.model import CatalogSettings
from service.settings.proxies import proxy_for
from service.settings.trust import Trust
from service.telemetry import traces

#: Seconds to connect in, where the deadline of the whole call leaves more.
CONNECT_S = 10.0
#: Redirects that are followed, on the same host.
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Those that ask to send the same method and body again.
_SAME_METHOD = frozenset({307, 308})

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Call:
    """What to send. `path` is shown in messages, the rest is not."""

    method: str
    base: str
    path: str
    query: Query = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"{self.method} {self.path}"

    @property
    def url(self) -> str:
        """All of it, encoded."""
        query = urlencode(self.query, quote_via=quote, safe="")
        return f"{self.base}{self.path}{'?' if query else ''}{query}"


@dataclass(frozen=True, slots=True)
class Raw:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    #: Seconds from sending to the first byte of the answer.
    took_s: float


class Transport:
    """The HTTP session; open from `open` to `close`."""

    def __init__(self, settings: CatalogSettings) -> None:
        self._settings = settings
        self._own = trust_of(settings, own_only=True)
        #: The sign-in on the cloud has a public certificate even where the catalog's is of the company.
        self._any = trust_of(settings, own_only=False) if settings.ca_file else self._own
        self._session: ClientSession | None = None
        #: Redirects stay on the host, and so behind its proxy.
        self._proxies = {base: proxy_for(base) for base in (settings.url or "", exchange_of(settings))}

    def open(self) -> None:
        """Open the session, in the running loop."""
        self._session = session_of(self._settings, TCPConnector(limit=0))

    async def close(self) -> None:
        """Close the session and its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def exchange(self, call: Call) -> Raw:
        """Send and read the whole answer, following redirects on the same host only.

        Raises:
            CatalogUnreachable: no answer, or not all of it.
            CatalogAnswerTooLarge: it is larger than settings allow; it is not read to its end.
            CatalogLeadsElsewhere: it redirects to another host, port or scheme.
            CatalogAnswerInvalid: it redirects without end, or a call that must not be sent twice.
        """
        if self._session is None:
            raise RuntimeError("the client is not open")
        url = call.url
        try:
            for _ in range(MAX_REDIRECTS + 1):
                started = time.monotonic()
                async with self._session.request(
                    call.method, URL(url, encoded=True), data=call.body, headers={**call.headers, **traces.headers()},
                    allow_redirects=False, ssl=self._context(call.base), proxy=self._proxies[call.base],
                ) as response:  # fmt: skip
                    took_s = time.monotonic() - started
                    if response.status not in REDIRECTS:
                        return Raw(response.status, response.headers, await self._body(call, response), took_s)
                    url = _next_place(call, url, response)
        except (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            raise CatalogUnreachable(
                call=call.name, problem=reason_of(error, self._settings), where=call.base
            ) from None
        raise CatalogAnswerInvalid(call=call.name, problem=f"it redirects more than {MAX_REDIRECTS} times")

    def _context(self, base: str) -> ssl.SSLContext:
        return (self._own if base == self._settings.url else self._any).context

    async def _body(self, call: Call, response: ClientResponse) -> bytes:
        limit = self._settings.max_answer_bytes
        return b"".join(
            [part async for part in parts_of(response, limit, CatalogAnswerTooLarge(call=call.name, limit=limit))]
        )


def session_of(settings: CatalogSettings, connector: TCPConnector) -> ClientSession:
    """A session that keeps no cookies and waits no longer than settings allow."""
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        headers={"User-Agent": f"catalog-mirror/{__version__}", "Accept": "application/json"},
        timeout=ClientTimeout(total=settings.timeout_s, connect=min(CONNECT_S, settings.timeout_s)),
    )


async def parts_of(response: ClientResponse, limit: int, too_large: MirrorError) -> AsyncIterator[bytes]:
    """What an answer holds, piece by piece; raises `too_large` as soon as that is known, and reads no further."""
    if (response.content_length or 0) > limit:
        raise too_large
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > limit:
            raise too_large
        yield part


def trust_of(settings: CatalogSettings, *, own_only: bool) -> Trust:
    """Whom we believe: those that settings name, and unless `own_only` those that everybody trusts.

    Raises:
        SettingInvalid: the file cannot be read.
    """
    return Trust(settings.ca_file, "CATALOG__CA_FILE", beside=not own_only)


def _next_place(call: Call, url: str, response: ClientResponse) -> str:
    """Where a redirect leads, if we may go there."""
    try:
        target = urljoin(url, response.headers.get("Location", ""))
        here, there = urlsplit(url), urlsplit(target)
        place = f"{there.scheme}://{there.hostname or ''}{f':{there.port}' if there.port else ''}"
        same = (here.scheme, here.hostname, _port(here.scheme, here.port)) == (
            there.scheme, there.hostname, _port(there.scheme, there.port),
        )  # fmt: skip
    except ValueError:
        raise CatalogAnswerInvalid(call=call.name, problem="it redirects to what is no URL") from None
    if not same:
        raise CatalogLeadsElsewhere(call=call.name, place=place)
    if call.method != "GET" and response.status not in _SAME_METHOD:
        raise CatalogAnswerInvalid(call=call.name, problem=f"it redirects ({response.status}) a call with a body")
    return target


def _port(scheme: str, port: int | None) -> int | None:
    return port or {"http": 80, "https": 443}.get(scheme)


def reason_of(error: Exception, settings: CatalogSettings) -> str:
    """Why there is no answer, without anything that was sent."""
    if isinstance(error, TimeoutError):
        return f"nothing within {settings.timeout_s:g} s"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return "its certificate does not lead to one that we trust (CATALOG__CA_FILE names your own)"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answers {error.status} {error.message}"[:200]
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"the proxy cannot be reached: {error.os_error.strerror or error.os_error}"[:200]
    if isinstance(error, aiohttp.ClientConnectorError):
        return str(error.os_error.strerror or error.os_error)[:200] or "no connection"
    return type(error).__name__
