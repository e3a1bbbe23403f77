"""Answers that are read often: in JSON or CSV, compressed where that is worth it, and not sent again unchanged."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import ETag, hdrs, web

#: Bytes from which on an answer is compressed for whoever takes that.
COMPRESSED_FROM = 1024
#: What spreadsheets read as a formula, or what their import turns into one, at the beginning of a cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def json_answer(request: web.Request, value: Any, *, next_href: str | None = None) -> web.Response:
    """Dataclasses, lists, moments and what else JSON can say."""
    return _answer(request, msgspec.json.encode(value), "application/json", next_href)


def csv_answer(
    request: web.Request, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, next_href: str | None = None
) -> web.Response:
    """A table, with the names of its columns in the first line (RFC 4180).

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return _answer(request, file.getvalue().encode("utf-8", "replace"), "text/csv", next_href)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else value


def _answer(request: web.Request, body: bytes, content_type: str, next_href: str | None) -> web.Response:
    tag = ETag(hashlib.blake2b(body, digest_size=12).hexdigest(), is_weak=True)
    # What is not for everybody is for no cache that several share.
    headers = {hdrs.CACHE_CONTROL: "private, no-cache", hdrs.VARY: "Accept-Encoding, Authorization"}
    if next_href is not None:
        headers[hdrs.LINK] = f'<{next_href}>; rel="next"'
    known = request.if_none_match or ()
    if any(one.value in (tag.value, "*") for one in known):
        response = web.Response(status=304, headers=headers)
    else:
        response = web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)
        if len(body) >= COMPRESSED_FROM:
            response.enable_compression()
    response.etag = tag
    return response
