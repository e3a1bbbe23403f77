"""Which containers there are, and which of them can be read.

A container that is no longer listed is asked for by id: only a 404 means that it is gone, and that waits for a person,
since everything in it goes with it. One that we may not see any more, or that is archived, stays as it is.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog

from service.catalog import endpoints, listings
from service.catalog.client import CatalogClient
from service.changes import Change, Container, ContainerDeleted, Rank, Version
from service.errors import (
    CatalogForbidden,
    CatalogGone,
    CatalogNotFound,
    DataError,
    MassDeletion,
    MirrorError,
)
from service.kinds import CONTAINERS
from service.mirror import progress
from service.mirror.bulk import rows_by_key
from service.mirror.store import Store
from service.mirror.tables import containers, sync_states
from service.pipeline.decoding import Read
from service.settings.scope import Scope
from service.sync.cleaning import clean
from service.sync.findings import read_of
from service.sync.obstacles import ABSENT, BROKEN
from service.sync.readings import container_told
from service.sync.sweep import Options, Sweeper, Tally
from service.text.privacy import Privacy

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Found:
    """The containers that can be read, the counts by kind of container, and what could not be read."""

    readable: list[Container] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Containers:
    """Reads the containers."""

    def __init__(self, client: CatalogClient, store: Store, sweeper: Sweeper, scope: Scope, privacy: Privacy) -> None:
        self._client = client
        self._store = store
        self._sweeper = sweeper
        self._scope = scope
        self._privacy = privacy

    async def read(self, options: Options) -> Found:
        """List them, write what is new (as far as `options` say), and look for those that are gone.

        Raises:
            TransientError: the catalog or the store does not do its part.
        """
        found = Found()
        for kind, declared in CONTAINERS.items():
            listed: set[str] = set()
            lost = 0
            try:
                async with aclosing(listings.pages(self._client, declared)) as pages:
                    async for page in pages:
                        lost += page.lost
                        reads = self._reads(kind, page.items, page.at_us, found, listed)
                        if options.repair:
                            await self._sweeper.write(reads, options.origin)
            except (*ABSENT, *BROKEN) as error:
                found.problems.append(f"{kind}s: {error}"[:300])
                log.warning("containers_unreadable", kind=kind, problem=str(error))
                await self._note(kind, options, f"not all {kind}s are known: {error}"[:500])
                # Those that the mirror knows are read all the same.
                known = [where for where, was_listed in await self._known(kind) if was_listed]
                found.readable += [w for w in known if w.id not in listed and self._scope.admits_container(w)]
                continue
            if lost:
                found.problems.append(f"{kind}s: {lost} that the catalog says it has were not listed"[:300])
            await self._note(
                kind, options, f"{lost} {kind}s that the catalog says it has were not listed" if lost else None
            )
            if options.deletions:
                await self._missing(kind, listed, options, found)
        found.readable.sort(key=lambda where: (list(CONTAINERS).index(where.kind), where.id))
        return found

    async def _note(self, kind: str, options: Options, problem: str | None) -> None:
        """Tell in `v1_freshness` why not all containers of a kind are known, or that they are."""
        if not options.repair:
            return
        async with self._store.write() as connection:
            if problem:
                await progress.note_state(connection, "", None, kind, problem=problem)
                return
            row = sync_states.c
            known = sa.and_(row.container_id == "", row.kind == kind, row.problem.is_not(None))
            await connection.execute(sa.update(sync_states).where(known).values(problem=None))

    def _reads(
        self, kind: Any, items: list[dict[str, Any]], at_us: int | None, found: Found, listed: set[str]
    ) -> list[Read]:  # fmt: skip
        reads = []
        for item in items:
            try:
                told = next(container_told(kind, clean(item, self._privacy), None, at_us, None))
            except DataError as error:
                found.problems.append(f"a {kind}: {error}"[:300])
                continue
            where = Container(kind, told.key)
            if where.id in listed or not self._scope.admits_container(where):
                continue
            listed.add(where.id)
            found.readable.append(where)
            reads.append(read_of("container", told.key, where, [told.change()]))
        return reads

    async def _missing(self, kind: Any, listed: set[str], options: Options, found: Found) -> None:
        """Containers that the mirror has and the listing had not."""
        tally = Tally(listed=len(listed))
        for where, was_listed in await self._known(kind):
            if where.id in listed or not self._scope.admits_container(where):
                continue
            state, problem = await self._state_of(where)
            if isinstance(problem, CatalogNotFound):
                tally.orphaned += was_listed
                may_go = options.accept_deletions or not was_listed
                tally.braked = tally.braked or (options.repair and not may_go)
                if options.repair and may_go:
                    read = read_of("container", where.id, where, [_gone(where, problem)])
                    await self._sweeper.write([read], options.origin)
                continue
            if problem is None:
                found.readable.append(where)  # hidden from the listing, but readable
            else:
                told = f"{kind} {where.id} is {state}: nothing in it is read, nothing is deleted"
                found.problems.append(f"{told} ({problem})"[:300])
            if options.repair:
                await tell_state(self._store, where, state)
        found.tallies[kind] = tally

    async def _state_of(self, where: Container) -> tuple[str, MirrorError | None]:
        """What asking for a container by id tells: that it is active, or why it cannot be read."""
        try:
            await endpoints.container(self._client, where)
        except ABSENT as error:
            return _state(error), error
        return "active", None

    async def _known(self, kind: str) -> list[tuple[Container, bool]]:
        """Containers of this kind in the mirror, and whether they were listed once or only referred to."""
        table = containers.c
        query = sa.select(table.container_id, table.document.is_not(None)).where(
            table.kind == kind, table.deleted_at.is_(None)
        )
        async with self._store.read() as connection:
            return [(Container(kind, row[0]), bool(row[1])) for row in await connection.execute(query)]  # type: ignore[arg-type]


async def refreshed_container(client: CatalogClient, store: Store, where: Container, privacy: Privacy) -> list[Change]:
    """What reading one container tells. That a whole one is gone waits for a person: a reconcile comes to it.

    Raises:
        MirrorError: as `CatalogClient.call`.
    """
    try:
        answer = await endpoints.container(client, where)
    except CatalogNotFound as error:
        async with store.read() as connection:
            rows = await rows_by_key(connection, containers, "container_id", [where.id], "document")
        if where.id not in rows or rows[where.id].document is None:  # only referred to
            return [_gone(where, error)]
        log.error("container_not_found", container=where.id, remedy=MassDeletion(what="").advice())
        return []
    except (CatalogForbidden, CatalogGone) as error:
        await tell_state(store, where, _state(error))
        return []
    told = container_told(where.kind, clean(answer.object(), privacy), where, answer.at_us, None)
    return [one.change() for one in told]


async def tell_state(store: Store, where: Container, state: str) -> None:
    """Write down whether a container can be read, and if not, why nothing in it is up to date."""
    async with store.write() as connection:
        update = sa.update(containers).where(containers.c.container_id == where.id)
        await connection.execute(update.values(state=state))
        if state != "active":
            told = sa.update(sync_states).where(sync_states.c.container_id == where.id)
            await connection.execute(told.values(problem=f"the {where.kind} is {state}"))


def _state(error: MirrorError) -> str:
    if isinstance(error, CatalogForbidden):
        return "forbidden"
    return "archived" if isinstance(error, CatalogGone) else "unreadable"


def _gone(where: Container, error: MirrorError) -> ContainerDeleted:
    return ContainerDeleted(where, Version(error.details.get("at_us"), Rank.DELETED))
