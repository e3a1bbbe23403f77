"""A mirror whose relay tells a pocket Pentaho."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from sandbox.pentaho.server import PASSWORD, USERNAME, PocketPentaho, serve
from service.changes import (
    SECOND_US,
    AssetSaved,
    Change,
    Origin,
    ProfileSaved,
    Rank,
    ThingSaved,
    UsageObserved,
    Version,
)
from service.kinds import KINDS
from service.mirror import controls, deliveries, writer
from service.settings.model import RelaySettings, Settings, TargetSettings
from service.targets.base import Target
from service.targets.pentaho import links
from service.targets.pentaho.links import Link
from service.targets.pentaho.target import Pentaho
from service.targets.relay import Relay
from service.telemetry.metrics import Metrics
from service.text.documents import document

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

PATIENCE_S = 30.0


class Listener(Target):
    """A target of lineage that keeps what it is told."""

    lineage = True

    def __init__(self) -> None:
        super().__init__("listener", [Origin.LIVE])
        self.told: list[str] = []

    @classmethod
    def create(cls, name: str, settings: Settings) -> None:
        """Made here alone."""

    async def deliver(self, batch: Sequence[Any]) -> list[Any]:
        self.told += [delivery.document for delivery in batch]
        return [None] * len(batch)


def target_of(url: str, password_file: Path | None = None, **options: Any) -> Pentaho:
    """The target at this URL, quick."""
    quick = {"settle": 0.2, "poll": 0.05, "poll_max": 0.1, **options}
    password: Any = {"password": SecretStr(PASSWORD)}
    if password_file is not None:
        password = {"password_file": password_file}
    chosen = TargetSettings(url=url, username=USERNAME, options=quick, **password)
    made = Pentaho.create("pentaho", Settings(targets={"pentaho": chosen}))
    assert made is not None
    return made


@dataclass
class Running:
    """A mirror, its relay, and what tests do with them."""

    mirror: Mirror
    target: Pentaho
    relay: Relay
    listener: Listener
    metrics: Metrics

    async def change(self, *changes: Change) -> None:
        """Changes that took effect, as the pipeline passes them on."""
        store = self.mirror.store
        async with store.write() as connection:
            applied = await writer.apply(connection, enumerate(changes))
            await self.target.prepare(connection)
            wanted = [change for _, change in applied.effective if self.target.wants(change)]
            new = [deliveries.of_state("pentaho", change, self.target.settles_s) for change in wanted]
            await deliveries.create_in_turn(connection, new)

    async def at_rest(self) -> None:
        """Wait until nothing is on its way and no job is open."""
        waiting = (
            "SELECT (SELECT count(*) FROM deliveries) + "
            "(SELECT count(*) FROM pentaho_jobs WHERE state IN ('asking', 'running'))"
        )
        await self.until(waiting, 0)

    async def until(self, query: str, value: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while await self.mirror.one(query) != value:
                await asyncio.sleep(0.03)

    async def jobs(self) -> list[tuple[str, str]]:
        """Operation and state of every job, in the order of their asking."""
        return await self.mirror.all("SELECT operation, state FROM pentaho_jobs ORDER BY created_at, operation")


@pytest.fixture
async def pocket() -> AsyncIterator[PocketPentaho]:
    """A pocket Pentaho, served at its `url`."""
    made = PocketPentaho()
    async with serve(made):
        yield made


@pytest.fixture
def running(mirror: Mirror, pocket: Any) -> Callable[..., AbstractAsyncContextManager[Running]]:
    """`running(*links, **options)`: a relay that tells the pocket Pentaho; stopped when left."""

    @asynccontextmanager
    async def run(*linked: Link, **options: Any) -> AsyncIterator[Running]:
        target, listener, metrics = target_of(pocket.url, **options), Listener(), Metrics()
        async with mirror.store.write() as connection:
            await controls.ensure_targets(connection, ["pentaho", "listener"])
            await links.store(connection, "pentaho", linked, replace=False)
        settings = RelaySettings(poll_s=0.03, retry_max_s=0.1)
        relay = Relay(mirror.store, [target, listener], settings, metrics)
        task = asyncio.create_task(relay.run())
        try:
            yield Running(mirror, target, relay, listener, metrics)
        finally:
            relay.stop()
            await task

    return run


class Made:
    """Changes and ids for tests."""

    def uuid(self, number: int) -> str:
        """The entity, or collection, of this number at Pentaho."""
        return str(uuid.UUID(int=number, version=4))

    def asset(self, asset_id: str, name: str = "x", at: int = 1, **more: Any) -> Change:
        return AssetSaved(asset_id, Version(at, Rank.EVENT, name.encode().ljust(16)), document({"n": name}), **more)

    def profile(self, profile_id: str, asset_id: str, status: str, at: int = 1) -> Change:
        version = Version(at, Rank.EVENT, status.encode().ljust(16))
        return ProfileSaved(profile_id, version, document({"s": status}), asset_id, status=status)

    def use(self, asset_id: str, at: str) -> Change:
        at_us = round(datetime.fromisoformat(at).timestamp() * SECOND_US)
        return UsageObserved(f"{asset_id} {at}", asset_id, at_us, "import")

    def thing(self, kind: str, thing_id: str, **values: Any) -> Change:
        return ThingSaved(kind, thing_id, Version(1, Rank.EVENT), document(values), KINDS[kind].row(**values))


@pytest.fixture
def made() -> Made:
    """Changes and ids for tests."""
    return Made()
