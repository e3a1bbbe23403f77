"""A sweep: one kind in one container read whole, compared with the mirror, and what differs written.

What a search lists only fills what is unknown: where it tells otherwise than the mirror, or lacks something, the thing
is read by id. A listing of any other kind is the catalog's word, but what it lacks counts as gone only when a second
listing lacks it, too: pages shift while things come and go.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog

from service.catalog import endpoints
from service.catalog.client import CatalogClient
from service.catalog.paging import Page
from service.changes import (
    AssetDeleted,
    AssetSaved,
    Change,
    Container,
    ContainerDeleted,
    Origin,
    ProfileDeleted,
    ProfileSaved,
    Rank,
    ThingDeleted,
    Version,
)
from service.decoding import Read
from service.errors import (
    CatalogFailed,
    CatalogForbidden,
    CatalogGone,
    CatalogNotFound,
    DataError,
    NestingTooDeep,
)
from service.events.cards import restricted
from service.events.message import Message
from service.mirror.bulk import rows_by_key
from service.mirror.store import Store
from service.mirror.tables import assets
from service.pipeline import Pipeline
from service.redaction import Principals, may_hold_secrets
from service.scope import Scope
from service.settings import SyncSettings
from service.sync.cleaning import clean
from service.sync.readings import TABLES, Parent, Reading, Told, card_told, key_of, profile_told
from service.sync.seen import Seen

log = structlog.get_logger(__name__)

#: Items of small pages that are written together.
_BATCH = 100
#: Rows of the mirror that are looked through at once.
_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Options:
    """What a sweep may do.

    Without `repair` it only counts. `deletions`: look for what the catalog has no more; `accept_deletions`: delete it
    also where that is a lot.
    """

    repair: bool = True
    deletions: bool = False
    accept_deletions: bool = False
    origin: Origin = Origin.SYNC


@dataclass(slots=True)
class Tally:
    """What a sweep found, and did, for one kind."""

    listed: int = 0
    missing: int = 0
    stale: int = 0
    orphaned: int = 0
    unreadable: int = 0
    #: More would be deleted than may be without a person.
    braked: bool = False


@dataclass(slots=True)
class Result:
    """What a sweep has found so far; `cursor` resumes it."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    cursor: str | None = None
    #: What the catalog says there is in all, where it does.
    total: int | None = None

    def of(self, kind: str) -> Tally:
        """The counts of one kind."""
        return self.tallies.setdefault(kind, Tally())


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much there is of one kind in one container, and how many calls it takes to read it."""

    kind: str
    where: Container | None
    things: int
    calls: int


T = TypeVar("T")
Checkpoint = Callable[[Result], Awaitable[None]]


class Sweeper:
    """Sweeps. One at a time; what it writes goes through the pipeline like everything else."""

    def __init__(
        self,
        client: CatalogClient,
        store: Store,
        pipeline: Pipeline,
        settings: SyncSettings,
        scope: Scope,
        principals: Principals,
    ) -> None:
        self._client = client
        self._store = store
        self._pipeline = pipeline
        self._settings = settings
        self._scope = scope
        self._principals = principals

    async def sweep(
        self,
        reading: Reading,
        where: Container | None,
        options: Options,
        checkpoint: Checkpoint,
        cursor: str | None = None,
    ) -> Result:
        """Read one kind in one container.

        `checkpoint` is called after pages whose effects are committed; what it raises ends the sweep.

        Raises:
            MirrorError: the catalog or the store does not do its part; go on from the result's cursor later.
        """
        result, seen = Result(), _Listed()
        result.of(reading.kind)
        waiting: list[list[Told] | DataError] = []
        async with aclosing(self._pages(reading, where, cursor)) as pages:
            async for page, parent in pages:
                groups = self._told(reading, page, where, parent, result)
                if options.deletions:
                    seen.note(groups)
                waiting += groups
                result.cursor, result.total = page.cursor, page.total or result.total
                if reading.below and len(waiting) < _BATCH:
                    continue  # what is listed parent by parent comes in small pages
                await self._settle(reading, where, waiting, options, result)
                waiting = []
                await checkpoint(result)
        await self._settle(reading, where, waiting, options, result)
        if options.deletions and cursor is None:
            await self._delete(reading, where, seen, options, result)
        if options.repair and reading.lags and where is not None:
            await self._look_up_stubs(where, options.origin)
        return result

    async def estimate(self, reading: Reading, where: Container | None, told: Sequence[Estimate]) -> Estimate:
        """What reading one kind takes, by its first page; of what is listed below parents, by how many those are."""
        if reading.pages is None:
            parents = sum(one.things for one in told if one.kind == reading.parent and one.where == where)
            known = not reading.parent_type
            return Estimate(reading.kind, where, parents if known else 0, parents if known else 0)
        async with aclosing(reading.pages(self._client, where, None)) as pages:
            page = await anext(pages)
        things = len(page.items) if page.total is None else page.total
        return Estimate(reading.kind, where, things, max(1, -(-things // reading.page_size)))

    async def follow(
        self, reading: Reading, where: Container | None, page: Page, options: Options, parent: str | None = None
    ) -> list[str]:
        """Carry one page of changes into the mirror; answers the keys of what differed."""
        groups = self._told(reading, page, where, parent, Result())
        return await self._settle(reading, where, groups, options, Result())

    async def reread(self, where: Container, asset_ids: Sequence[str]) -> list[Read]:
        """Assets by id, with what became of each: its state, its deletion, or (no changes) nothing that we may know."""
        reads = []
        for chunk in batched(asset_ids, endpoints.BULK_MAX):
            bulk = await endpoints.cards(self._client, where, chunk)
            for item in bulk.items:
                if item.status in (404, 410):
                    gone = Version(bulk.at_us, Rank.DELETED)
                    reads.append(_read("asset", item.asset_id, [AssetDeleted(item.asset_id, gone, where, found=True)]))
                elif item.card is not None:
                    reads.append(self._card_read(item.card, where, bulk.at_us, item.asset_id))
                elif item.status == 403:
                    reads.append(_read("asset", item.asset_id, [restricted(item.asset_id, where, bulk.at_us)]))
                else:
                    reads.append(_read("asset", item.asset_id, []))
        return reads

    async def reread_profile(self, where: Container, profile_id: str, asset_id: str) -> Read:
        """A profile by id: its state, its deletion, or nothing where profiling failed or we may not know."""
        try:
            answer = await endpoints.profile(self._client, where, profile_id, asset_id)
        except (CatalogNotFound, CatalogGone) as error:
            gone = Version(error.details.get("at_us"), Rank.DELETED)
            return _read("data_profile", profile_id, [ProfileDeleted(profile_id, gone, asset_id, where, found=True)])
        except (CatalogForbidden, CatalogFailed):
            return _read("data_profile", profile_id, [])
        try:
            told = profile_told(clean(answer.object(), self._principals), where, answer.at_us, asset_id)
            return _read("data_profile", profile_id, [one.change() for one in told])
        except DataError as error:
            return _read("data_profile", profile_id, [], error, answer.body)

    def _card_read(self, card: dict[str, Any], where: Container, at_us: int | None, asset_id: str) -> Read:
        cleaned = clean(card, self._principals)
        try:
            changes = [told.change() for told in card_told(cleaned, where, at_us, Rank.READ)]
        except DataError as error:
            return _read("asset", asset_id, [], error)
        return _read("asset", asset_id, [change for change in changes if self._scope.admits(change)])

    async def _pages(
        self, reading: Reading, where: Container | None, cursor: str | None
    ) -> AsyncGenerator[tuple[Page, str | None], None]:
        """The pages of a listing; or of what is listed below each parent, the cursor then being the parent's id."""
        if reading.pages is not None:
            async with aclosing(reading.pages(self._client, where, cursor)) as pages:
                async for page in pages:
                    yield page, None
            return
        assert reading.below is not None
        async for parent in self._parents(reading, where, cursor):
            async for page in reading.below(self._client, where, parent):
                yield Page(page.items, parent.id, None, page.at_us), parent.id

    async def _parents(
        self, reading: Reading, where: Container | None, after: str | None
    ) -> AsyncGenerator[Parent, None]:
        table = TABLES[str(reading.parent)]
        key = key_of(table)
        types = table.c.asset_type if table is assets else table.c.get("artifact_type")
        query = sa.select(key, sa.null() if types is None else types).where(*_mirrored(table, where))
        if reading.parent_type:
            query = query.where(table.c.asset_type == reading.parent_type)
        last = after or ""
        while True:
            async with self._store.read() as connection:
                rows = (await connection.execute(query.where(key > last).order_by(key).limit(_ROWS))).all()
            for row in rows:
                yield Parent(row[0], row[1])
            if len(rows) < _ROWS:
                return
            last = rows[-1][0]

    def _told(
        self, reading: Reading, page: Page, where: Container | None, parent: str | None, result: Result
    ) -> list[list[Told] | DataError]:
        """What each item of a page tells; one that cannot be read is its error."""
        groups: list[list[Told] | DataError] = []
        for item in page.items:
            try:
                told = self._read_item(reading, item, where, page.at_us, parent)
            except DataError as error:
                log.warning("item_unreadable", kind=reading.kind, container=where and where.id, problem=str(error))
                result.of(reading.kind).unreadable += 1
                groups.append(error)
                continue
            if told and (self._scope.is_everything or self._scope.admits(told[0].change())):
                groups.append(told)
        return groups

    def _read_item(
        self, reading: Reading, item: dict[str, Any], where: Container | None, at_us: int | None, parent: str | None
    ) -> list[Told]:
        """What an item tells. It is encoded anyway, so that text is searched for secrets, and read again without them.

        Raises:
            DataError: it cannot be read.
        """
        try:
            if self._principals is Principals.KEEP:
                told = list(reading.means(item, where, at_us, parent))
                if not told or not may_hold_secrets(told[0].text.encode()):
                    return told
            return list(reading.means(clean(item, self._principals), where, at_us, parent))
        except RecursionError:
            raise NestingTooDeep(limit=sys.getrecursionlimit()) from None

    async def _settle(
        self,
        reading: Reading,
        where: Container | None,
        groups: Sequence[list[Told] | DataError],
        options: Options,
        result: Result,
    ) -> list[str]:
        """Compare a page with the mirror, and write what differs; answers the keys of that."""
        if not groups:
            return []
        known = [group for group in groups if not isinstance(group, DataError)]
        stored = await self._stored(told for group in known for told in group)
        reads: list[Read] = []
        again: list[str] = []
        differing_keys: list[str] = []
        for group in known:
            verdicts = [_verdict(told, stored[told.kind].get(told.key)) for told in group]
            for told, verdict in zip(group, verdicts, strict=True):
                tally = result.of(told.kind)
                tally.listed += 1
                tally.missing += verdict == "missing"
                tally.stale += verdict == "stale"
            if reading.lags and "stale" in verdicts:
                again.append(group[0].key)
            elif differing := [told for told, verdict in zip(group, verdicts, strict=True) if verdict != "same"]:
                reads.append(_read(reading.kind, group[0].key, [told.change() for told in differing]))
                differing_keys.append(group[0].key)
        if not options.repair:
            return differing_keys
        reads += [_read(reading.kind, "", [], error) for error in groups if isinstance(error, DataError)]
        if again and where is not None:
            reads += await self.reread(where, again)
        await self.write(reads, options.origin)
        return differing_keys

    async def write(self, reads: list[Read], origin: Origin) -> None:
        """Commit what was read."""
        if reads:
            await self._pipeline.commit(reads, origin)

    async def _stored(self, told: Iterable[Told]) -> dict[str, dict[str, Any]]:
        """Version and tombstone of what the mirror has, by kind and key."""
        keys: dict[str, list[str]] = {}
        for one in told:
            keys.setdefault(one.kind, []).append(one.key)
        found: dict[str, dict[str, Any]] = {}
        async with self._store.read() as connection:
            for kind, wanted in keys.items():
                table = TABLES[kind]
                found[kind] = await rows_by_key(connection, table, key_of(table).name, wanted, "version", "deleted_at")
        return found

    async def _delete(
        self, reading: Reading, where: Container | None, seen: _Listed, options: Options, result: Result
    ) -> None:
        """Find what the catalog has no more, and delete it, unless that is more than may go without a person."""
        confirmed: dict[str, list[Read]] = {}
        candidates = {kind: await self._unseen(kind, where, seen) for kind in _kinds_of(reading)}
        gone_at_us: int | None = None
        if any(candidates.values()) and not reading.lags:
            candidates, gone_at_us = await self._listed_again(reading, where, candidates)
        for kind, keys in candidates.items():
            if not reading.lags:
                gone = Version(gone_at_us, Rank.DELETED)
                confirmed[kind] = [_read(kind, key, [ThingDeleted(kind, key, gone, where)]) for key in keys]
            elif where is not None:
                confirmed[kind] = await self._confirmed(kind, where, keys, options, result)
        for kind, reads in confirmed.items():
            tally = result.of(kind)
            tally.orphaned = len(reads)
            if options.repair and reads:
                tally.braked = not options.accept_deletions and await self._is_too_much(kind, where, len(reads))
                if not tally.braked:
                    for chunk in batched(reads, self._settings.refresh_batch):
                        await self.write(list(chunk), options.origin)

    async def _look_up_stubs(self, where: Container, origin: Origin) -> None:
        """Assets that are only referred to: they may be hidden, too new for the listing, or gone.

        Nothing that was ever known of them is lost by a tombstone, so no number of them waits for a person.
        """
        stub = sa.and_(assets.c.document.is_(None), assets.c.name.is_(None), assets.c.visibility_mode.is_(None))
        query = sa.select(assets.c.asset_id).where(
            assets.c.container_id == where.id, assets.c.deleted_at.is_(None), stub
        )
        last = ""
        while True:
            async with self._store.read() as connection:
                page = query.where(assets.c.asset_id > last).order_by(assets.c.asset_id).limit(_ROWS)
                rows = (await connection.execute(page)).scalars().all()
            for chunk in batched(rows, endpoints.BULK_MAX):
                await self.write(await self.reread(where, chunk), origin)
            if len(rows) < _ROWS:
                return
            last = rows[-1]

    async def _unseen(self, kind: str, where: Container | None, seen: _Listed) -> list[str]:
        """Keys that the mirror has and the listing had not."""
        table = TABLES[kind]
        key = key_of(table)
        query = sa.select(key).where(*_mirrored(table, where))
        unseen: list[str] = []
        last = ""
        while True:
            async with self._store.read() as connection:
                rows = (await connection.execute(query.where(key > last).order_by(key).limit(_ROWS))).scalars().all()
            unseen += [row for row in rows if row not in seen.of(kind)]
            if len(rows) < _ROWS:
                return unseen
            last = rows[-1]

    async def _listed_again(
        self, reading: Reading, where: Container | None, candidates: dict[str, list[str]]
    ) -> tuple[dict[str, list[str]], int | None]:
        """The candidates that a second listing lacks, too, and from when that is."""
        seen = _Listed()
        at_us: int | None = None
        async with aclosing(self._pages(reading, where, None)) as pages:
            async for page, parent in pages:
                seen.note(self._told(reading, page, where, parent, Result()))
                at_us = page.at_us
        left = {kind: [key for key in keys if key not in seen.of(kind)] for kind, keys in candidates.items()}
        return left, at_us

    async def _confirmed(
        self, kind: str, where: Container, keys: list[str], options: Options, result: Result
    ) -> list[Read]:
        """Deletions of what is really gone, by reading each; what turns out to be there is written at once."""
        if kind == "asset":
            reads = await self.reread(where, keys)
        else:
            reads = [read for read in [await self._reread_profile_of(where, key) for key in keys] if read]
        gone_ones = [read for read in reads if any(_is_deletion(change) for change in read.changes)]
        there = [read for read in reads if read.changes and read not in gone_ones]
        result.of(kind).unreadable += sum(not read.changes for read in reads)
        if options.repair:
            await self.write(there, options.origin)
        return gone_ones

    async def _reread_profile_of(self, where: Container, profile_id: str) -> Read | None:
        """The profile by id; None where its asset is gone, with which it is hidden anyway."""
        profiles = TABLES["data_profile"]
        query = (
            sa.select(profiles.c.asset_id, assets.c.deleted_at)
            .join(assets, assets.c.asset_id == profiles.c.asset_id)
            .where(profiles.c.profile_id == profile_id)
        )
        async with self._store.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None or row.deleted_at is not None:
            return None
        if where.kind == "space":
            return await self._reread_card_of(where, profile_id, row.asset_id)
        return await self.reread_profile(where, profile_id, row.asset_id)

    async def _reread_card_of(self, where: Container, profile_id: str, asset_id: str) -> Read | None:
        """The profile as its card carries it: the profiles of spaces cannot be read by id."""
        (read,) = await self.reread(where, [asset_id])
        told = [change for change in read.changes if isinstance(change, ProfileSaved)]
        if not read.changes or any(isinstance(change, AssetDeleted) for change in read.changes):
            return None
        if any(change.profile_id == profile_id for change in told):
            return read
        at_us = next(change.version.at_us for change in read.changes if isinstance(change, AssetSaved))
        gone = ProfileDeleted(profile_id, Version(at_us, Rank.DELETED), asset_id, where, found=True)
        return _read("data_profile", profile_id, [gone])

    async def _is_too_much(self, kind: str, where: Container | None, deletions: int) -> bool:
        table = TABLES[kind]
        query = sa.select(sa.func.count()).select_from(table).where(*_mirrored(table, where))
        async with self._store.read() as connection:
            there = (await connection.execute(query)).scalar_one()
        few = deletions < self._settings.brake_rows
        return not few and deletions > there * self._settings.brake_share


class _Listed:
    """The keys that a listing had, by kind."""

    def __init__(self) -> None:
        self._by_kind: dict[str, Seen] = {}

    def note(self, groups: Iterable[list[Told] | DataError]) -> None:
        """Note what a page told."""
        for group in groups:
            if not isinstance(group, DataError):
                for told in group:
                    self.of(told.kind).add(told.key)

    def of(self, kind: str) -> Seen:
        """The keys of one kind."""
        if kind not in self._by_kind:
            self._by_kind[kind] = Seen()
        return self._by_kind[kind]


def _kinds_of(reading: Reading) -> tuple[str, ...]:
    """The kinds that a listing is complete for."""
    return ("asset", "data_profile") if reading.kind == "asset" else (reading.kind,)


def _mirrored(table: sa.Table, where: Container | None) -> list[sa.ColumnElement[bool]]:
    """Rows of the mirror that the catalog is expected to have: no tombstones, and nothing that is only referred to."""
    known: sa.ColumnElement[bool] = table.c.document.is_not(None)
    if table is assets:
        known = sa.or_(known, table.c.name.is_not(None))
    conditions: list[sa.ColumnElement[bool]] = [table.c.deleted_at.is_(None), known]
    if where is not None:
        conditions.append(table.c.container_id == where.id)
    return conditions


def batched(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    """The items in pieces of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _verdict(told: Told, stored: Any) -> str:
    """missing, stale or same."""
    if stored is None:
        return "missing"
    version = Version.from_key(stored.version)
    if version.rank is Rank.STUB and told.version.rank is not Rank.STUB:
        return "missing"
    if stored.deleted_at is not None:
        return "stale"
    if told.version.rank is Rank.STUB:  # an incomplete card says less than what is there
        return "same" if version.key >= told.version.key else "missing"
    return "same" if version.digest == told.version.digest else "stale"


def _is_deletion(change: Change) -> bool:
    return isinstance(change, AssetDeleted | ProfileDeleted | ThingDeleted | ContainerDeleted)


def _read(kind: str, key: str, changes: list[Change], error: DataError | None = None, body: bytes = b"") -> Read:
    """What was read, in the form in which the pipeline takes it; its name takes the place of a routing key."""
    return Read(Message(f"catalog.{kind}.{key}.GET", body), f"catalog.{kind}", tuple(changes), error)
