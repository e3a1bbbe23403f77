"""What the forms of pages bring, and where they lead."""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

from aiohttp import hdrs, web

from service.http.access import CALLER
from service.operations.acting import Act, Way

#: What the browser holds; hosts differ by port, cookies do not, and both ports may be open in one browser.
COOKIE = "catalog_mirror_session"
#: The field of a form that no other page can know.
FORM_FIELD = "form_token"


def form_token(request: web.Request) -> str:
    """What a form of this session brings."""
    held = request.cookies.get(COOKIE, "")
    return hashlib.sha256(f"form of {held}".encode("utf-8", "surrogatepass")).hexdigest()


async def field(request: web.Request, name: str) -> str:
    """A field of the form; empty where it is not there."""
    value = (await request.post()).get(name, "")
    return value.strip() if isinstance(value, str) else ""


async def act_of(request: web.Request) -> Act:
    """Who acts, here, and why."""
    return Act(request[CALLER].name, Way.CONSOLE, await field(request, "reason") or None)


def on(path: str, note: str, number: int = 1) -> web.Response:
    """To a page, which says what was done: one of `rendering.NOTES`."""
    joint = "&" if "?" in path else "?"
    return web.Response(status=303, headers={hdrs.LOCATION: f"{path}{joint}{urlencode({'note': note, 'n': number})}"})
