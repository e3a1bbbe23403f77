"""Calls go through the proxy that the environment names, with its credentials, and around it where it says so."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from sandbox.catalog import access
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.server import serve
from sandbox.parts.listener import Listener
from sandbox.parts.tls import Certificates, link_to, tls_front
from sandbox.serving import answering
from service.catalog.client import IMPATIENT, CatalogClient
from service.errors import AnswerLost, CatalogUnreachable, SettingInvalid, TargetUnavailable
from service.settings.model import CatalogSettings
from service.settings.proxies import proxy_for
from service.targets.posting import Poster
from service.targets.sign_in import Given
from tests import listed

WHO = "mirror:secret"


class ForwardProxy:
    """Takes `CONNECT` and whole addresses, asks for credentials, and leads everything to one port on loopback."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        #: First lines of what it was asked for.
        self.asked: list[str] = []

    async def link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:  # it changed its mind
            return
        self.asked.append(head.split("\r\n")[0])
        if f"Proxy-Authorization: Basic {b64encode(WHO.encode()).decode()}" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        is_tunnel = head.startswith("CONNECT")
        if is_tunnel:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await link_to(self._behind, reader, writer, b"" if is_tunnel else head.encode())


@asynccontextmanager
async def forwarding(behind: int) -> AsyncIterator[tuple[ForwardProxy, str]]:
    """A proxy before this port, and its host and port."""
    proxy = ForwardProxy(behind)
    async with Listener(proxy.link) as listener:
        yield proxy, f"127.0.0.1:{listener.port}"


@asynccontextmanager
async def posting(url: str) -> AsyncIterator[Poster]:
    poster = Poster("backend", url, Given(lambda: None), 5)
    try:
        yield poster
    finally:
        await poster.close()


@pytest.fixture(autouse=True)
def no_proxies_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


async def test_a_target_is_called_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering({}) as port, forwarding(port) as (proxy, where):
        monkeypatch.setenv("HTTP_PROXY", f"http://{WHO}@{where}")
        async with posting("http://backend.test:8080/api") as poster:
            assert (await poster.post("/events", {})).is_success
    assert proxy.asked == ["POST http://backend.test:8080/api/events HTTP/1.1"]


async def test_the_catalog_is_called_through_a_tunnel(
    monkeypatch: pytest.MonkeyPatch, certificates: Certificates
) -> None:
    async with serve(PocketCatalog(seed=1, assets=1)) as url, tls_front(urlsplit(url).port or 0, certificates) as port:
        async with forwarding(port) as (proxy, where):
            monkeypatch.setenv("HTTPS_PROXY", f"{WHO}@{where}")
            base = "https://catalog.test"
            key = SecretStr(access.API_KEY)
            settings = CatalogSettings(url=base, iam_url=base, api_key=key, ca_file=certificates.ca)
            async with CatalogClient(settings, patience=IMPATIENT) as client:
                found = [one async for one in listed.catalogs(client)]
    assert found
    assert set(proxy.asked) == {"CONNECT catalog.test:443 HTTP/1.1"}


async def test_what_a_proxy_refuses_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering({}) as port, forwarding(port) as (_, where):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{where}")
        async with posting("https://backend.test") as poster:
            with pytest.raises(TargetUnavailable, match=f"through proxy {where}") as refused:
                await poster.post("/events", {})
        assert not isinstance(refused.value, AnswerLost)
        settings = CatalogSettings(url="https://catalog.test", iam_url="https://catalog.test", api_key=SecretStr("k"))
        async with CatalogClient(settings, patience=IMPATIENT) as client:
            with pytest.raises(CatalogUnreachable, match="the proxy answers 407"):
                await anext(listed.catalogs(client))


async def test_a_proxy_that_asks_for_credentials_refuses_no_delivery_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering({}) as port, forwarding(port) as (_, where):
        monkeypatch.setenv("HTTP_PROXY", f"http://{where}")
        async with posting("http://backend.test") as poster:
            judged = poster.judge(await poster.post("/events", {}), 0)
    assert isinstance(judged, TargetUnavailable)


@pytest.mark.parametrize(
    ("url", "around", "goes_through"),
    [
        ("https://catalog.test", "", True),
        ("https://catalog.test", "other.test,.example", True),
        ("https://catalog.test", "*", False),
        ("https://api.catalog.test:8443/v2", ".catalog.test", False),
        ("https://127.0.0.1:9080", "", False),
        ("https://[::1]:9080", "", False),
        ("https://localhost", "", False),
        ("http://catalog.test", "", False),
    ],
)
def test_where_it_goes_around(monkeypatch: pytest.MonkeyPatch, url: str, around: str, goes_through: bool) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", around)
    assert (proxy_for(url) is not None) is goes_through


@pytest.mark.parametrize("told", ["socks5://proxy.test:1080", "http://", "http://proxy.test:port", "://"])
def test_what_is_no_proxy_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", told)
    with pytest.raises(SettingInvalid, match="HTTPS_PROXY"):
        Poster("backend", "https://backend.test", Given(lambda: None), 5)
