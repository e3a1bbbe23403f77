"""TLS before a part that speaks none: certificates of a CA of one's own, and a front that ends the encryption."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Certificates:
    """A company's CA, a certificate by it for loopback and `catalog.test`, and a CA that has nothing to do with it."""

    ca: Path
    stranger: Path
    certificate: Path
    key: Path


def make_certificates(place: Path) -> Certificates:
    """Make them with `openssl`, good for two days."""
    for name in ("ca", "stranger"):
        _openssl(
            place, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-addext", "keyUsage=critical,keyCertSign", "-keyout", f"{name}.key", "-out", f"{name}.pem",
        )  # fmt: skip
    request = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=loopback", "-keyout", "server.key", "-out", "server.csr"]
    _openssl(place, "req", *request)
    (place / "names").write_text(
        "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:catalog.test\nauthorityKeyIdentifier=keyid\n"
    )
    _openssl(
        place, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", "2", "-extfile", "names", "-out", "server.pem",
    )  # fmt: skip
    return Certificates(place / "ca.pem", place / "stranger.pem", place / "server.pem", place / "server.key")


def _openssl(place: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True)


@asynccontextmanager
async def tls_front(port: int, certificates: Certificates) -> AsyncIterator[int]:
    """A port that speaks TLS and passes everything on to a port that does not."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    links: set[asyncio.Task[None]] = set()

    async def link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", port)
        for source, sink in ((reader, behind[1]), (behind[0], writer)):
            task = asyncio.create_task(carry(source, sink))
            links.add(task)
            task.add_done_callback(links.discard)

    server = await asyncio.start_server(link, "127.0.0.1", 0, ssl=context)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in links:
            task.cancel()
        await asyncio.gather(*links, return_exceptions=True)


async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on what comes, until it ends; then end the other side too."""
    try:
        with contextlib.suppress(OSError, ssl.SSLError):
            while data := await source.read(_CHUNK):
                sink.write(data)
                await sink.drain()
    finally:
        sink.close()
