"""A CA of one's own is believed wherever we connect to, and a stranger's nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from pydantic import SecretStr

from sandbox.catalog import access
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.server import serve
from sandbox.parts.tls import Certificates, tls_front
from sandbox.serving import answering
from service.amqp import management
from service.amqp.connection import connected
from service.catalog.client import IMPATIENT, CatalogClient
from service.catalog.transport import Call, Transport
from service.errors import MirrorError
from service.http.oidc import Issuer
from service.settings.model import AmqpSettings, CatalogSettings, HttpSettings, TracesSettings
from service.targets.posting import Poster
from service.targets.sign_in import Given
from service.telemetry.exporting import _exporter
from tests import listed

#: Connects by TLS on this port, believing this file.
Connect = Callable[[int, Path], Awaitable[None]]


async def assert_believes_its_own_ca_only(port: int, certificates: Certificates, connect: Connect) -> None:
    async with tls_front(port, certificates) as front:
        await connect(front, certificates.ca)
        with pytest.raises(Exception, match=r"(?i)certificate|ssl"):
            await connect(front, certificates.stranger)


async def test_the_broker(amqp_url: str, certificates: Certificates) -> None:
    parts = urlsplit(amqp_url)

    async def connect(port: int, ca_file: Path) -> None:
        url = f"amqps://{parts.username or 'guest'}:{parts.password or 'guest'}@127.0.0.1:{port}{parts.path}"
        async with connected(AmqpSettings(url=SecretStr(url), ca_file=ca_file), "test"):
            pass

    await assert_believes_its_own_ca_only(parts.port or 5672, certificates, connect)


async def test_its_management_api(certificates: Certificates) -> None:
    async def connect(port: int, ca_file: Path) -> None:
        url = SecretStr(f"https://u:p@127.0.0.1:{port}")
        report = await management.queue_report(AmqpSettings(management_url=url, ca_file=ca_file), "catalog-mirror")
        assert report is not None
        assert report.bytes_used == 7

    async with answering({"message_bytes": 7}) as port:
        await assert_believes_its_own_ca_only(port, certificates, connect)


async def test_the_catalog(certificates: Certificates) -> None:
    async def connect(port: int, ca_file: Path) -> None:
        url = f"https://127.0.0.1:{port}"
        settings = CatalogSettings(url=url, iam_url=url, api_key=SecretStr(access.API_KEY), ca_file=ca_file)
        async with CatalogClient(settings, patience=IMPATIENT) as client:
            async for _ in listed.catalogs(client):
                break

    async with serve(PocketCatalog(seed=1, assets=1)) as url:
        await assert_believes_its_own_ca_only(urlsplit(url).port or 0, certificates, connect)


async def test_one_that_is_exchanged_counts_for_whoever_runs_on(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.stranger))  # as companies' images have it
    ca_file = tmp_path / "ca.crt"
    ca_file.write_bytes(certificates.stranger.read_bytes())
    async with answering({}) as port, tls_front(port, certificates) as front:
        url = f"https://127.0.0.1:{front}"
        poster = Poster("backend", url, Given(lambda: None), 5, ca_file)
        transport = Transport(CatalogSettings(url=url, iam_url=url, ca_file=ca_file))
        transport.open()
        issuer = Issuer(HttpSettings(oidc_issuer=url, oidc_ca_file=ca_file))
        collector = _exporter(TracesSettings(endpoint=url, ca_file=ca_file, timeout_s=2))
        asks: dict[str, Callable[[], Awaitable[object]]] = {
            "target": lambda: poster.post("/", {}),
            "catalog": lambda: transport.exchange(Call("GET", url, "/")),
            "issuer": issuer.configuration,
        }
        for ask in asks.values():
            with pytest.raises(MirrorError):
                await ask()
        ca_file.write_bytes(certificates.ca.read_bytes())
        for ask in asks.values():
            await ask()
        assert await asyncio.to_thread(collector.export, []) is SpanExportResult.SUCCESS
        ca_file.write_bytes(certificates.stranger.read_bytes())
        for ask in asks.values():
            with pytest.raises(MirrorError):
                await ask()
        await poster.close()
        await transport.close()
        collector.shutdown()


async def test_a_target(certificates: Certificates) -> None:
    async def connect(port: int, ca_file: Path) -> None:
        poster = Poster("backend", f"https://127.0.0.1:{port}", Given(lambda: None), 5, ca_file)
        try:
            assert (await poster.post("/", {})).is_success
        finally:
            await poster.close()

    async with answering({}) as port:
        await assert_believes_its_own_ca_only(port, certificates, connect)
