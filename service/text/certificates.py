"""Certificates: JSON with a signature (Ed25519, RFC 8032) over the canonical text of all else in it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from service.errors import ConfigurationError, DataError, MirrorError
from service.text.documents import canonical, read

#: Bytes of a certificate at most; 4,096 digests are 160 kB.
MAX_BYTES = 4 * 1024**2
_DEPTH = 16
#: Members that the signature is not over.
_SIGNATURE = "signature"


class KeyUnusable(ConfigurationError):
    """The key {path} cannot be used: {problem}."""

    remedy = (
        "Make one with `openssl genpkey -algorithm ed25519 -out FILE`; its public half with `openssl pkey -pubout`."
    )


class CertificateInvalid(MirrorError):
    """The certificate {path} is not valid: {problem}."""

    remedy = "Ask whoever made it for the file as it was written, or have it made anew."


class StrangerSigned(MirrorError):
    """The certificate {path} is signed by another key ({found}) than the one that was given ({wanted})."""

    remedy = "Ask who made it which key is theirs."


def private_key(path: Path) -> Ed25519PrivateKey:
    """The key that signs, from a PEM file without a passphrase.

    Raises:
        KeyUnusable: it cannot be read, or is no such key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(path=path, problem=_told(error)) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(path=path, problem="it is no private key of Ed25519")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """The key by which a signature is known, from a PEM file; raises as `private_key`."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(path=path, problem=_told(error)) from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable(path=path, problem="it is no public key of Ed25519")
    return key


def _told(error: Exception) -> str:
    """What is wrong, never what the file holds."""
    return error.strerror or "it cannot be read" if isinstance(error, OSError) else "it is no PEM file of a key"


def fingerprint(key: Ed25519PublicKey) -> str:
    """What people compare: SHA-256 of the raw key, as OpenSSH writes it."""
    digest = hashlib.sha256(_raw(key)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def signed(content: dict[str, Any], key: Ed25519PrivateKey) -> bytes:
    """A certificate of this content, as a file holds it."""
    told = content | {"public_key": _raw(key.public_key()).hex()}
    return canonical(told | {_SIGNATURE: key.sign(canonical(told)).hex()}) + b"\n"


def opened(path: Path, trusted: Ed25519PublicKey | None = None) -> tuple[dict[str, Any], str]:
    """A certificate's content, and the fingerprint of the key that signed it.

    Args:
        trusted: the key that has to have signed it; without one any key may have.

    Raises:
        CertificateInvalid: it cannot be read, is none, or was changed after it was signed.
        StrangerSigned: another key signed it.
    """
    told = _read(path)
    try:
        signature = _from_hex(told.pop(_SIGNATURE))
        key = Ed25519PublicKey.from_public_bytes(_from_hex(told["public_key"]))
    except (KeyError, TypeError, ValueError):
        raise CertificateInvalid(path=path, problem="it has no usable signature and key") from None
    try:
        key.verify(signature, canonical(told))
    except InvalidSignature:
        raise CertificateInvalid(path=path, problem="it was changed after it was signed") from None
    if trusted is not None and _raw(trusted) != _raw(key):
        raise StrangerSigned(path=path, found=fingerprint(key), wanted=fingerprint(trusted))
    return told, fingerprint(key)


def _from_hex(text: str) -> bytes:
    """Bytes that can be written in one way alone, so that every character counts."""
    value = bytes.fromhex(text)
    if value.hex() != text:
        raise ValueError
    return value


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CertificateInvalid(path=path, problem=error.strerror or "it cannot be read") from None
    if len(raw) > MAX_BYTES:
        raise CertificateInvalid(path=path, problem=f"it has more than {MAX_BYTES} bytes")
    try:
        told = read(raw, _DEPTH)
    except DataError as error:
        raise CertificateInvalid(path=path, problem=str(error).rstrip(".")) from None
    if not isinstance(told, dict) or canonical(told) + b"\n" != raw:  # so that every byte of the file counts
        raise CertificateInvalid(path=path, problem="it is not as it was written")
    return told
