"""Whom we believe over TLS: those whose certificate leads to a file of one's own, or to the system's certificates."""

from __future__ import annotations

import ssl
from pathlib import Path

from service.errors import SettingInvalid


def leading_to(ca_file: Path | None, setting: str) -> ssl.SSLContext:
    """A context that checks certificate and name; `setting` (without prefix) is where the file was named.

    Raises:
        SettingInvalid: the file cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingInvalid(setting=f"CATALOG_MIRROR_{setting}", problem=f"{ca_file}: {error}") from None
