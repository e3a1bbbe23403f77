"""Gathering: reading a kind of which the catalog has no list (`service.kinds.model.Gathering`).

Ids come from what the mirror has, from the search, and from what is found itself. All that the mirror holds is asked
for again each time, so what is not answered is gone, or not for us, like what a listing lacks.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog

from service.catalog import endpoints, listings
from service.catalog.client import CatalogClient
from service.catalog.paging import Page
from service.errors import (
    CatalogForbidden,
    CatalogGone,
    CatalogNotFound,
    CatalogRejected,
    FieldInvalid,
)
from service.events.fields import is_usable_id
from service.kinds import Kind
from service.kinds.model import Gathering
from service.mirror.store import Store
from service.mirror.tables import VERSIONED, key_of
from service.sync import stored
from service.sync.findings import Result, batched
from service.sync.obstacles import ALONE, CLOSED_IN_A_ROW
from service.text import lookup

log = structlog.get_logger(__name__)

#: What a reading of many may answer because of one of them.
_REFUSED = (CatalogForbidden, CatalogRejected, CatalogNotFound, CatalogGone)
#: The provider of assets in the search: an asset type may be called like a type of artifacts.
_ASSETS = "cams"


@dataclass(slots=True)
class _Found:
    """What was read so far."""

    #: Ids that were answered, those that were asked for, and what was named by what was answered.
    told: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    at_us: int | None = None

    def note(self, kind: Kind, page: Page) -> Page:
        """Note what a page told; answers it as one of no listing, which cannot be gone on with."""
        assert kind.gathering is not None
        for item in page.items:
            self.told.update(_texts(lookup.first(item, kind.id_places)))
            seen = {**item, **(kind.derived(item) if kind.derived else {})}
            above = next(one for one in kind.fields if one.name == kind.gathering.above)
            self.named.update(_texts(lookup.first(seen, above.places)))
        self.at_us = page.at_us
        return Page(page.items, None, None, page.at_us, page.lost)


async def gathered(client: CatalogClient, store: Store, kind: Kind, result: Result) -> AsyncGenerator[Page, None]:
    """The things of a kind, page by page, at least one page; what could not be read is noted in `result`.

    Raises:
        MirrorError: the catalog or the store does not do its part.
    """
    gathering = kind.gathering
    assert gathering is not None
    found = _Found()
    first = await _first(client, kind, gathering, found)
    found.named |= await _mirrored(store, gathering) | await _searched(client, kind, gathering, result)
    while news := sorted(found.named - found.asked):
        found.asked.update(news)
        for ids in batched(news, kind.page_size):
            async with aclosing(_together(client, kind, ids, result, is_there=first is not None)) as pages:
                async for page in pages:
                    yield found.note(kind, page)
    # It is always there, whether it is answered with the others or not.
    left = [first] if first is not None and not found.told & set(_texts(lookup.first(first, kind.id_places))) else []
    yield Page(left, None, None, found.at_us)


async def _first(client: CatalogClient, kind: Kind, gathering: Gathering, found: _Found) -> dict[str, Any] | None:
    """The one that is always there, with its id among those to ask for; None where it is not shown to us."""
    try:
        answer = await client.call(listings.request(client, gathering.first))
    except _REFUSED as error:
        log.info("first_not_read", kind=kind.name, problem=str(error))
        return None
    item = answer.object()
    found.named.update(_texts(lookup.first(item, kind.id_places)))
    found.at_us = answer.at_us
    return item


async def _mirrored(store: Store, gathering: Gathering) -> set[str]:
    """Ids that the mirror knows."""
    known: set[str] = set()
    for kind, name in gathering.named_by:
        table = VERSIONED[kind]
        column = table.c[name]
        query = sa.select(key_of(table), column).where(table.c.deleted_at.is_(None), column.is_not(None))
        async for rows in stored.pieces(store, query, key_of(table)):
            known.update(one for row in rows for one in _texts(row[-1]))
    return known


async def _searched(client: CatalogClient, kind: Kind, gathering: Gathering, result: Result) -> set[str]:
    """Ids that the search knows; where it cannot be asked, what nothing else names is not found, and that is said."""
    known: set[str] = set()
    try:
        async with aclosing(endpoints.searched(client, gathering.searched)) as pages:
            async for page in pages:
                rows = [row for row in page.items if row.get("provider_type_id") != _ASSETS]
                known.update(one for row in rows for one in _texts(row.get("artifact_id")))
    except ALONE as error:
        log.warning("not_searched", kind=kind.name, problem=str(error))
        result.problem = result.problem or f"the search cannot be asked, so some may be missing: {error}"[:500]
    return known


async def _together(
    client: CatalogClient, kind: Kind, ids: Sequence[str], result: Result, *, is_there: bool
) -> AsyncGenerator[Page, None]:
    """Those with these ids; where they are refused together, one by one, so that one costs only itself.

    What is refused together and alone as not there is gone, if the service is there.
    """
    try:
        async with aclosing(listings.together(client, kind, ids)) as pages:
            async for page in pages:
                yield page
        return
    except _REFUSED as error:
        log.info("not_read_together", kind=kind.name, number=len(ids), problem=str(error))
    for one in ids:
        try:
            answer = await endpoints.artifact(client, kind.name, one)
            yield Page([answer.object()], None, None, answer.at_us)
        except (*ALONE, FieldInvalid) as error:
            if not (is_there and isinstance(error, CatalogNotFound | CatalogGone)):
                result.close(kind.name, one, error)
                if result.closed >= CLOSED_IN_A_ROW:
                    raise


def _texts(value: Any) -> tuple[str, ...]:
    """An id, where it is one."""
    return (value,) if isinstance(value, str) and is_usable_id(value) else ()
