"""Who is not let through to the admin API whatever token they have: pages of other origins, and what forms send."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import hdrs, web

from service.http.problems import Handler, Problem, forbidden

#: What browsers tell of a request that a page of this origin, or a person in the address line, caused.
_OURS = ("same-origin", "none")
#: Where calls are; beside them are the pages of the console.
_CALLS = "/api/"


@web.middleware
async def from_our_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let through what no page of another origin caused (Fetch Metadata; RFC 6454, 7.3), and bodies of JSON alone.

    A page of another origin cannot send a body of this type without asking first, which is never allowed.
    """
    if not request.path.startswith(_CALLS):  # pages are linked to from anywhere, and judge their forms themselves
        return await handler(request)
    origin = request.headers.get(hdrs.ORIGIN)
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in _OURS or (origin is not None and not _is_ours(origin, request.host)):
        raise forbidden("Pages of other origins may not call the admin API, whatever token they send.")
    is_call = request.match_info.http_exception is None  # else it is no call at all, which is told in its turn
    if is_call and request.method == "POST" and request.content_type != "application/json":
        raise Problem(415, "unsupported_media_type", "Send a body of JSON, with `Content-Type: application/json`.")
    return await handler(request)


def _is_ours(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
