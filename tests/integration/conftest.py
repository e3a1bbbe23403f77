"""A mirror to write to: a migrated store with pipelines on it, and events in the catalog's form."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from service.changes import Change, Origin
from service.events.message import Message
from service.mirror import schema
from service.mirror.deliveries import Delivery, Lease
from service.mirror.effects import Effect, Watched
from service.mirror.store import Store
from service.mirror.tables import audit_log, lineage_edges, lineage_events, metadata
from service.pipeline.answers import Answerer
from service.pipeline.committing import Outcome
from service.pipeline.pipeline import Pipeline
from service.pipeline.profile_watch import ProfileWatch
from service.pipeline.routing import Router, installed_handlers
from service.settings.model import PipelineSettings, StoreSettings, TargetSettings
from service.telemetry.metrics import Metrics
from service.text.shapes import Shapes

#: What may differ between equal mirrors: when a row was written, and over what.
INCIDENTAL = frozenset({"mirrored_at", "replaces"})
STATE_TABLES = ("containers", "assets", "data_profiles", "enrichment_areas")


@dataclass
class Subscriber:
    """A target, as far as the pipeline sees it."""

    name: str = "lineage"
    origins: frozenset[Origin] = frozenset({Origin.LIVE})
    lineage: bool = True
    forwards: bool = False
    sources: frozenset[str] = frozenset()
    takes_originals: bool = False
    wanted: tuple[type, ...] = ()
    settles_s: float = 0.0
    watched: Watched | None = None

    async def prepare(self, connection: Any) -> None:
        """Nothing is looked up."""

    def wants(self, change: Change) -> bool:
        return isinstance(change, self.wanted)

    def tells(self, change: Change, effect: Effect | None, origin: Origin) -> str | None:
        """The fields that differ, and whose change it is."""
        return None if effect is None or not self.wants(change) else json.dumps(effect.difference())


@dataclass
class Outlet:
    """Takes fresh deliveries as the relay does."""

    taken: list[Delivery] = field(default_factory=list)
    #: Targets that it has no room for.
    away: frozenset[str] = frozenset()

    def lease(self) -> Lease:
        return Lease("memory", 60)

    def admits(self, wanted: Mapping[str, int]) -> frozenset[str]:
        return frozenset(wanted) - self.away

    def accept(self, fresh: Sequence[Delivery]) -> None:
        self.taken += fresh


class Mirror:
    """One store and what tests do with it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.router = Router(installed_handlers())

    def pipeline(
        self,
        *subscribers: Subscriber,
        outlet: Outlet | None = None,
        verifies_hints: bool = False,
        settings: PipelineSettings | None = None,
        watch: ProfileWatch | None = None,
        histories: bool = False,
        shapes: Shapes | None = None,
    ) -> Pipeline:
        """A pipeline into this store."""
        return Pipeline(
            self.store,
            self.router,
            settings or PipelineSettings(),
            Metrics(),
            answerer=Answerer(TargetSettings()),
            subscribers=subscribers,
            outlet=outlet,
            verifies_hints=verifies_hints,
            watch=watch,
            histories=histories,
            shapes=shapes,
        )

    async def take(self, *messages: Message, **options: Any) -> Outcome:
        """One batch through a fresh pipeline with a lineage target."""
        return await self.pipeline(Subscriber(), **options).process(messages, Origin.LIVE)

    async def all(self, query: str | sa.Executable, **parameters: Any) -> list[Any]:
        """The rows of a query."""
        statement = sa.text(query) if isinstance(query, str) else query
        async with self.store.read() as connection:
            return [tuple(row) for row in await connection.execute(statement, parameters)]

    async def one(self, query: str | sa.Executable, **parameters: Any) -> Any:
        """The only row of a query, or its only value."""
        (row,) = await self.all(query, **parameters)
        return row[0] if len(row) == 1 else row

    async def execute(self, *statements: str) -> None:
        """Run statements behind the service's back."""
        async with self.store.write() as connection:
            for statement in statements:
                await connection.execute(sa.text(statement))

    async def clear(self) -> None:
        """Empty every table that has rows."""
        async with self.store.write() as connection:
            filled = set(await connection.scalars(_FILLED))
            for table in metadata.sorted_tables:
                if table.name in filled:
                    await connection.execute(sa.delete(table))

    async def content(self) -> dict[str, Any]:
        """What has to be equal in equal mirrors."""
        queries: dict[str, Any] = {name: _columns(metadata.tables[name]) for name in STATE_TABLES}
        own = sa.select(lineage_events.c.event_id).where(lineage_events.c.own)
        queries["lineage_events"] = _columns(lineage_events).where(~lineage_events.c.own)
        queries["lineage_edges"] = _columns(lineage_edges).where(lineage_edges.c.event_id.not_in(own))
        queries["own"] = own
        found: dict[str, Any] = {}
        async with self.store.read() as connection:
            for name, query in queries.items():
                rows = await connection.execute(query)
                found[name] = sorted(tuple(row) for row in rows)
        return found


#: The tables that have rows, asked at once: most are empty, and a statement for each costs more than many a test.
_FILLED = sa.text(
    " UNION ALL ".join(
        f"SELECT '{table.name}' WHERE EXISTS (SELECT 1 FROM {table.name})"
        for table in metadata.sorted_tables
        if table is not audit_log  # it is only added to
    )
)


def _columns(table: sa.Table) -> sa.Select[Any]:
    columns = [column for column in table.c if column.name not in INCIDENTAL]
    # Sorted by Python with the key first: an unfitting collation is nobody's fault.
    return sa.select(*sorted(columns, key=lambda column: not column.primary_key))


@pytest.fixture
def opened() -> Callable[..., AbstractAsyncContextManager[Mirror]]:
    """`opened(url, **settings)` is a mirror on a migrated store."""

    @asynccontextmanager
    async def opened_store(url: str, *, migrate: bool = True, **settings: Any) -> AsyncIterator[Mirror]:
        store = Store(StoreSettings(url=SecretStr(url), **settings))
        try:
            if migrate:
                await schema.upgrade(store)
            yield Mirror(store)
        finally:
            await store.close()

    return opened_store


@pytest.fixture
async def mirror(store_url: str, opened: Callable[..., AbstractAsyncContextManager[Mirror]]) -> AsyncIterator[Mirror]:
    """An empty mirror, once on each kind of store."""
    async with opened(store_url, migrate=False) as ready:
        yield ready


@pytest.fixture
async def both(
    request: pytest.FixtureRequest,
    sqlite_url: str,
    postgres_url: str,
    opened: Callable[..., AbstractAsyncContextManager[Mirror]],
) -> AsyncIterator[list[Mirror]]:
    """A mirror on each kind of store; where a test is marked so, one on tables in parts, too."""
    urls = [sqlite_url, postgres_url]
    if request.node.get_closest_marker("partitioned"):
        urls.append(request.getfixturevalue("partitioned_url"))
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened(url, migrate=False)) for url in urls]


@dataclass(frozen=True)
class Events:
    """Messages in the catalog's form."""

    def profile(self, profile_id: str = "p1", verb: str = "PATCH", **fields: Any) -> Message:
        """A profile message; `fields` replace those of the envelope, None takes one out."""
        body = {
            "event": "UPDATE_DATA_PROFILE",
            "published": "2026-05-10T15:04:15Z",
            "state": {"metadata": {"guid": profile_id, "dataset_id": "a1", "catalog_id": "c1"}},
            "details": {"profile_id": profile_id, "dataset_id": "a1", "catalog_id": "c1"},
            **fields,
        }
        kept = {name: value for name, value in body.items() if value is not None}
        return Message(f"v2.data_profiles.{profile_id}.{verb}", json.dumps(kept).encode())

    def lineage(
        self,
        event_id: str = "e1",
        at: Any = "2026-05-10T15:04:15Z",
        uses: Sequence[str] = ("a1",),
        generates: Sequence[str] = (),
        **details: Any,
    ) -> Message:
        """A bare lineage event."""
        body = {
            "message_version": "v1",
            "event_details": {"event_id": event_id, "event_time": at, **details},
            "uses_assets": [{"id": asset} for asset in uses],
            "generates_assets": [{"id": asset} for asset in generates],
        }
        return Message(f"v2.lineage_events.{event_id}.POST", json.dumps(body).encode())

    def deletion(self, asset_id: str = "a1", at: Any = 1778425455000) -> Message:
        """The search feed's word that an asset was deleted."""
        body = {
            "provider_type_id_list": ["cams"],
            "artifact_guid": asset_id,
            "last_updated_at": at,
            "message_type": "DELETE_MESSAGE",
            "tenant_id_list": ["999"],
        }
        return Message("v3.gss.cams.x.action", json.dumps(body).encode())


@pytest.fixture
def events() -> Events:
    """Messages in the catalog's form."""
    return Events()


@pytest.fixture
def subscriber() -> type[Subscriber]:
    """Targets, as far as the pipeline sees them."""
    return Subscriber


@pytest.fixture
def outlet() -> Outlet:
    """Takes fresh deliveries as the relay does."""
    return Outlet()
