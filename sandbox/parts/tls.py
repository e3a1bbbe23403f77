"""TLS before a part that speaks none: certificates of a CA of one's own, and a front that ends the encryption."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from sandbox.parts.listener import Listener

_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Certificates:
    """A company's CA, a certificate by it for loopback and `catalog.test`, and a CA that has nothing to do with it."""

    ca: Path
    stranger: Path
    certificate: Path
    key: Path

    def of_client(self, place: Path, name: str, *, by: Path | None = None, days: int = 2) -> tuple[Path, Path]:
        """A certificate of somebody called `name`, and its key, in a folder; those that were there are replaced.

        `by` is a certificate of `self` whose key signs it (the company's CA); of a negative number of days it expired.
        """
        issuer = x509.load_pem_x509_certificate((by or self.ca).read_bytes())
        signing = serialization.load_pem_private_key((by or self.ca).with_suffix(".key").read_bytes(), None)
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=abs(days)))
            .not_valid_after(now + timedelta(days=days) if days > 0 else now - timedelta(seconds=1))
            .sign(cast(rsa.RSAPrivateKey, signing), hashes.SHA256())
        )
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        certificate, key_file = place / f"{name}.pem", place / f"{name}.key"
        certificate.write_bytes(made.public_bytes(pem))
        key_file.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
        key_file.chmod(0o600)
        return certificate, key_file


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
    async with Listener(partial(link_to, port), tls=context) as listener:
        yield listener.port


async def link_to(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b"") -> None:
    """Pass everything on to a port on loopback, after what came first, and back, until both sides end."""
    back, forth = await asyncio.open_connection("127.0.0.1", port)
    forth.write(first)
    await asyncio.gather(carry(reader, forth), carry(back, writer))


async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on what comes, until it ends; then end the other side too."""
    try:
        with contextlib.suppress(OSError, ssl.SSLError):
            while data := await source.read(_CHUNK):
                sink.write(data)
                await sink.drain()
    finally:
        sink.close()
