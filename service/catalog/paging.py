"""Walking through listings: the many styles of paging behind one iterator (docs/contract.md, "Pages").

The walk reads one page ahead, yields a cursor with every page to go on from after it, and refuses to go round in
circles. Where the next page is, a style of `styles` tells.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from service.catalog.answer import Answer
from service.catalog.client import CatalogClient, Request
from service.catalog.styles import Place, Style, is_count
from service.errors import CursorInvalid
from service.text.documents import digest_of

Pages = AsyncGenerator["Page", None]

#: Pages without items in a row, each with a next one, after which a listing counts as endless.
MAX_EMPTY_PAGES = 20
_CURSOR_CHARACTERS = 100_000
#: What else a total is called where it is called this.
_OTHER_TOTALS = {"total_rows": ("total_results",), "total_results": ("total_rows",)}


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    `cursor` resumes the listing after this page; None says that this is the last, which may be without items. `total`
    is what the catalog says there is in all, where it does. `at_us` is from when the page is (`Answer.at_us`).
    `lost` counts what the page should have told and did not: items of it that are no objects, and on the last page what
    the catalog says there is beyond what all pages had.
    """

    items: list[dict[str, Any]] = field(repr=False)
    cursor: str | None
    total: int | None
    at_us: int | None
    lost: int = 0


@dataclass(frozen=True)
class Listing:
    """A listing: what to ask first, where its items are, and how it goes on. `name` marks its cursors.

    `nested` is where items have further ones below them, which count like those of the list.
    """

    name: str
    first: Request
    items: str
    style: Style
    total: str | None = None
    nested: str | None = None


def walk(client: CatalogClient, listing: Listing, cursor: str | None = None) -> Pages:
    """The pages of a listing, from its beginning or after the page that the cursor came with.

    Close the generator (`contextlib.aclosing`) where you may leave it early: the page that is being read ahead is then
    given up at once; else when the generator is collected, or with the client.

    Raises:
        CursorInvalid: the cursor is of another listing.
        CatalogAnswerInvalid: an answer of the wrong shape, or a listing that goes round in circles.
        MirrorError: as `CatalogClient.call` raises.
    """
    return _walk(client, listing, _place_of(listing.name, cursor))


async def _walk(client: CatalogClient, listing: Listing, place: Place) -> Pages:
    guard, count = _Guard(), _Count(knows=not place)
    ahead = client.ahead(_read(client, listing, place))
    try:
        while True:
            answer, items, odd = await ahead
            after = guard.checked(answer, items, place, listing.style.after(listing.first, place, answer, items))
            if after is not None:
                ahead = client.ahead(_read(client, listing, after))
            total = _total(listing, answer)
            if listing.nested:
                items = list(_flat(items, listing.nested))
            lost = odd + count.missing(len(items) + odd, total, is_last=after is None)
            yield Page(items, write_cursor(listing.name, after), total, answer.at_us, lost)
            if after is None:
                return
            place = after
    finally:
        await _give_up(ahead)


async def _read(client: CatalogClient, listing: Listing, place: Place) -> tuple[Answer, list[dict[str, Any]], int]:
    """An answer, the objects of its list, and how many items of it are none."""
    answer = await client.call(listing.style.request(listing.first, place))
    told = answer.listed(listing.items)
    items = [item for item in told if isinstance(item, dict)]
    return answer, items, len(told) - len(items)


def _flat(items: list[dict[str, Any]], nested: str) -> Iterator[dict[str, Any]]:
    """The items, each followed by those below it, which say so in `parent`."""
    waiting = list(reversed(items))
    while waiting:
        item = waiting.pop()
        below = item.get(nested)
        yield item
        if isinstance(below, list) and "id" in item:
            parent = {"parent": {"id": item["id"]}}
            waiting += [{**parent, **child} for child in reversed(below) if isinstance(child, dict)]


class _Count:
    """Compares what was listed with what the catalog says there is; known only of a walk from the beginning."""

    def __init__(self, *, knows: bool) -> None:
        self._knows = knows
        self._seen = 0
        self._least: int | None = None

    def missing(self, items: int, total: int | None, *, is_last: bool) -> int:
        """How many the last page leaves out. Things that come and go meanwhile are none: the least total counts."""
        self._seen += items
        if total is not None:
            self._least = total if self._least is None else min(self._least, total)
        return max(0, self._least - self._seen) if self._knows and is_last and self._least is not None else 0


async def _give_up(task: asyncio.Task[Any]) -> None:
    """Stop a page that nobody waits for any more; what became of it does not matter."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class _Guard:
    """Notices a listing that does not end."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._last: list[dict[str, Any]] = []
        self._empty = 0

    def checked(self, answer: Answer, items: list[dict[str, Any]], place: Place, after: Place | None) -> Place | None:
        """The next place, if going there leads on.

        A server that does not know our name of a parameter sends the first page for ever (docs/contract.md, "Query
        parameters": the names are assumed), so pages that repeat are as wrong as places that do.
        """
        if items and items == self._last:
            raise answer.unusable("it is the page before once more, as if the paging parameter had another name")
        self._last = items
        self._empty = 0 if items else self._empty + 1
        self._seen.add(_key(place))
        if after is None:
            return None
        if _key(after) in self._seen:
            if not items:
                return None  # some bookmarks stay the same at the end
            raise answer.unusable("the place of its next page is one that was read already")
        if self._empty >= MAX_EMPTY_PAGES:
            raise answer.unusable(f"{self._empty} pages in a row were empty, and there is still a next one")
        return after


def _key(place: Place) -> bytes:
    return digest_of(json.dumps(place, sort_keys=True, default=str).encode())


def _total(listing: Listing, answer: Answer) -> int | None:
    told = answer.object()
    # Lists of members tell either, by the release of the catalog.
    totals = (listing.total, *_OTHER_TOTALS.get(listing.total, ())) if listing.total else ()
    return next((told[name] for name in totals if is_count(told.get(name))), None)


def write_cursor(name: str, place: Place | None) -> str | None:
    """The text for a place."""
    return None if place is None else json.dumps({"of": name, "at": place}, sort_keys=True, default=str)


def _place_of(name: str, cursor: str | None) -> Place:
    if cursor is None:
        return {}
    of, place = read_cursor(name, cursor)
    if of != name:
        raise CursorInvalid(listing=name, problem=f"it is of {of[:80]!r}")
    return place


def read_cursor(name: str, cursor: str) -> tuple[str, Place]:
    """Name and place in a cursor.

    Raises:
        CursorInvalid: it is no cursor.
    """
    try:
        value = json.loads(cursor) if len(cursor) <= _CURSOR_CHARACTERS else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("of"), str) or not isinstance(value.get("at"), dict):
        raise CursorInvalid(listing=name, problem="it is no cursor of ours")
    return value["of"], value["at"]


async def chained(client: CatalogClient, listings: list[Listing], cursor: str | None = None) -> Pages:
    """Several listings as one, one after the other."""
    names = [listing.name for listing in listings]
    begin = 0
    if cursor is not None:
        of, _ = read_cursor(" and ".join(names), cursor)
        if of not in names:
            raise CursorInvalid(listing=" and ".join(names), problem=f"it is of {of[:80]!r}")
        begin = names.index(of)
    for number, listing in enumerate(listings[begin:], begin):
        go_on = write_cursor(names[number + 1], {}) if number + 1 < len(names) else None
        async with aclosing(walk(client, listing, cursor)) as pages:
            async for page in pages:
                yield page if page.cursor else replace(page, cursor=go_on)
        cursor = None
