"""Reads what `service.kinds` declare: the one interpreter of listings.

All may raise what `CatalogClient.call` raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from service.catalog import paging, styles
from service.catalog.answer import Answer
from service.catalog.client import CatalogClient, Request
from service.catalog.paging import Page, Pages
from service.catalog.styles import Style
from service.changes import Container
from service.errors import CatalogGone, CatalogNotFound, FieldInvalid
from service.kinds import Kind, Listing
from service.kinds.model import Paging, Setting, Value

#: What services call the number of things where `count` does (P6).
_COUNT = "count"


@dataclass(frozen=True, slots=True)
class Parent:
    """What something is listed below: its id, and its type where the way there depends on it."""

    id: str
    type: str | None = None


def pages(
    client: CatalogClient,
    kind: Kind,
    where: Container | None = None,
    *,
    parent: Parent | None = None,
    since: str | None = None,
    cursor: str | None = None,
) -> Pages:
    """A kind's things in a container, page by page; `cursor` goes on after the page that it came with.

    Args:
        parent: what they are listed below, where the kind has a parent.
        since: only what changed since a moment (ISO 8601), of kinds that can be asked for that.

    Raises:
        CursorInvalid: the cursor is of another listing.
        FieldInvalid: an id that cannot stand in a path.
    """
    chosen = [one for one in kind.listed if not one.within or (where is not None and where.kind in one.within)]
    if parent is not None:
        chosen = [one for one in chosen if one.types is None or parent.type in one.types]
    if all(one.items is None for one in chosen):
        return _singles(client, chosen, where, parent, tells_absent=kind.is_absent_when_empty)
    listings = [_listing(client, one, where, parent, since) for one in chosen]
    return paging.walk(client, listings[0], cursor) if len(listings) == 1 else paging.chained(client, listings, cursor)


def changed(
    client: CatalogClient,
    listing: Listing,
    since: str | None,
    where: Container | None = None,
    *,
    cursor: str | None = None,
    **query: Value,
) -> Pages:
    """The pages of a listing that tells what changed since a moment (ISO 8601); further parameters by our names."""
    return paging.walk(client, _listing(client, listing, where, None, since, query), cursor)


def together(client: CatalogClient, kind: Kind, ids: Sequence[str]) -> Pages:
    """Things of a kind that is gathered, by their ids: as many at once as its listing has on a page."""
    assert kind.gathering is not None
    (bulk,) = kind.listed
    told = _listing(client, bulk, None, None, None)
    return paging.walk(client, replace(told, first=replace(told.first, body=kind.gathering.asks(ids))))


async def one(client: CatalogClient, listing: Listing, where: Container | None, thing_id: str) -> Answer:
    """One thing by its id, where a listing says how.

    Raises:
        CatalogNotFound, CatalogGone: it is not there.
    """
    return await client.call(request(client, listing, where, Parent(thing_id)))


async def _singles(
    client: CatalogClient,
    listings: list[Listing],
    where: Container | None,
    parent: Parent | None,
    *,
    tells_absent: bool,
) -> Pages:
    """Answers that are the one item each, as pages; where one of them is not there, there is none.

    With `tells_absent` that is not taken for granted, but raised.
    """
    for listing in listings:
        try:
            answer = await client.call(request(client, listing, where, parent))
        except (CatalogNotFound, CatalogGone):
            if tells_absent:
                raise
            return
        item = answer.object()
        if listing.adds is not None and parent is not None:
            item = {**item, **{key: to for key, to in listing.adds(parent.id).items() if item.get(key) is None}}
        items = answer.objects(listing.or_items) if listing.or_items in item else [item]
        cursor = None if listing is listings[-1] else listing.title
        yield Page(items, cursor, None, answer.at_us)


def _listing(
    client: CatalogClient,
    listing: Listing,
    where: Container | None,
    parent: Parent | None,
    since: str | None,
    query: Mapping[str, Value] | None = None,
) -> paging.Listing:
    first = request(client, listing, where, parent, since, query)
    style = _STYLES[listing.paging](client)
    return paging.Listing(listing.title, first, listing.items or "", style, listing.total, listing.nested)


def request(
    client: CatalogClient,
    listing: Listing,
    where: Container | None = None,
    parent: Parent | None = None,
    since: str | None = None,
    query: Mapping[str, Value] | None = None,
) -> Request:
    """What to ask first."""
    words = {"{container}": where.kind, "{container_id}": where.id} if where else {}
    if parent is not None:
        words |= {"{parent}": parent.id, "{type}": (listing.types or {}).get(parent.type or "", "")}
    asked = {name: _value(client, value, words) for name, value in {**listing.query, **(query or {})}.items()}
    if listing.since and since:
        asked[listing.since] = since
    if listing.size and listing.paging != "body":  # there the body says it
        asked["limit"] = listing.size
    if listing.paging == "offset":
        asked["offset"] = 0
    place = dict([client.names.container(where)]) if where and "{container" not in listing.path else {}
    method = "POST" if listing.posts else "GET"
    return Request(
        listing.endpoint, method, _path(listing, words), {**place, **client.names.query(asked)}, listing.body
    )


def _path(listing: Listing, words: Mapping[str, str]) -> str:
    parts = []
    for part in listing.path.split("/"):
        for word, instead in words.items():
            if word in part:
                part = part.replace(word, segment(instead))
        parts.append(part)
    return "/".join(parts)


def segment(value: str) -> str:
    """An id as one segment of a path.

    Raises:
        FieldInvalid: it would be another path.
    """
    if value in ("", ".", ".."):
        raise FieldInvalid(field="id", problem=f"{value!r} cannot stand in a path")
    return quote(value, safe="")


def _value(client: CatalogClient, value: Value, words: Mapping[str, str]) -> str | int | bool | None:
    if isinstance(value, Setting):
        told: Any = getattr(client.settings, value.name) or None
        return value.then if told and value.then else told
    return words.get(value, value) if isinstance(value, str) else value


def _bookmark(client: CatalogClient) -> Style:
    return styles.Bookmark(client.names.of("bookmark"))


def _bookmark_or_skip(client: CatalogClient) -> Style:
    return styles.BookmarkOrSkip(client.names.of("bookmark"), client.names.of("skip"))


def _link(client: CatalogClient) -> Style:
    return styles.Link(client.names.of("start"), client.names.of("limit"))


def _offset(client: CatalogClient) -> Style:
    return styles.Offset(client.names.of("offset"), client.names.of("limit"), total=_COUNT)


def _next(client: CatalogClient) -> Style:
    return styles.NextToken(client.names.of("next"))


def _body(client: CatalogClient) -> Style:
    return styles.BodyBookmark()


def _whole(client: CatalogClient) -> Style:
    return styles.Whole()


_STYLES: dict[Paging, Any] = {
    "whole": _whole, "bookmark": _bookmark, "bookmark_or_skip": _bookmark_or_skip, "body": _body, "link": _link,
    "offset": _offset, "next": _next,
}  # fmt: skip
