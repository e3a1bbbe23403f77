"""Refreshing: what was asked for is read again, one reading however often it was asked.

Any replica may do it: requests are leased. Assets are read in bulk; a kind that cannot be read by id is swept.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from service.catalog import endpoints, places
from service.catalog.client import CatalogClient
from service.changes import Change, Container, ContainerDeleted, Origin, Rank, ThingDeleted, Version
from service.decoding import Read
from service.errors import (
    CatalogGone,
    CatalogNotFound,
    DataError,
    MirrorError,
    StoreUnavailable,
    TransientError,
)
from service.events.message import Message
from service.mirror import refreshes
from service.mirror.bulk import rows_by_key
from service.mirror.refreshes import Claimed
from service.mirror.store import STORE_ERRORS, Store
from service.redaction import Principals
from service.settings import SyncSettings
from service.sync.cleaning import clean
from service.sync.readings import BY_KIND, TABLES, container_told, key_of, thing_told
from service.sync.sweep import Options, Result, Sweeper, batched

log = structlog.get_logger(__name__)

#: Seconds that a request is ours; the reading itself is bounded by the client's patience.
LEASE_S = 120.0
#: Seconds between two looks when nothing is due.
IDLE_S = 1.0
#: Longest pause in seconds before a reading that failed is tried again.
LONGEST_PAUSE_S = 3600.0


@dataclass(slots=True)
class Count:
    """What the worker has done so far."""

    read: int = 0
    given_up: int = 0
    problem: str | None = None


class Refresher:
    """Empties the refresh requests."""

    def __init__(
        self, client: CatalogClient, store: Store, sweeper: Sweeper, settings: SyncSettings, principals: Principals
    ) -> None:
        self._client = client
        self._store = store
        self._sweeper = sweeper
        self._settings = settings
        self._principals = principals
        self._stop = asyncio.Event()
        self.count = Count()

    def stop(self) -> None:
        """Finish what is in hand and return from `run`."""
        self._stop.set()

    async def run(self) -> None:
        """Refresh until stopped."""
        while not self._stop.is_set():
            busy = False
            try:
                busy = await self.once() > 0
                self.count.problem = None
            except TransientError as error:
                self.count.problem = f"{error} {error.advice()}"
                log.warning("refresh_waits", problem=str(error), remedy=error.advice())
            if not busy:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), IDLE_S)

    async def once(self) -> int:
        """Take what is due and read it; answers how many requests that were."""
        try:
            async with self._store.write() as connection:
                claimed = await refreshes.claim(connection, self._store, self._settings.refresh_batch, LEASE_S)
        except STORE_ERRORS as error:
            raise self._store.unavailable(error) from error
        for requests in _grouped(claimed):
            await self._read(requests)
        return len(claimed)

    async def _read(self, requests: list[Claimed]) -> None:
        """One group: same kind, container and origin. What cannot be read now is put off."""
        try:
            reads = await self._reads(requests)
            await self._sweeper.write(reads, requests[0].origin)
            await self._done(requests)
            self.count.read += len(requests)
        except StoreUnavailable:
            raise
        except TransientError as error:
            await self._put_off(requests, error)

    async def _reads(self, requests: list[Claimed]) -> list[Read]:
        kind = requests[0].kind
        if kind == "asset":
            return await self._assets(requests)
        if kind == "data_profile":
            return [read for request in requests for read in await self._profile(request)]
        return [read for request in requests for read in await self._thing(request)]

    async def _assets(self, requests: list[Claimed]) -> list[Read]:
        """Assets, in bulk; the container is what was told, else what the mirror knows, else what the search says."""
        places = await self._places([request for request in requests if request.container is None], "asset")
        by_place: dict[Container, list[str]] = defaultdict(list)
        for request in requests:
            where = request.container or places.get(request.entity_id) or await self._searched(request.entity_id)
            if where is None:
                log.info("asset_nowhere", asset_id=request.entity_id, reason=request.reason)
            else:
                by_place[where].append(request.entity_id)
        return [read for where, ids in by_place.items() for read in await self._sweeper.reread(where, ids)]

    async def _profile(self, request: Claimed) -> list[Read]:
        table = TABLES["data_profile"]
        async with self._store.read() as connection:
            rows = await rows_by_key(
                connection, table, "profile_id", [request.entity_id], "asset_id", "container_kind", "container_id"
            )
        row = rows.get(request.entity_id)
        where = request.container or (Container(row.container_kind, row.container_id) if row and row[3] else None)
        if row is None or row.asset_id is None or where is None:
            log.info("profile_nowhere", profile_id=request.entity_id, reason=request.reason)
            return []
        return [await self._sweeper.reread_profile(where, request.entity_id, row.asset_id)]

    async def _thing(self, request: Claimed) -> list[Read]:
        """A container or a thing by id, where it can be read so; else the listing that it stands in."""
        if request.kind == "container":
            return await self._container(request)
        if request.kind in ("enrichment_area", "metadata_import", "artifact"):
            return await self._by_id(request)
        reading = BY_KIND.get(request.kind)
        if reading is None or (reading.within and request.container is None):
            log.info("refresh_impossible", kind=request.kind, entity_id=request.entity_id)
            return []
        options = Options(repair=True, deletions=True, origin=request.origin)
        await self._sweeper.sweep(reading, request.container, options, _no_checkpoint)
        return []

    async def _container(self, request: Claimed) -> list[Read]:
        where = request.container or (await self._places([request], "container")).get(request.entity_id)
        if where is None:
            return []
        try:
            answer = await endpoints.container(self._client, where)
        except (CatalogNotFound, CatalogGone) as error:
            gone = Version(error.details.get("at_us"), Rank.DELETED)
            return [_read(request, [ContainerDeleted(where, gone)])]
        told = container_told(where.kind, clean(answer.object(), self._principals), where, answer.at_us, None)
        return [_read(request, [one.change() for one in told])]

    async def _by_id(self, request: Claimed) -> list[Read]:
        where = request.container or (await self._places([request], "asset")).get(request.entity_id)
        try:
            if request.kind == "artifact":
                answer = await endpoints.artifact(self._client, "all", request.entity_id)
                where = None
            elif where is None:
                log.info("thing_nowhere", kind=request.kind, entity_id=request.entity_id)
                return []
            elif request.kind == "enrichment_area":
                answer = await endpoints.enrichment_area(self._client, where, request.entity_id)
            else:
                answer = await endpoints.metadata_import(self._client, where, request.entity_id)
        except (CatalogNotFound, CatalogGone) as error:
            gone = Version(error.details.get("at_us"), Rank.DELETED)
            return [_read(request, [ThingDeleted(request.kind, request.entity_id, gone, where)])]
        told = thing_told(request.kind, clean(answer.object(), self._principals), where, answer.at_us, None)
        return [_read(request, [one.change() for one in told])]

    async def _places(self, requests: Sequence[Claimed], kind: str) -> dict[str, Container]:
        """Where things live, as far as the mirror knows."""
        table = TABLES[kind]
        names = ("kind", "container_id") if kind == "container" else ("container_kind", "container_id")
        async with self._store.read() as connection:
            wanted = [request.entity_id for request in requests]
            rows = await rows_by_key(connection, table, key_of(table).name, wanted, *names)
        return {key: Container(row[1], row[2]) for key, row in rows.items() if row[1] and row[2]}

    async def _searched(self, asset_id: str) -> Container | None:
        """Where the catalog's search says that an asset lives."""
        return await places.container_of(self._client, asset_id)

    async def _done(self, requests: Sequence[Claimed]) -> None:
        try:
            async with self._store.write() as connection:
                await refreshes.done(connection, requests)
        except STORE_ERRORS as error:
            raise self._store.unavailable(error) from error

    async def _put_off(self, requests: Sequence[Claimed], error: MirrorError) -> None:
        """Try again later; what failed too often is given up: the next reconcile comes to it."""
        over = [request for request in requests if request.attempts + 1 >= self._settings.refresh_attempts]
        waiting = [request for request in requests if request not in over]
        self.count.given_up += len(over)
        log.warning("refresh_put_off", kind=requests[0].kind, number=len(requests), given_up=len(over),
                    problem=str(error), remedy=error.advice())  # fmt: skip
        try:
            async with self._store.write() as connection:
                await refreshes.done(connection, over)
                for request in waiting:
                    pause_s = min(LONGEST_PAUSE_S, 5.0 * 2.0**request.attempts)
                    await refreshes.put_off(connection, self._store, [request], str(error), pause_s)
        except STORE_ERRORS as failure:
            raise self._store.unavailable(failure) from failure


def _grouped(claimed: Sequence[Claimed]) -> list[list[Claimed]]:
    """By kind, container and origin, live ones first; small enough that one obstacle puts off few."""
    groups: dict[tuple[str, Container | None, Origin], list[Claimed]] = defaultdict(list)
    for request in claimed:
        groups[request.kind, request.container, request.origin].append(request)
    ordered = sorted(groups.items(), key=lambda group: group[0][2] is not Origin.LIVE)
    return [list(chunk) for _, group in ordered for chunk in batched(group, endpoints.BULK_MAX)]


def _read(request: Claimed, changes: list[Change], error: DataError | None = None) -> Read:
    key = f"catalog.{request.kind}.{request.entity_id}.GET"
    return Read(Message(key, b""), f"catalog.{request.kind}", tuple(changes), error)


async def _no_checkpoint(result: Result) -> None:
    """Nothing is written down of a sweep that a request asked for."""
