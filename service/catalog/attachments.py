"""Documents beside cards: what a signed URL leads to, on a host that is not the catalog's.

The URL is a secret that the catalog made, and the host is what somebody put into the catalog: so it is asked only where
settings name it, without anything of ours, and what it answers is read up to a bound.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from fnmatch import fnmatchcase
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp import ClientResponse, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from service.catalog.transport import MAX_REDIRECTS, REDIRECTS, parts_of, reason_of, session_of, trust_of
from service.errors import DocumentExpired, DocumentRefused, DocumentTooLarge, DocumentUnavailable, SettingInvalid
from service.settings.model import CatalogSettings, SyncSettings
from service.settings.proxies import proxy_for

SETTING = "CATALOG_MIRROR_SYNC__PROFILE_DOCUMENT_HOSTS"
#: What a store of objects answers where the time of a signed URL is over, or its signature is no longer good.
_EXPIRED = frozenset({400, 401, 403})


class Hosts:
    """Who may be asked: names (`*.example.com` too), and networks in which an address may lie that is not public."""

    def __init__(self, told: Sequence[str]) -> None:
        """Raises `SettingInvalid`: something like a network that is none."""
        try:
            self._networks = [ipaddress.ip_network(one) for one in told if "/" in one]
        except ValueError as error:
            raise SettingInvalid(setting=SETTING, problem=f"{error}: name hosts, or networks as 10.1.0.0/16") from None
        self._names = [one.lower().rstrip(".") for one in told if "/" not in one]

    def check(self, url: str) -> str:
        """The host of a URL that may be asked.

        Raises:
            DocumentRefused: it is not of https, or of a host that is not named.
        """
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            raise DocumentRefused(place="what is no URL", problem="nobody can be asked") from None
        if parts.scheme != "https" or not host:
            raise DocumentRefused(place=f"{parts.scheme or 'no scheme'}:", problem="only https is asked")
        if not any(fnmatchcase(host, name) for name in self._names):
            raise DocumentRefused(place=host, problem=f"{SETTING} does not name it")
        if _is_address(host):
            self.check_address(host, host)
        return host

    def check_address(self, address: str, host: str) -> None:
        """Raises `DocumentRefused`: it is not a public address, and in no network that is named."""
        found = ipaddress.ip_address(address.partition("%")[0])
        found = getattr(found, "ipv4_mapped", None) or found
        if not found.is_global and not any(found in network for network in self._networks):
            raise DocumentRefused(
                place=host, problem=f"its address {found} is not public, and no network in {SETTING} has it"
            )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Checked(AbstractResolver):
    """Looks names up, and lets nobody connect to an address that was not checked."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for one in found:
            self._hosts.check_address(one["host"], host)
        return found

    async def close(self) -> None:
        await self._inner.close()


class Documents:
    """Reads what signed URLs lead to; a session per document, which are few and large."""

    def __init__(self, settings: CatalogSettings, sync: SyncSettings) -> None:
        """Raises `SettingInvalid`: a network that is none, or an unusable CA file."""
        self._settings = settings
        self._limit = sync.profile_document_max_bytes
        self.hosts = Hosts(sync.profile_document_hosts)
        self._trust = trust_of(settings, own_only=False)

    async def fetch(self, url: str) -> bytearray:
        """All of a document; the only copy of it.

        Raises:
            DocumentRefused: it is, or leads, where it must not be read.
            DocumentExpired: the URL is no longer good; a new one may be.
            DocumentTooLarge: it is not read to its end.
            DocumentUnavailable: it cannot be had now.
        """
        host = self.hosts.check(url)
        proxy = proxy_for(f"https://{host}")
        async with session_of(self._settings, TCPConnector(resolver=_Checked(self.hosts))) as session:
            try:
                for _ in range(MAX_REDIRECTS + 1):
                    async with session.get(
                        URL(url, encoded=True), allow_redirects=False, ssl=self._trust.context, proxy=proxy
                    ) as response:
                        if response.status not in REDIRECTS:
                            return await self._body(host, response)
                        url = self._next(url, host, response)
            except (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
                raise DocumentUnavailable(host=host, problem=reason_of(error, self._settings)) from None
        raise DocumentUnavailable(host=host, problem=f"it redirects more than {MAX_REDIRECTS} times")

    async def _body(self, host: str, response: ClientResponse) -> bytearray:
        if response.status in _EXPIRED:
            raise DocumentExpired(host=host, status=response.status)
        if response.status != 200:
            raise DocumentUnavailable(host=host, problem=f"it answers {response.status}")
        body = bytearray()
        async for part in parts_of(response, self._limit, DocumentTooLarge(limit=self._limit)):
            body += part
        return body

    def _next(self, url: str, host: str, response: ClientResponse) -> str:
        target = urljoin(url, response.headers.get("Location", ""))
        if self.hosts.check(target) != host:
            raise DocumentRefused(place=urlsplit(target).hostname or "", problem=f"{host} leads there")
        return target
