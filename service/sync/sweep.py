"""A sweep: one kind in one container read whole, compared with the mirror, and what differs written.

What a search lists only fills what is unknown: where it tells otherwise than the mirror, or lacks something, the thing
is read by id. A listing of any other kind is the catalog's word. While some pages are compared and committed, the next
ones are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Self

from service.catalog import endpoints, listings
from service.catalog.client import CatalogClient
from service.catalog.paging import Page
from service.changes import Container, Origin
from service.errors import CatalogGone, CatalogNotFound
from service.kinds import KINDS, Kind
from service.mirror.store import Store
from service.pipeline.decoding import Read
from service.pipeline.pipeline import Pipeline
from service.settings.model import SyncSettings
from service.settings.scope import Scope
from service.sync import stored
from service.sync.comparing import Comparer, Differing
from service.sync.deleting import Deleter, Listed
from service.sync.findings import Estimate, Options, Result, Tally, batched
from service.sync.gathering import gathered
from service.sync.items import Group, ItemReader, Unreadable
from service.sync.obstacles import ALONE, CLOSED_IN_A_ROW
from service.sync.rereading import Rereader
from service.text.privacy import Privacy

__all__ = ["Checkpoint", "Estimate", "Options", "Result", "Sweeper", "Tally", "batched"]

#: Items that are compared and written together, of pages of a listing; of the many small ones below parents.
_BATCH, _BATCH_BELOW = 400, 100
#: Pages below parents after which it is written down how far the sweep is, however little they told.
_PAGES_BELOW = 50

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
        privacy: Privacy,
    ) -> None:
        self._client = client
        self._store = store
        self._items = ItemReader(scope, privacy)
        self._rereader = Rereader(client, store, scope, privacy)
        self._comparer = Comparer(store, pipeline, self._items, self._rereader)
        self._deleter = Deleter(store, self._comparer, self._rereader, settings)

    async def sweep(
        self,
        kind: Kind,
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
        result, listed = Result(), Listed()
        result.of(kind.name)
        waiting: list[Group | Unreadable] = []
        enough = _BATCH_BELOW if kind.parent else _BATCH
        async with aclosing(self._pages(kind, where, cursor, result)) as pages, Behind() as behind:

            async def carry(last: Page | None) -> None:
                """Have what was told up to and with a page written, once that before it is."""
                differing = await self._comparer.compare(kind, where, waiting)
                waiting.clear()
                if await behind.finish():
                    await checkpoint(result)
                behind.start(self._write(where, differing, last, options, result))

            page: Page | None = None
            read = 0
            async for page, parent in pages:
                read += 1
                groups = await self._items.groups(kind, where, page, parent)
                if options.deletions:
                    listed.note(groups)
                    result.unkeyed += sum(isinstance(group, Unreadable) for group in groups)
                waiting += groups
                # Below most parents there may be nothing: how far it is is told all the same.
                if len(waiting) >= enough or (kind.parent and read % _PAGES_BELOW == 0):
                    await carry(page)
            await carry(page)
            await behind.finish()
        await checkpoint(result)
        # What is read by id before it is deleted may go though the catalog told another total than it listed.
        is_enough = not result.closed if kind.has_second_witness else result.is_whole
        if options.deletions and cursor is None and is_enough:
            relist = partial(self._listed_again, kind, where)
            await self._deleter.delete(kind, where, listed, relist, options, result)
        if options.repair and kind.lags and where is not None:
            await self._deleter.look_up_stubs(where, options.origin)
        return result

    async def estimate(self, kind: Kind, where: Container | None, told: Sequence[Estimate]) -> Estimate:
        """What reading one kind takes, by its first page; of what is listed below parents, by how many those are."""
        if kind.parent:
            parents = sum(one.things for one in told if one.kind == kind.parent and one.where == where)
            known = not kind.parent_type
            return Estimate(kind.name, where, parents if known else 0, parents if known else 0)
        async with aclosing(self._pages(kind, where, None)) as pages:
            page, _ = await anext(pages)
        things = len(page.items) if page.total is None else page.total
        return Estimate(kind.name, where, things, max(1, -(-things // kind.page_size)))

    async def follow(
        self, kind: Kind, where: Container | None, page: Page, options: Options, parent: str | None = None
    ) -> list[str]:
        """Carry one page of changes into the mirror; answers the keys of what differed."""
        groups = await self._items.groups(kind, where, page, parent)
        differing = await self._comparer.compare(kind, where, groups)
        if options.repair:
            await self._comparer.repair(where, differing, options.origin)
        return differing.keys

    async def reread(self, where: Container, asset_ids: Sequence[str]) -> list[Read]:
        """Assets by id, with what became of each: its state, its deletion, or (no changes) nothing that we may know."""
        return await self._rereader.assets(where, asset_ids)

    async def reread_artifact(self, artifact_id: str) -> Read:
        """An artifact by id: its state, or its deletion."""
        return await self._rereader.artifact(artifact_id)

    async def reread_profile(self, where: Container, profile_id: str, asset_id: str) -> Read:
        """A profile by id: its state, its deletion, or nothing where profiling failed or we may not know."""
        return await self._rereader.profile(where, profile_id, asset_id)

    async def reread_mirrored(self, where: Container, profile_id: str) -> Read | None:
        """A profile of the mirror by id, wherever it lives; None where its asset is gone."""
        return await self._rereader.mirrored_profile(where, profile_id)

    async def write(self, reads: list[Read], origin: Origin) -> None:
        """Commit what was read."""
        await self._comparer.write(reads, origin)

    async def _write(
        self, where: Container | None, differing: Differing, last: Page | None, options: Options, result: Result
    ) -> None:
        """Write what differs up to and with a page, and note how far that is."""
        result.add(differing.found)
        if options.repair:
            for kind, number in (await self._comparer.repair(where, differing, options.origin)).items():
                result.of(kind).unreadable += number
        if last is not None:
            result.cursor, result.total = last.cursor, last.total or result.total

    async def _pages(
        self, kind: Kind, where: Container | None, cursor: str | None, result: Result | None = None
    ) -> AsyncGenerator[tuple[Page, str | None], None]:
        """The pages of a listing; or of what is listed below each parent, the cursor then being the parent's id.

        A parent that is closed to us is noted in `result`, and the others are read all the same.
        """
        if not kind.parent:
            result = result or Result()
            listed = (
                gathered(self._client, self._store, kind, result)
                if kind.gathering
                else listings.pages(self._client, kind, where, cursor=cursor)
            )
            async with aclosing(listed) as pages:
                async for page in pages:
                    if page.lost:
                        result.lose(kind.name, page.lost, None)
                    yield page, None
            return
        in_a_row = 0
        done = cursor
        async for parent in stored.parents(self._store, kind, where, cursor):
            try:
                async for page in listings.pages(self._client, kind, where, parent=parent):
                    if page.lost and result is not None:
                        result.lose(kind.name, page.lost, parent.id)
                    # Only with its last page a parent is done: who goes on from here reads it again.
                    yield Page(page.items, parent.id if page.cursor is None else done, None, page.at_us), parent.id
                in_a_row = 0
            except ALONE as error:
                if await self._has_none(kind, where, parent.id, error):
                    in_a_row = 0
                else:
                    in_a_row += 1
                    if result is None or in_a_row >= CLOSED_IN_A_ROW:
                        raise
                    result.close(kind.name, parent.id, error)
            done = parent.id

    async def _has_none(self, kind: Kind, where: Container | None, parent: str, error: Exception) -> bool:
        """Whether what is not there below a parent is only empty: the parent is there itself."""
        witness = KINDS[str(kind.parent)].alone
        is_absent = kind.is_absent_when_empty and isinstance(error, CatalogNotFound | CatalogGone)
        if witness is None or not is_absent:
            return False
        try:
            await listings.one(self._client, witness, where, parent)
        except ALONE:
            return False
        return True

    async def _listed_again(self, kind: Kind, where: Container | None) -> tuple[Listed, int | None] | None:
        """The keys of a second listing, and from when it is; None where it had not all that it takes for a deletion.

        Raises:
            MirrorError: as `sweep`; also where nothing can be read there any more, which is no empty listing.
        """
        listed, found = Listed(), Result()
        at_us = await endpoints.moment(self._client, where)
        async with aclosing(self._pages(kind, where, None, found)) as pages:
            async for page, parent in pages:
                listed.note(await self._items.groups(kind, where, page, parent))
                at_us = page.at_us
        return (listed, at_us) if found.is_whole or (kind.has_second_witness and not found.closed) else None


class Behind:
    """Work that goes on while the next is made ready; it ends with the block."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin with this; what was begun before has to be finished."""
        self._task = asyncio.create_task(work)

    async def finish(self) -> bool:
        """Wait until it is done, and raise what it raised; answers whether there was anything."""
        task, self._task = self._task, None
        if task is not None:
            await task
        return task is not None
