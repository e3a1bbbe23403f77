"""Who is not let through to the admin API whatever token they have: pages of other origins, and what forms send."""

from __future__ import annotations

from aiohttp import web

from service.http.origins import is_foreign
from service.http.problems import Handler, Problem, forbidden

#: Where calls are; beside them are the pages of the console.
_CALLS = "/api/"


@web.middleware
async def from_our_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let through what no page of another origin caused, and bodies of JSON alone.

    A page of another origin cannot send a body of this type without asking first, which is never allowed.
    """
    if not request.path.startswith(_CALLS):  # pages are linked to from anywhere, and judge their forms themselves
        return await handler(request)
    if is_foreign(request):
        raise forbidden("Pages of other origins may not call the admin API, whatever token they send.")
    is_call = request.match_info.http_exception is None  # else it is no call at all, which is told in its turn
    if is_call and request.method == "POST" and request.content_type != "application/json":
        raise Problem(415, "unsupported_media_type", "Send a body of JSON, with `Content-Type: application/json`.")
    return await handler(request)
