"""What can be read of the catalog: for each kind where it is listed, and what an item of the list means.

A search lags behind the catalog, so its items only fill what is unknown; every other listing is the catalog's own word
at the moment of the answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from service.catalog import endpoints
from service.catalog.answer import Answer
from service.catalog.client import CatalogClient
from service.catalog.paging import Page, Pages
from service.changes import (
    Change,
    Container,
    ContainerKind,
    ContainerSaved,
    LineageRecorded,
    ProfileSaved,
    Rank,
    ThingSaved,
    Version,
)
from service.errors import CatalogGone, CatalogNotFound
from service.events.cards import Card, profile_change, read_card
from service.events.lineage import answered
from service.events.things import container_change, thing_change
from service.mirror.tables import assets, containers, data_profiles, lineage_events, things

CATALOG: ContainerKind = "catalog"
PROJECT: ContainerKind = "project"
SPACE: ContainerKind = "space"
EVERYWHERE = (CATALOG, PROJECT, SPACE)
#: The kind of lineage events. They are only added to, so that none is ever gone.
LINEAGE = "lineage_event"
#: What is counted of an asset's use; a call each.
STATISTICS: tuple[endpoints.RequestType, ...] = (
    "EDITS", "DOWNLOADS", "PUBLISH_TO_CATALOG", "CLONE_TO_PROJECT", "PROMOTE_TO_SPACE",
)  # fmt: skip


@dataclass(slots=True)
class Told:
    """What the catalog tells of one thing: how new it is, and on demand the change that says all of it."""

    kind: str
    key: str
    state: Card | ContainerSaved | ProfileSaved | ThingSaved | LineageRecorded
    #: It says which one it is and of which version, not all of it: the rest has to be read by id.
    is_partial: bool = False

    @property
    def whole(self) -> bytes:
        """The digest of all of it; of an incomplete card there is none."""
        return self.state.whole if isinstance(self.state, Card) else self.state.version.whole

    @property
    def version(self) -> Version:
        """How new it is."""
        return self.state.version

    @property
    def text(self) -> str:
        """The item as it would be kept."""
        return self.state.text if isinstance(self.state, Card) else self.state.document.text

    def change(self) -> Change:
        """All of it."""
        return self.state.saved() if isinstance(self.state, Card) else self.state


@dataclass(frozen=True, slots=True)
class Parent:
    """What something is listed below: its id, and its type where the way there depends on it."""

    id: str
    type: str | None = None


Means = Callable[[dict[str, Any], Container | None, int | None, str | None], Iterator[Told]]


@dataclass(frozen=True)
class Reading:
    """How one kind is read.

    `pages` lists it; `below` lists it for one parent, a thing that is in the mirror already: of the kind `parent`,
    and of the type `parent_type` where only those have it. `means` tells what an item says.
    """

    kind: str
    table: sa.Table
    means: Means
    pages: Callable[[CatalogClient, Any, str | None], Pages] | None = None
    below: Callable[[CatalogClient, Any, Parent], AsyncIterator[Page]] | None = None
    parent: str | None = None
    parent_type: str | None = None
    #: Kinds of containers that have it; none: it lives in no container.
    within: tuple[ContainerKind, ...] = ()
    #: The list is a search index: what it lacks, or tells otherwise, has to be read by id.
    lags: bool = False
    #: Also kept by another way, or too many calls for a run, so that only the rotation reads it.
    rotates: bool = False
    #: Items on a full page, for estimates.
    page_size: int = 200


def _asset(item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None) -> Iterator[Told]:
    """An item of the search, of no known moment: the asset, and the profiles that its card carries."""
    yield from card_told(item, where, None, Rank.LISTED)


def card_told(item: dict[str, Any], where: Container | None, at_us: int | None, rank: Rank) -> Iterator[Told]:
    """A card: the asset, and the profiles that it carries."""
    card = read_card(item, where, at_us, rank)
    yield Told("asset", card.asset_id, card)
    for profile in card.profiles:
        yield Told("data_profile", profile.profile_id, profile)


def profile_told(
    item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None
) -> Iterator[Told]:
    """A profile."""
    change = profile_change(item, parent, where, at_us, Rank.READ)
    yield Told("data_profile", change.profile_id, change)


def thing_told(
    kind: str, item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None
) -> Iterator[Told]:
    """A thing of one of the kinds."""
    change = thing_change(kind, item, where, at_us, parent)
    yield Told(kind, change.thing_id, change)


def _artifact(item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None) -> Iterator[Told]:
    """An artifact: whole, as a reading by id tells it, or flat, as lists of IBM's own client have it."""
    change = thing_change("artifact", item, where, at_us, parent)
    yield Told("artifact", change.thing_id, change, is_partial=not isinstance(item.get("metadata"), dict))


def container_told(
    kind: ContainerKind, item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None
) -> Iterator[Told]:
    """A container."""
    change = container_change(kind, item, at_us)
    yield Told("container", change.container.id, change)


async def _one(answer: Answer) -> AsyncGenerator[Page, None]:
    """One answer as the only page."""
    yield Page([answer.object()], None, None, answer.at_us)


def _single(ask: Callable[[CatalogClient, Any, str], Any]) -> Any:
    async def below(client: CatalogClient, where: Container | None, parent: Parent) -> AsyncGenerator[Page, None]:
        try:
            answer = await ask(client, where, parent.id)
        except (CatalogNotFound, CatalogGone):
            return
        async for page in _one(answer):
            yield page

    return below


async def _scores(client: CatalogClient, where: Container, parent: Parent) -> AsyncGenerator[Page, None]:
    """The scores of a quality asset; their own `asset` is not always there."""
    try:
        answer = await endpoints.scores(client, where, parent.id)
    except (CatalogNotFound, CatalogGone):
        return
    item = {"asset": {"id": parent.id}, **answer.object()}
    yield Page([item], None, None, answer.at_us)


async def _statistics(client: CatalogClient, where: Container, parent: Parent) -> AsyncGenerator[Page, None]:
    for what in STATISTICS:
        try:
            answer = await endpoints.statistics(client, where, parent.id, what)
        except (CatalogNotFound, CatalogGone):
            return
        more = None if what == STATISTICS[-1] else what
        yield Page([{**answer.object(), "asset_id": parent.id, "request_type": what}], more, None, answer.at_us)


async def _versions(client: CatalogClient, where: None, parent: Parent) -> AsyncGenerator[Page, None]:
    if parent.type not in endpoints.VERSIONED:
        return
    async with aclosing(endpoints.versions(client, parent.type, parent.id)) as pages:
        async for page in pages:
            yield page


def _lineage(item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None) -> Iterator[Told]:
    """A lineage event, at one of the assets that it names."""
    change = answered(item)
    yield Told(LINEAGE, change.event_id, change)


def _lineage_of(client: CatalogClient, where: Container, parent: Parent) -> AsyncGenerator[Page, None]:
    return endpoints.asset_lineage(client, where, parent.id)


def _profiles(client: CatalogClient, where: Container, parent: Parent) -> AsyncGenerator[Page, None]:
    return endpoints.profiles(client, where, parent.id)


def _quality(what: endpoints.Quality, client: CatalogClient, where: Container, cursor: str | None) -> Pages:
    return endpoints.quality(client, where, what, cursor=cursor)


def _reading(kind: str, pages: Any, *within: ContainerKind, page_size: int = 200) -> Reading:
    return Reading(kind, things[kind], partial(thing_told, kind), pages, within=within, page_size=page_size)


def _below(kind: str, parent: str, below: Any, *within: ContainerKind, parent_type: str | None = None) -> Reading:
    means = partial(thing_told, kind)
    return Reading(kind, things[kind], means, below=below, parent=parent, parent_type=parent_type, within=within)


def _listed(function: Any) -> Any:
    """A listing that lives in no container, or has no cursor, as every other one is called."""

    def pages(client: CatalogClient, where: Container | None, cursor: str | None) -> Pages:
        found: Pages = function(client, cursor=cursor) if where is None else function(client, where, cursor=cursor)
        return found

    return pages


#: Listings of containers, which come before everything else.
CONTAINERS: dict[ContainerKind, Reading] = {
    kind: Reading("container", containers, partial(container_told, kind), _listed(function), page_size=size)
    for kind, function, size in (
        (CATALOG, endpoints.catalogs, 25),
        (PROJECT, endpoints.projects, 100),
        (SPACE, endpoints.spaces, 200),
    )
}

#: Everything else, in the order in which it is read: parents before what is listed below them.
READINGS = (
    Reading("asset", assets, _asset, _listed(endpoints.assets), within=EVERYWHERE, lags=True),
    Reading(
        "data_profile", data_profiles, profile_told, below=_profiles, parent="asset", parent_type="data_asset",
        within=(CATALOG, PROJECT), rotates=True,
    ),
    _reading("member", _listed(endpoints.members), *EVERYWHERE, page_size=25),
    _reading("asset_type", _listed(endpoints.asset_types), *EVERYWHERE),
    _reading("relationship_type", _listed(endpoints.relationship_types), page_size=25),
    _reading("relationship", _listed(endpoints.relationships), *EVERYWHERE, page_size=25),
    Reading("artifact", things["artifact"], _artifact, _listed(endpoints.artifacts)),
    _below("artifact_version", "artifact", _versions),
    _reading("artifact_relationship", _listed(endpoints.artifact_relationships)),
    _reading("asset_list", _listed(endpoints.asset_lists)),
    _below("asset_list_item", "asset_list",
           lambda client, _, parent: endpoints.list_items(client, parent.id)),
    _reading("quality_asset", partial(_quality, "assets"), CATALOG, PROJECT),
    _reading("quality_check", partial(_quality, "checks"), CATALOG, PROJECT),
    _reading("quality_issue", partial(_quality, "issues"), CATALOG, PROJECT),
    _below("quality_score", "quality_asset", _scores, CATALOG, PROJECT),
    _reading("job", _listed(endpoints.jobs), PROJECT, SPACE, page_size=100),
    _below("job_run", "job", lambda client, where, parent: endpoints.runs(client, where, parent.id),
           PROJECT, SPACE),
    _below("metadata_import", "asset", _single(endpoints.metadata_import), PROJECT, parent_type="metadata_import"),
    _below("enrichment_area", "asset", _single(endpoints.enrichment_area), PROJECT,
           parent_type="metadata_enrichment_area"),
    _below("asset_statistic", "asset", _statistics, *EVERYWHERE),
    Reading(LINEAGE, lineage_events, _lineage, below=_lineage_of, parent="asset", within=EVERYWHERE, rotates=True),
)  # fmt: skip
BY_KIND = {reading.kind: reading for reading in READINGS}
TABLES: dict[str, sa.Table] = {
    "container": containers, "asset": assets, "data_profile": data_profiles, LINEAGE: lineage_events, **things
}  # fmt: skip


def key_of(table: sa.Table) -> Any:
    """The key column of a state table."""
    return next(iter(table.primary_key))


def with_moment(page: Page, at_us: int | None) -> Page:
    """The page as from another moment."""
    return replace(page, at_us=at_us)
