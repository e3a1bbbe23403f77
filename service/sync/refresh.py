"""Refreshing: what was asked for is read again, one reading however often it was asked.

Any replica may do it: requests are leased. Assets are read in bulk; a kind that cannot be read by id is swept, once for
all requests of its container.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any

import structlog

from service.catalog import endpoints, listings, places
from service.catalog.client import CatalogClient
from service.catalog.listings import Parent
from service.changes import (
    SECOND_US,
    AssetSaved,
    Container,
    Origin,
    ProfileDeleted,
    Rank,
    RefreshAsked,
    ThingDeleted,
    Version,
)
from service.errors import (
    CatalogAnswerInvalid,
    CatalogAnswerTooLarge,
    CatalogBusy,
    CatalogFailed,
    CatalogGone,
    CatalogNotFound,
    CatalogRefused,
    CatalogRejected,
    CatalogUnreachable,
    DataError,
    MirrorError,
    NotReadYet,
    StoreUnavailable,
    TransientError,
)
from service.events.found import Found
from service.kinds import KINDS
from service.kinds.lineage import LINEAGE_EVENT
from service.mirror import refreshes
from service.mirror.bulk import rows_by_key
from service.mirror.profiling import documents
from service.mirror.profiling.documents import KIND as DOCUMENT
from service.mirror.refreshes import Claimed
from service.mirror.store import Store
from service.mirror.tables import VERSIONED, key_of
from service.pipeline.decoding import Read
from service.settings.model import SyncSettings
from service.sync.cleaning import clean
from service.sync.containers import refreshed_container
from service.sync.findings import read_of, unreadable
from service.sync.obstacles import ABSENT
from service.sync.profile_documents import DocumentReader
from service.sync.readings import thing_told
from service.sync.sweep import Options, Result, Sweeper, batched
from service.text import lookup
from service.text.privacy import Privacy

log = structlog.get_logger(__name__)

#: Seconds that a request is ours; the reading itself is bounded by the client's patience.
LEASE_S = 120.0
#: Seconds between two looks when nothing is due.
IDLE_S = 1.0
#: Seconds before the first reading that failed is tried again; doubled each time.
FIRST_PAUSE_S = 5.0
#: Longest pause in seconds before a reading that failed is tried again; where a service is out for a while.
LONGEST_PAUSE_S, LONGEST_OUTAGE_S = 3600.0, 300.0
#: Seconds for which lineage that is found with a changed asset counts as new.
FRESH_S = 86_400
#: Assets in a row whose lineage the catalog does not show, after which only the rotation asks.
NO_LINEAGE = 20
#: Seconds before anything is tried again while the catalog as such cannot be asked.
DOWN_PAUSE_S = 15.0
#: What the catalog answers, or not, when nothing can be read at all: no attempt at any one thing.
DOWN = (CatalogUnreachable, CatalogRefused, CatalogBusy)
#: What one unusable id may do to those that are read with it.
_SPOILT = (CatalogRejected, CatalogAnswerInvalid, CatalogAnswerTooLarge)
#: Statuses of a service that is out for a while: what it is asked for is never given up.
_OUT = frozenset({502, 503, 504})
#: Kinds that are read one by one.
_BY_ID = frozenset({"container", "artifact", *(kind.name for kind in KINDS.values() if kind.alone)})
LINEAGE = LINEAGE_EVENT.name
#: What waits for whatever else is to be read.
_LATER = frozenset({LINEAGE, DOCUMENT})


@dataclass(slots=True)
class Count:
    """What the worker has done so far."""

    read: int = 0
    given_up: int = 0
    problem: str | None = None


class Refresher:
    """Empties the refresh requests."""

    def __init__(
        self, client: CatalogClient, store: Store, sweeper: Sweeper, settings: SyncSettings, privacy: Privacy
    ) -> None:
        self._client = client
        self._store = store
        self._sweeper = sweeper
        self._settings = settings
        self._privacy = privacy
        self._documents = DocumentReader(client, store, settings, privacy)
        self._stop = asyncio.Event()
        #: More waits than one turn of it takes.
        self._is_busy = False
        #: Assets in a row whose lineage the catalog does not show.
        self._without_lineage = 0
        self.count = Count()

    def stop(self) -> None:
        """Finish the reading in hand, leave what was claimed beside it to others, and return from `run`."""
        self._stop.set()

    async def run(self) -> None:
        """Refresh until stopped; whatever happens to one reading, the others go on."""
        while not self._stop.is_set():
            busy = False
            try:
                busy = await self.once() > 0
                self.count.problem = None
            except MirrorError as error:
                self.count.problem = f"{error} {error.advice()}"
                log.warning("refresh_waits", problem=str(error), remedy=error.advice())
            except Exception as error:
                self.count.problem = f"{type(error).__name__} while refreshing: see the log"
                log.exception("refresh_failed")
            if not busy:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), IDLE_S)

    async def once(self) -> int:
        """Take what is due and read it; answers how many requests that were.

        Raises:
            TransientError: the store, or the catalog as such, does not do its part; what was taken is due again soon.
        """
        async with self._store.translated():
            async with self._store.write() as connection:
                claimed = await refreshes.claim(connection, self._store, self._settings.refresh_batch, LEASE_S)
            self._is_busy = len(claimed) > self._settings.refresh_batch // 2
            leased_at = time.monotonic()
            groups = _grouped(claimed)
            for number, requests in enumerate(groups):
                left = [request for group in groups[number:] for request in group]
                if self._stop.is_set():
                    async with self._store.write() as connection:
                        await refreshes.give_back(connection, left)
                    break
                if time.monotonic() - leased_at > LEASE_S / 2:
                    async with self._store.write() as connection:
                        await refreshes.renew(connection, self._store, left, LEASE_S)
                    leased_at = time.monotonic()
                try:
                    await self._read(requests)
                except DOWN as error:
                    await self._put_back(left, error)
                    raise
        return len(claimed)

    async def _read(self, requests: Sequence[Claimed]) -> None:
        """One group: same kind, container and origin. What cannot be read now is put off."""
        try:
            reads, unread = await self._reads(requests)
            await self._sweeper.write(reads, requests[0].origin)
        except (StoreUnavailable, *DOWN):
            raise
        except _SPOILT as error:
            if len(requests) == 1:
                await self._put_off(requests, error)
                return
            for request in requests:
                await self._read([request])
        except (DataError, TransientError) as error:
            await self._put_off(requests, error)
        else:
            done = [request for request in requests if request not in unread]
            async with self._store.write() as connection:
                await refreshes.done(connection, done)
            self.count.read += len(done)
            if unread:
                await self._put_off(unread, NotReadYet(what=f"{unread[0].kind} {unread[0].entity_id}"))

    async def _reads(self, requests: Sequence[Claimed]) -> tuple[list[Read], list[Claimed]]:
        """What reading told, and the requests that it told nothing of for now."""
        kind = requests[0].kind
        if kind == "asset":
            return await self._assets(requests)
        if kind == "data_profile":
            reads = [read for request in requests for read in await self._profile(request)]
            await self._ask_for_documents(reads, requests[0].origin)
            return reads, []
        if kind == DOCUMENT:
            return [read for request in requests for read in await self._documents.read(request)], []
        if kind in _BY_ID:
            return [read for request in requests for read in await self._by_id(request)], []
        if kind == LINEAGE:
            for request in requests:
                await self._lineage(request)
            return [], []
        await self._sweep(requests)
        return [], []

    async def _assets(self, requests: Sequence[Claimed]) -> tuple[list[Read], list[Claimed]]:
        """Assets, in bulk; the container is what was told, else what the mirror knows, else what the search says."""
        known = await self._places([request for request in requests if request.container is None], "asset")
        by_place: dict[Container, list[Claimed]] = defaultdict(list)
        unread: list[Claimed] = []
        for request in requests:
            where = request.container or known.get(request.entity_id)
            where = where or await places.container_of(self._client, request.entity_id)
            if where is not None:
                by_place[where].append(request)
                continue
            log.info("asset_nowhere", asset_id=request.entity_id, reason=request.reason)
            if request.reason != "deletion_hinted":  # the search shows what is new only later
                unread.append(request)
        reads: list[Read] = []
        for where, there in by_place.items():
            told = await self._sweeper.reread(where, [request.entity_id for request in there])
            await self._ask_for_lineage(where, told, there[0].origin)
            silent = {read.source.key for read in told if not (read.changes or read.error or read.ignored)}
            unread += [request for request in there if Found("asset", request.entity_id, where).key in silent]
            reads += told
        return reads, unread

    async def _ask_for_lineage(self, where: Container, reads: Sequence[Read], origin: Origin) -> None:
        """What changed may have been made of something: a call for each, so only while nothing else waits."""
        if LINEAGE in self._settings.skip or self._is_busy or self._without_lineage >= NO_LINEAGE:
            return
        saved = [change for read in reads for change in read.changes if isinstance(change, AssetSaved)]
        asked = [RefreshAsked(LINEAGE, one.asset_id, where, "refreshed", origin=origin) for one in saved]
        if not asked:
            return
        async with self._store.write() as connection:
            await refreshes.ask(connection, asked)

    async def _ask_for_documents(self, reads: Sequence[Read], origin: Origin) -> None:
        """Who asks for a profile again asks for its document, too, whether or not the profile changed."""
        if self._documents.is_on:
            async with self._store.write() as connection:
                await documents.ask(connection, (change for read in reads for change in read.changes), origin)

    async def _lineage(self, request: Claimed) -> None:
        """The lineage that the catalog holds of an asset. What is old was there before anybody followed it."""
        where = request.container or (await self._places([request], "asset")).get(request.entity_id)
        if where is None:
            return
        try:
            async with aclosing(
                listings.pages(self._client, LINEAGE_EVENT, where, parent=Parent(request.entity_id))
            ) as pages:
                async for page in pages:
                    fresh = [item for item in page.items if _is_fresh(item, page.at_us)]
                    old = [item for item in page.items if not _is_fresh(item, page.at_us)]
                    for items, origin in ((fresh, request.origin), (old, Origin.SYNC)):
                        options = Options(origin=origin)
                        await self._sweeper.follow(LINEAGE_EVENT, where, replace(page, items=items), options)
            self._without_lineage = 0
        except ABSENT as error:  # its lineage is not for us, or not there: the asset is read all the same
            self._without_lineage += 1
            log.info("lineage_not_read", asset_id=request.entity_id, problem=str(error))

    async def _profile(self, request: Claimed) -> list[Read]:
        names = ("asset_id", "container_kind", "container_id")
        async with self._store.read() as connection:
            table = VERSIONED["data_profile"]
            rows = await rows_by_key(connection, table, "profile_id", [request.entity_id], *names)
        row = rows.get(request.entity_id)
        where = request.container or (Container(row.container_kind, row.container_id) if row and row[3] else None)
        if row is None or row.asset_id is None or where is None:
            log.info("profile_nowhere", profile_id=request.entity_id, reason=request.reason)
            return []
        if where.kind == "space":
            carried = await self._sweeper.reread_mirrored(where, request.entity_id)
            return [carried] if carried else []
        read = await self._sweeper.reread_profile(where, request.entity_id, row.asset_id)
        if any(isinstance(change, ProfileDeleted) for change in read.changes):
            await endpoints.moment(self._client, where)
        return [read]

    async def _sweep(self, requests: Sequence[Claimed]) -> None:
        """The listing in which these stand: none of them can be read alone."""
        kind = KINDS.get(requests[0].kind)
        if kind is None:
            log.info("refresh_impossible", kind=requests[0].kind, entity_id=requests[0].entity_id)
            return
        listed_in: set[Container | None] = {requests[0].container}
        if kind.within and requests[0].container is None:
            listed_in = set((await self._places(requests, kind.name)).values())
        options = Options(repair=True, deletions=True, origin=requests[0].origin)
        for where in listed_in:
            result = await self._sweeper.sweep(kind, where, options, _no_checkpoint)
            if result.of(kind.name).braked:
                number = result.of(kind.name).orphaned
                log.error("refresh_braked", kind=kind.name, container=where and where.id, number=number,
                          remedy="Run `catalog-mirror reconcile` and look at its report.")  # fmt: skip

    async def _by_id(self, request: Claimed) -> list[Read]:
        where = request.container
        if request.kind == "container":
            where = where or (await self._places([request], "container")).get(request.entity_id)
            changes = await refreshed_container(self._client, self._store, where, self._privacy) if where else []
            return [read_of(request.kind, request.entity_id, where, changes)]
        if request.kind == "artifact":
            return [await self._sweeper.reread_artifact(request.entity_id)]
        alone = KINDS[request.kind].alone
        assert alone is not None
        for kind in (request.kind, "asset"):
            where = where or (await self._places([request], kind)).get(request.entity_id)
        if where is None:
            log.info("thing_nowhere", kind=request.kind, entity_id=request.entity_id)
            return []
        try:
            answer = await listings.one(self._client, alone, where, request.entity_id)
        except (CatalogNotFound, CatalogGone) as error:
            await endpoints.moment(self._client, where)  # raises where the container cannot be read any more
            gone = Version(error.details.get("at_us"), Rank.DELETED)
            deleted = ThingDeleted(request.kind, request.entity_id, gone, where)
            return [read_of(request.kind, request.entity_id, where, [deleted])]
        try:
            told = thing_told(KINDS[request.kind], clean(answer.object(), self._privacy), where, answer.at_us, None)
            return [read_of(request.kind, request.entity_id, where, [one.change() for one in told])]
        except DataError as error:
            return [unreadable(request.kind, request.entity_id, where, error, answer.body)]

    async def _places(self, requests: Sequence[Claimed], kind: str) -> dict[str, Container]:
        """Where things live, as far as the mirror knows."""
        table = VERSIONED[kind]
        names = ("kind", "container_id") if kind == "container" else ("container_kind", "container_id")
        async with self._store.read() as connection:
            wanted = [request.entity_id for request in requests]
            rows = await rows_by_key(connection, table, key_of(table).name, wanted, *names)
        return {key: Container(row[1], row[2]) for key, row in rows.items() if row[1] and row[2]}

    async def _put_off(self, requests: Sequence[Claimed], error: MirrorError) -> None:
        """Try again later; what failed too often is given up: the next reconcile comes to it."""
        out = isinstance(error, CatalogFailed) and error.details.get("status") in _OUT
        last = self._settings.refresh_attempts
        over = [] if out else [request for request in requests if request.attempts + 1 >= last]
        self.count.given_up += len(over)
        log.warning("refresh_put_off", kind=requests[0].kind, number=len(requests), given_up=len(over),
                    problem=str(error), remedy=error.advice())  # fmt: skip
        for request in over:
            if request.kind == DOCUMENT:
                await self._sweeper.write(await self._documents.given_up(request, str(error)), request.origin)
        longest_s = LONGEST_OUTAGE_S if out else LONGEST_PAUSE_S
        async with self._store.write() as connection:
            await refreshes.done(connection, over)
            for request in requests:
                if request not in over:
                    pause_s = min(longest_s, FIRST_PAUSE_S * 2.0 ** min(request.attempts, 30))
                    await refreshes.put_off(connection, self._store, [request], str(error), pause_s)

    async def _put_back(self, requests: Sequence[Claimed], error: MirrorError) -> None:
        """Nothing can be read for now: that is no fault of these."""
        async with self._store.write() as connection:
            await refreshes.put_off(connection, self._store, requests, str(error), DOWN_PAUSE_S, counts=False)


def _grouped(claimed: Sequence[Claimed]) -> list[Sequence[Claimed]]:
    """By kind, container and origin, live ones first; small enough that one obstacle puts off few."""
    groups: dict[tuple[str, Container | None, Origin], list[Claimed]] = defaultdict(list)
    for request in claimed:
        groups[request.kind, request.container, request.origin].append(request)
    ordered = sorted(groups.values(), key=lambda group: (group[0].origin is not Origin.LIVE, group[0].kind in _LATER))
    return [part for group in ordered for part in (batched(group, _size(group[0].kind, len(group))))]


def _size(kind: str, number: int) -> int:
    """How many requests are fulfilled together: what is swept, all."""
    if kind in ("asset", LINEAGE):
        return endpoints.BULK_MAX
    return 1 if kind in ("data_profile", DOCUMENT) or kind in _BY_ID else number


def _is_fresh(item: dict[str, Any], at_us: int | None) -> bool:
    """Whether a lineage event happened lately, on the catalog's clock: it is a change, no news of long ago."""
    told = lookup.first(item, (("entity", "properties", "event_time"), ("metadata", "created_at")))
    happened = lookup.moment(told)
    return happened is not None and at_us is not None and at_us - happened < FRESH_S * SECOND_US


async def _no_checkpoint(result: Result) -> None:
    """Nothing is written down of a sweep that a request asked for."""
