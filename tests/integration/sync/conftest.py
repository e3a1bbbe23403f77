"""A pocket catalog, and the parts that read it into a mirror."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from sandbox.catalog import access
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.server import serve
from service.catalog.client import CatalogClient, Patience
from service.changes import Container
from service.mirror.progress import RECONCILE, SNAPSHOT
from service.pipeline.pipeline import Pipeline
from service.pipeline.profile_watch import ProfileWatch
from service.settings.model import CatalogSettings, ScopeSettings, SyncSettings
from service.settings.scope import Scope
from service.sync.containers import Containers
from service.sync.poll import Poller
from service.sync.refresh import Refresher
from service.sync.runs import Report, Runner
from service.sync.sweep import Options, Sweeper
from service.telemetry.metrics import Metrics
from service.text.privacy import Privacy

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror, Subscriber


@dataclass
class Reader:
    """Everything that reads the catalog into one mirror."""

    catalog: PocketCatalog
    client: CatalogClient
    mirror: Mirror
    pipeline: Pipeline
    sweeper: Sweeper
    runner: Runner
    refresher: Refresher
    poller: Poller
    containers: Containers
    metrics: Metrics

    async def snapshot(self) -> Report:
        run = await self.runner.begin(SNAPSHOT, "a test", Options())
        return await self.runner.carry_out(run)

    async def reconcile(self, *, repair: bool = True, accept_deletions: bool = False) -> Report:
        options = Options(repair=repair, deletions=True, accept_deletions=accept_deletions)
        run = await self.runner.begin(RECONCILE, "a test", options)
        return await self.runner.carry_out(run)

    async def poll(self) -> None:
        """One look, and the refreshes that it asked for."""
        found = await self.containers.read(Options(repair=False))
        await self.poller.once(found.readable)
        await self.refresh()

    async def refresh(self) -> None:
        """Everything that is due."""
        while await self.refresher.once():
            pass

    def container(self, kind: str) -> Container:
        return Container(kind, self.catalog.container_ids(kind)[0])  # type: ignore[arg-type]


Reading = Callable[..., AbstractAsyncContextManager[Reader]]


@pytest.fixture
def reading(mirror: Mirror) -> Reading:
    """`reading(catalog)` serves a pocket catalog and reads it into the mirror."""

    @asynccontextmanager
    async def served(
        catalog: PocketCatalog,
        sync: SyncSettings | None = None,
        scope: ScopeSettings | None = None,
        subscribers: Sequence[Subscriber] = (),
        watch: ProfileWatch | None = None,
        **settings: Any,
    ) -> AsyncIterator[Reader]:
        async with serve(catalog) as url:
            told = {"calls_per_minute": 100_000, "iam_url": url, **settings}
            chosen = CatalogSettings(url=url, api_key=SecretStr(access.API_KEY), **told)
            async with CatalogClient(chosen, patience=Patience(3, 0.01, 0.05)) as client:
                scoped = Scope(scope or ScopeSettings())
                yield reader_of(catalog, client, mirror, sync or SyncSettings(), scoped, subscribers, watch)

    return served


def reader_of(
    catalog: PocketCatalog,
    client: CatalogClient,
    mirror: Mirror,
    sync: SyncSettings,
    scope: Scope,
    subscribers: Sequence[Subscriber] = (),
    watch: ProfileWatch | None = None,
) -> Reader:
    pipeline, metrics = mirror.pipeline(*subscribers, verifies_hints=True, watch=watch), Metrics()
    sweeper = Sweeper(client, mirror.store, pipeline, sync, scope, Privacy())
    containers = Containers(client, mirror.store, sweeper, scope, Privacy())
    return Reader(
        catalog,
        client,
        mirror,
        pipeline,
        sweeper,
        Runner(mirror.store, sweeper, containers, sync, scope),
        Refresher(client, mirror.store, sweeper, sync, Privacy()),
        Poller(client, mirror.store, sweeper, sync, scope, metrics),
        containers,
        metrics,
    )
