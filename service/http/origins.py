"""Whether a page of another origin caused a request, as browsers tell it (Fetch Metadata; RFC 6454, 7.3)."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import hdrs, web

#: What browsers tell of a request that a page of this origin, or a person in the address line, caused.
_OURS = ("same-origin", "none")


def is_foreign(request: web.Request) -> bool:
    """Whether a page of another origin caused it; who tells nothing of it is no browser."""
    origin = request.headers.get(hdrs.ORIGIN)
    site = request.headers.get("Sec-Fetch-Site", "none")
    return site not in _OURS or (origin is not None and not _is_ours(origin, request.host))


def _is_ours(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
