"""The catalog's ways to give out a long list in pages.

Tokens name the last thing that was given out, not a count: what is deleted meanwhile moves nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from sandbox.catalog.calls import Call
from sandbox.catalog.problems import bad_request

_T = TypeVar("_T")
#: Whole numbers of offsets.
_FAR = 2_147_483_647


def pack(key: Sequence[Any]) -> str:
    """An opaque token for a place in a list."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def unpack(token: str) -> list[Any]:
    """The place that a token names; raises Problem 400 for one that is not ours."""
    try:
        key = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError):
        key = None
    if not isinstance(key, list) or not key:
        raise bad_request("The bookmark is not valid.")
    return key


@dataclass(frozen=True, slots=True)
class Page(Generic[_T]):
    """Some of a list."""

    items: list[_T]
    #: Where the next page begins; None when nothing was given out.
    token: str | None
    has_more: bool


def page_after(items: Sequence[_T], key: Callable[[_T], tuple[Any, ...]], token: str | None, limit: int) -> Page[_T]:
    """The items whose key comes after the token's, in the order of their keys, of which no two are equal."""
    after = unpack(token) if token else None
    ordered = sorted(items, key=key)
    try:
        rest = ordered if after is None else [item for item in ordered if list(key(item)) > after]
    except TypeError:
        raise bad_request("The bookmark is of another list.") from None
    page = rest[:limit]
    return Page(page, pack(list(key(page[-1]))) if page else None, len(rest) > limit)


def bookmarked(call: Call, name: str, page: Page[Any]) -> dict[str, str]:
    """The field that carries on, also on the last page where that trap is on."""
    carries_on = page.token is not None and (page.has_more or call.catalog.knobs.bookmark_on_last_page)
    return {name: page.token} if carries_on and page.token else {}


def started(
    call: Call, items: Sequence[_T], key: Callable[[_T], tuple[Any, ...]], limit: int, *, tell_start: bool = False
) -> tuple[list[_T], dict[str, Any]]:
    """A page by `start` token, with its `first` and, where there is more, `next`; some tell the bare token in it."""
    page = page_after(items, key, call.token("start"), limit)
    links: dict[str, Any] = {"first": {"href": call.href(limit=limit)}}
    if page.has_more and page.token:
        told = {"start": page.token} if tell_start else {}
        links["next"] = {"href": call.href(start=page.token, limit=limit)} | told
    return page.items, links


def offset_page(
    call: Call, items: Sequence[_T], *, default: int, high: int = 200, multiple: bool = True
) -> tuple[list[_T], dict[str, Any]]:
    """A page by offset, with its envelope: `next` is there on the last page too, and not on an empty one."""
    limit = call.number("limit", default, high=high)
    offset = call.number("offset", 0, low=0, high=_FAR)
    if multiple and offset % limit:
        raise bad_request("The parameter offset must be 0 or a multiple of limit.")
    page = list(items[offset : offset + limit])

    def link(at: int) -> dict[str, Any]:
        return {"href": call.href(offset=at, limit=limit), "offset": at}

    last = max(0, (len(items) - 1) // limit * limit)
    envelope: dict[str, Any] = {"offset": offset, "limit": limit, "count": len(items), "first": link(0)}
    envelope |= {"prev": link(max(0, offset - limit)), "last": link(last)}
    if offset + limit < len(items) or (page and call.catalog.knobs.bookmark_on_last_page):
        envelope["next"] = link(offset + limit)
    return page, envelope
