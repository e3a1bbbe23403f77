"""Which cloud the catalog is on, and where and how that exchanges a key for a token (docs/contract.md, "Sign-in")."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from service.settings.model import CatalogSettings

#: Where each cloud exchanges keys, and hosts by which it is known; what of it IBM's own clients do not say is assumed.
_EXCHANGED_AT = {
    "iam": "https://iam.cloud.ibm.com",
    "mcsp": "https://account-iam.platform.saas.ibm.com",
    "gov": "https://dai.ibmforusgov.com",
}
_HOSTS = {
    "mcsp": re.compile(r"(^|\.)aws\.([a-z0-9-]+\.)*ibm\.com$|\.saas\.ibm\.com$"),
    "gov": re.compile(r"(^|\.)ibmforusgov\.com$"),
}
#: Path of the exchange, and where the answer has the token.
EXCHANGES = {
    "iam": ("/identity/token", "access_token"),
    "mcsp": ("/api/2.0/accounts/{account}/apikeys/token", "token"),
    "gov": ("/api/rest/mcsp/apikeys/token", "token"),
}


def exchange_of(settings: CatalogSettings) -> str:
    """Where a key is exchanged for a token; the catalog itself, on premises."""
    return settings.iam_url or _EXCHANGED_AT.get(way_of(settings)) or settings.url or ""


def way_of(settings: CatalogSettings) -> str:
    """How to sign in: as it is set, else as user and host say."""
    if settings.auth != "auto":
        return settings.auth
    if settings.username:
        return "cpd"
    host = urlsplit(settings.url or "").hostname or ""
    return next((way for way, hosts in _HOSTS.items() if hosts.search(host)), "iam")
