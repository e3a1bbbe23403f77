"""Finding what the catalog has no more, and deleting it from the mirror.

What a listing lacks counts as gone only when a second listing lacks it, too, since pages shift while things come and
go; what a search lacks, and an artifact, only when reading it by id finds it gone. Of what cannot be read by id, a
listing that had less than the catalog says there is deletes nothing. A large number of deletions waits for a person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import sqlalchemy as sa

from service.catalog import endpoints
from service.changes import (
    AssetDeleted,
    Change,
    Container,
    ContainerDeleted,
    Origin,
    ProfileDeleted,
    Rank,
    ThingDeleted,
    Version,
)
from service.kinds import Kind
from service.mirror.store import Store
from service.mirror.tables import VERSIONED, assets, key_of
from service.pipeline.decoding import Read
from service.settings.model import SyncSettings
from service.sync import stored
from service.sync.comparing import Comparer
from service.sync.findings import Options, Result, batched, read_of
from service.sync.items import Group, Unreadable
from service.sync.rereading import Rereader
from service.sync.seen import Seen


class Listed:
    """The keys that a listing had, by kind."""

    def __init__(self) -> None:
        self._by_kind: dict[str, Seen] = {}

    def note(self, groups: Iterable[Group | Unreadable]) -> None:
        """Note what a page told."""
        for group in groups:
            if isinstance(group, Group):
                for told in group.told:
                    self.of(told.kind).add(told.key)

    def of(self, kind: str) -> Seen:
        """The keys of one kind."""
        if kind not in self._by_kind:
            self._by_kind[kind] = Seen()
        return self._by_kind[kind]


#: Reads a listing once more: its keys, and from when it is; None where it had not all that it should.
Relist = Callable[[], Awaitable[tuple[Listed, int | None] | None]]


class Deleter:
    """Deletes what is gone."""

    def __init__(self, store: Store, comparer: Comparer, rereader: Rereader, settings: SyncSettings) -> None:
        self._store = store
        self._comparer = comparer
        self._rereader = rereader
        self._settings = settings

    async def delete(
        self,
        kind: Kind,
        where: Container | None,
        listed: Listed,
        relist: Relist,
        options: Options,
        result: Result,
    ) -> None:
        """Delete what the listing had not and is really gone, unless that is more than may go without a person."""
        candidates = {name: await self._unlisted(name, where, listed) for name in _kinds_of(kind)}
        confirmed: dict[str, list[Read]] = {}
        if not kind.lags:
            confirmed = await self._missing(kind, where, candidates[kind.name], relist, options, result)
        elif where is not None:
            for name, keys in candidates.items():
                confirmed[name] = await self._confirmed(name, where, keys, options, result)
        brakes = options.repair and not options.accept_deletions
        for name, reads in confirmed.items():
            tally = result.of(name)
            tally.orphaned = len(reads)
            tally.braked = brakes and await self._is_too_much(name, where, len(reads))
        if options.repair and not any(result.of(name).braked for name in confirmed):
            for chunk in batched(
                [read for reads in confirmed.values() for read in reads], self._settings.refresh_batch
            ):
                await self._comparer.write(list(chunk), options.origin)

    async def look_up_stubs(self, where: Container, origin: Origin) -> None:
        """Assets that are only referred to: they may be hidden, too new for the listing, or gone.

        Nothing that was ever known of them is lost by a tombstone, so no number of them waits for a person.
        """
        unknown = [column.is_(None) for column in (assets.c.document, assets.c.name, assets.c.visibility_mode)]
        here = (assets.c.container_id == where.id, assets.c.deleted_at.is_(None))
        query = sa.select(assets.c.asset_id).where(*here, *unknown)
        async for rows in stored.pieces(self._store, query, assets.c.asset_id):
            for chunk in batched([row[0] for row in rows], endpoints.BULK_MAX):
                await self._comparer.write(await self._rereader.assets(where, chunk), origin)

    async def _unlisted(self, kind: str, where: Container | None, listed: Listed) -> list[str]:
        """Keys that the mirror has and the listing had not."""
        table = VERSIONED[kind]
        query = sa.select(key_of(table)).where(*stored.mirrored(table, where))
        seen = listed.of(kind)
        pieces = stored.pieces(self._store, query, key_of(table))
        return [row[0] async for rows in pieces for row in rows if row[0] not in seen]

    async def _confirmed(
        self, kind: str, where: Container | None, keys: list[str], options: Options, result: Result
    ) -> list[Read]:
        """Deletions of what is really gone, by reading each; what turns out to be there is written at once."""
        if where is None:
            reads = await self._rereader.artifacts(keys)
        elif kind == "asset":
            reads = await self._rereader.assets(where, keys)
        else:
            reads = [read for key in keys if (read := await self._rereader.mirrored_profile(where, key))]
        gone = [read for read in reads if any(_is_deletion(change) for change in read.changes)]
        there = [read for read in reads if read.changes and read not in gone]
        result.of(kind).unreadable += sum(not read.changes and not read.ignored for read in reads)
        if options.repair:
            await self._comparer.write(there, options.origin)
        return gone

    async def _missing(
        self, kind: Kind, where: Container | None, keys: list[str], relist: Relist, options: Options, result: Result
    ) -> dict[str, list[Read]]:
        """Deletions of what a second listing lacks, too; of what can be read by id, only where that finds it gone."""
        name = kind.name
        again = await relist() if keys and not result.unkeyed else None
        if again is None:
            return {name: []}
        listed, at_us = again
        missing = [key for key in keys if key not in listed.of(name)]
        may = options.accept_deletions or not await self._is_too_much(name, where, len(missing))
        if kind.has_second_witness and may:
            return {name: await self._confirmed(name, where, missing, options, result)}
        gone = Version(at_us, Rank.DELETED)
        return {name: [read_of(name, key, where, [ThingDeleted(name, key, gone, where)]) for key in missing]}

    async def _is_too_much(self, kind: str, where: Container | None, deletions: int) -> bool:
        if deletions < self._settings.brake_rows:  # nobody need count
            return False
        return self._settings.is_mass_deletion(deletions, await stored.count(self._store, kind, where))


def _kinds_of(kind: Kind) -> tuple[str, ...]:
    """The kinds that a listing is complete for."""
    return ("asset", "data_profile") if kind.lags else (kind.name,)


def _is_deletion(change: Change) -> bool:
    return isinstance(change, AssetDeleted | ProfileDeleted | ThingDeleted | ContainerDeleted)
