"""Polling: changes are followed by reading, where the catalog lets them be followed; the rest is read in rotation.

Watermarks are on the catalog's clock, so a clock that is off changes nothing. What the search shows is only a hint that
an asset was modified: one that the mirror has from later is not read again, the others are asked for as refreshes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from service.catalog import endpoints, listings
from service.catalog.client import CatalogClient
from service.catalog.listings import Parent
from service.catalog.paging import Page
from service.catalog.places import place_of
from service.changes import SECOND_US, AssetSaved, Container, Origin, RefreshAsked
from service.errors import FieldInvalid, MirrorError, TransientError
from service.events.things import thing_id
from service.kinds import CONTAINERS, Kind
from service.kinds.assets import TRASH
from service.kinds.glossary import ARTIFACT, ARTIFACT_RELATIONSHIP, CHANGED_DATA_CLASSES
from service.kinds.jobs import JOB, JOB_RUN
from service.kinds.model import CATALOG
from service.kinds.quality import QUALITY_ISSUE
from service.kinds.relationships import RELATIONSHIP
from service.mirror import progress, refreshes
from service.mirror.bulk import rows_by_key
from service.mirror.store import Store
from service.mirror.tables import VERSIONED, assets
from service.settings.model import SyncSettings
from service.settings.scope import Scope
from service.sync.obstacles import ABSENT, BROKEN
from service.sync.sweep import Options, Sweeper
from service.telemetry.metrics import Metrics
from service.text import lookup
from service.text.times import from_datetime, to_datetime, to_iso_milliseconds

log = structlog.get_logger(__name__)

#: Of the calls that the budget allows, the part that polling container by container may take.
BUDGET_SHARE = 1 / 3
#: Seconds for which a deleted asset is looked for: most restores come soon.
RESTORABLE_S = 7 * 86400.0
#: What begins the problem that a look met; the next one that meets none takes it away.
_NOT_FOLLOWED = "not followed: "
_LIVE = Options(repair=True, deletions=False, origin=Origin.LIVE)


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that is followed: what it is called, and how to look."""

    kind: str
    where: Container | None
    look: Callable[[Container | None, str | None], Awaitable[str | None]]


class Poller:
    """Follows changes."""

    def __init__(
        self,
        client: CatalogClient,
        store: Store,
        sweeper: Sweeper,
        settings: SyncSettings,
        scope: Scope,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics
        self._client = client
        self._store = store
        self._sweeper = sweeper
        self._settings = settings
        self._scope = scope
        self._sources: deque[Source] = deque()
        #: Changes that the last look asked to be read.
        self.asked = 0

    async def once(self, containers: list[Container]) -> MirrorError | None:
        """One look: at modified assets and the glossary, and container by container as far as the budget goes.

        Answers what was out of order, if anything was.

        Raises:
            TransientError: the catalog or the store does not do its part; what was not looked at comes first next time.
        """
        # Data classes are followed apart from the other artifacts, which rotate.
        everywhere: list[tuple[str, str, Any]] = [
            ("asset", "asset", self._modified_assets), ("artifact", "data_class", self._data_classes),
            ("artifact_relationship", "artifact_relationship", self._artifact_relationships),
        ]  # fmt: skip
        due = [Source(name, None, look) for kind, name, look in everywhere if kind not in self._settings.skip]
        self._refill(containers)
        calls_per_look = self._client.settings.calls_per_minute * BUDGET_SHARE * self._settings.poll_s / 60
        share = min(len(self._sources), max(1, int(calls_per_look)))
        failed: MirrorError | None = None
        async with self._store.translated():
            for number in range(len(due) + share):
                source = due[number] if number < len(due) else self._sources.popleft()
                try:
                    await self._look(source)
                except BROKEN as error:  # one service is out of order: that keeps nobody from following the others
                    log.warning("not_followed", kind=source.kind, problem=str(error))
                    await self._note(source, problem=f"{_NOT_FOLLOWED}{error}"[:500])
                    failed = failed or error
                except TransientError:
                    if source.where is not None:
                        self._sources.appendleft(source)
                    raise
        return failed

    def _refill(self, containers: list[Container]) -> None:
        if self._sources:
            return
        for where in containers:
            looks: list[tuple[Kind, Any]] = [
                (RELATIONSHIP, self._relationships), (QUALITY_ISSUE, self._quality_issues), (JOB, self._jobs)
            ]  # fmt: skip
            chosen = [(kind.name, look) for kind, look in looks if where.kind in kind.within]
            chosen = [("trash", self._trash), *chosen]
            self._sources += [Source(name, where, look) for name, look in chosen if name not in self._settings.skip]

    async def _look(self, source: Source) -> None:
        """One look, from the watermark on; the new watermark is written down when its effects are committed."""
        place = source.where.id if source.where else ""
        async with self._store.read() as connection:
            states = await progress.states(connection)
        known = states.get((place, source.kind))
        try:
            watermark = await source.look(source.where, known.watermark if known else None)
        except ABSENT as error:
            log.info("not_followed", kind=source.kind, container=place, problem=str(error))
            await self._note(source, problem=f"{_NOT_FOLLOWED}{error}"[:500])
            return
        cleared = {"problem": None} if known and (known.problem or "").startswith(_NOT_FOLLOWED) else {}
        await self._note(source, watermark=watermark, polled_at="now", **cleared)

    async def _note(self, source: Source, **values: Any) -> None:
        place, kind = (source.where.id, source.where.kind) if source.where else ("", None)
        async with self._store.write() as connection:
            await progress.note_state(connection, place, kind, source.kind, **values)

    async def _modified_assets(self, _: Container | None, watermark: str | None) -> str | None:
        """Assets that the search shows as modified; late ones, too, as far as the index may lag."""
        if watermark is None:
            return await self._now()
        newest = watermark
        since = _before(watermark, self._settings.index_lag_s)
        self.asked = 0
        async with aclosing(endpoints.modified_assets(self._client, since)) as pages:
            async for page in pages:
                newest = max(newest, await self._ask(page), key=_moment)
        return newest

    async def _now(self) -> str | None:
        """The catalog's clock: following begins here, what was before is the snapshot's."""
        async with aclosing(listings.pages(self._client, CONTAINERS[CATALOG])) as pages:
            async for page in pages:
                return None if page.at_us is None else to_iso_milliseconds(page.at_us)
        return None

    async def _ask(self, page: Page) -> str:
        """Ask for those that the mirror does not have from later; answers the newest moment of the page."""
        newest = "1970-01-01T00:00:00.000Z"
        told: dict[str, tuple[int, Container | None]] = {}
        for row in page.items:
            modified = lookup.moment(lookup.at(row, ("metadata", "modified_on")))
            asset_id = lookup.text(row.get("artifact_id"))
            if modified is None or asset_id is None:
                continue
            newest = max(newest, to_iso_milliseconds(modified), key=_moment)
            where = place_of(row)
            if self._scope.admits_container(where):
                told[asset_id] = modified, where
        async with self._store.write() as connection:
            have = await rows_by_key(connection, assets, "asset_id", list(told), "version_at", "deleted_at")
            late = [
                RefreshAsked("asset", asset_id, where, "polled", origin=Origin.LIVE)
                for asset_id, (modified, where) in told.items()
                if not _is_known(have.get(asset_id), modified)
            ]
            await refreshes.ask(connection, late)
        self.asked += len(late)
        for request in late:
            if self._metrics and page.at_us is not None:
                behind_us = page.at_us - told[request.entity_id][0]
                self._metrics.poll_lag.observe(max(0, behind_us) / SECOND_US)
        return newest

    async def _trash(self, where: Container | None, watermark: str | None) -> str | None:
        """Assets that were deleted: each is read, which finds it gone. Lately deleted ones: they may be back."""
        assert where is not None
        newest = watermark
        since = _before(watermark, self._settings.poll_s) if watermark else None
        async with aclosing(listings.changed(self._client, TRASH, since, where)) as pages:
            async for page in pages:
                ids = [lookup.text(lookup.at(item, ("metadata", "asset_id"))) for item in page.items]
                await self._ask_for_trashed(where, [asset_id for asset_id in ids if asset_id])
                if page.at_us is not None and newest == watermark:
                    newest = to_iso_milliseconds(page.at_us)
        if newest is not None:
            await self._restored(where, _before(newest, RESTORABLE_S))
        return newest

    async def _restored(self, where: Container, deleted_since: str) -> None:
        """Nothing tells of a restore, so what was deleted last is read again: one call where there is any."""
        column = assets.c
        here = sa.and_(column.container_id == where.id, column.deleted_at > to_datetime(_moment(deleted_since)))
        query = sa.select(column.asset_id).where(here).order_by(column.deleted_at.desc()).limit(endpoints.BULK_MAX)
        async with self._store.read() as connection:
            ids = list((await connection.execute(query)).scalars())
        if ids:
            reads = await self._sweeper.reread(where, ids)
            back = [read for read in reads if any(isinstance(change, AssetSaved) for change in read.changes)]
            await self._sweeper.write(back, Origin.LIVE)

    async def _ask_for_trashed(self, where: Container, ids: list[str]) -> None:
        async with self._store.write() as connection:
            have = await rows_by_key(connection, assets, "asset_id", ids, "deleted_at")
            live = [key for key, row in have.items() if row.deleted_at is None]
            await refreshes.ask(connection, [RefreshAsked("asset", key, where, "trashed") for key in live])

    async def _relationships(self, where: Container | None, watermark: str | None) -> str | None:
        """Relationships that were made or changed; those that were removed are not told."""
        assert where is not None
        if watermark is None:
            return await self._now()
        since = _before(watermark, self._settings.poll_s)
        pages = listings.pages(self._client, RELATIONSHIP, where, since=since)
        return await self._follow(RELATIONSHIP, where, pages, ("update_time",), watermark)

    async def _artifact_relationships(self, _: Container | None, watermark: str | None) -> str | None:
        if watermark is None:
            return await self._now()
        now = await self._now()  # before the look: what changes meanwhile is for the next one
        since = _before(watermark, self._settings.poll_s)
        pages = listings.pages(self._client, ARTIFACT_RELATIONSHIP, since=since)
        await self._follow(ARTIFACT_RELATIONSHIP, None, pages, (), watermark)
        return now

    async def _data_classes(self, _: Container | None, watermark: str | None) -> str | None:
        """Data classes are the only artifacts that tell what changed since."""
        if watermark is None:
            return await self._now()
        since = _before(watermark, self._settings.poll_s)
        newest = watermark
        for status in (None, "DELETED"):
            pages = listings.changed(self._client, CHANGED_DATA_CLASSES, since, status=status)
            newest = max(newest, await self._follow(ARTIFACT, None, pages, _MODIFIED, watermark), key=_moment)
        return newest

    async def _quality_issues(self, where: Container | None, watermark: str | None) -> str | None:
        """Issues, last updated first: as far as the watermark. An issue without that time ends the look at its page.

        A catalog that does not keep that order, as where its parameters have other names, is read to its end.
        """
        assert where is not None
        newest = watermark or ""
        last, is_sorted = "9", True
        async with aclosing(listings.pages(self._client, QUALITY_ISSUE, where)) as pages:
            async for page in pages:
                await self._sweeper.follow(QUALITY_ISSUE, where, page, _LIVE)
                moments = [lookup.moment(item.get("updated_at")) for item in page.items]
                texts = [to_iso_milliseconds(moment) for moment in moments if moment is not None]
                newest = max([newest, *texts])
                is_sorted = is_sorted and [last, *texts] == sorted([last, *texts], reverse=True)
                last = min([last, *texts])
                if len(texts) < len(moments) or not texts or (is_sorted and last <= (watermark or "")):
                    break
        return newest or None

    async def _jobs(self, where: Container | None, watermark: str | None) -> str | None:
        """Jobs; the runs of those that differ from the mirror, before these are written and do not differ any more."""
        assert where is not None
        async with aclosing(listings.pages(self._client, JOB, where)) as pages:
            async for page in pages:
                differing = await self._sweeper.follow(JOB, where, page, replace(_LIVE, repair=False))
                for job_id in differing if JOB_RUN.name not in self._settings.skip else ():
                    async with aclosing(listings.pages(self._client, JOB_RUN, where, parent=Parent(job_id))) as runs_of:
                        async for run_page in runs_of:
                            if not await self._sweeper.follow(JOB_RUN, where, run_page, _LIVE, parent=job_id):
                                break
                if differing:
                    await self._sweeper.follow(JOB, where, page, _LIVE)
        return watermark

    async def _ask_for_deleted(self, kind: Kind, where: Container | None, items: list[dict[str, Any]]) -> None:
        """What says of itself that it is no more is read again, which finds it gone, unless the mirror knows that."""
        keys = []
        for item in items:
            with suppress(FieldInvalid):
                keys.append(thing_id(kind, item, where))
        if not keys:
            return
        async with self._store.write() as connection:
            have = await rows_by_key(connection, VERSIONED[kind.name], kind.id_name, keys, "deleted_at")
            live = [key for key, row in have.items() if row.deleted_at is None]
            await refreshes.ask(connection, [RefreshAsked(kind.name, key, where, "deleted") for key in live])

    async def _follow(
        self, kind: Kind, where: Container | None, pages: AsyncIterator[Page], path: tuple[str, ...], watermark: str
    ) -> str:
        newest = watermark
        async with aclosing(pages):  # type: ignore[type-var]
            async for page in pages:
                gone = [item for item in page.items if is_deleted(item)]
                alive = [item for item in page.items if not is_deleted(item)]
                await self._sweeper.follow(kind, where, replace(page, items=alive), _LIVE)
                await self._ask_for_deleted(kind, where, gone)
                for item in page.items:
                    moment = lookup.moment(lookup.at(item, path)) if path else None
                    if moment is not None:
                        newest = max(newest, to_iso_milliseconds(moment), key=_moment)
        return newest


def is_deleted(item: dict[str, Any]) -> bool:
    """Whether an item says of itself that it is no more, as what changed since a moment may (status `DELETED`)."""
    return any(str(lookup.at(item, path)).upper() == "DELETED" for path in _STATES)


_STATES = (("metadata", "state"), ("entity", "state"), ("state",), ("status",), ("metadata", "status"))
_MODIFIED = ("metadata", "modified_at")


def _is_known(row: Any, modified_us: int) -> bool:
    """Whether the mirror has this asset from later than it was modified."""
    return row is not None and row.version_at is not None and from_datetime(row.version_at) >= modified_us


def _moment(text: str) -> int:
    return lookup.moment(text) or 0


def _before(watermark: str, seconds: float) -> str:
    """So many seconds before a moment, as the catalog's filters take it."""
    moment = to_datetime(_moment(watermark)) - timedelta(seconds=seconds)
    return to_iso_milliseconds(from_datetime(moment))
