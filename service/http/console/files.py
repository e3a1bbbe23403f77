"""What pages load: our own files and other people's parts, each by a name that changes with its content."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiohttp import hdrs, web

from service.http.console import parts

_OURS = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
#: Seconds that a browser may keep a file: its name changes with its content.
_KEPT_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class File:
    """One file, as it is sent."""

    content_type: str
    body: bytes
    packed: bytes
    digest: str


@cache
def found(name: str) -> File | None:
    """The file of this name: `console.css`, `htmx.org/htmx.min.js`; None where there is none."""
    path = _paths().get(name)
    if path is None:
        return None
    body = path.read_bytes()
    return File(_TYPES[path.suffix], body, gzip.compress(body, 9), hashlib.sha256(body).hexdigest()[:12])


def link(name: str) -> str:
    """Where a page loads a file from; of a part that is not there, its plain name."""
    file = found(name)
    return f"/static/{name}?v={file.digest}" if file else f"/static/{name}"


async def serve(request: web.Request) -> web.Response:
    """One file."""
    file = found(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    headers = {
        hdrs.CACHE_CONTROL: f"public, max-age={_KEPT_S}, immutable",
        hdrs.CONTENT_TYPE: file.content_type,
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        return web.Response(body=file.packed, headers={**headers, hdrs.CONTENT_ENCODING: "gzip"})
    return web.Response(body=file.body, headers=headers)


@cache
def _paths() -> dict[str, Path]:
    """Every file that is served, by its name; nothing else of the machine is."""
    ours = {path.name: path for path in _OURS.iterdir() if path.suffix in _TYPES}
    others = {
        f"{package}/{path.name}": path
        for package in parts.shipped()
        for path in sorted((parts.VENDOR / package).glob("*"))
        if path.suffix in _TYPES
    }
    return ours | others
