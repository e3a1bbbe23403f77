"""The service's own pipeline in this process, without a broker: for looking at what an event costs inside.

The events are those of the throughput bench, the settings the service's defaults, the store is PostgreSQL. With
lineage, answers are made and delivered from memory as in the service, to a target that only takes them: what
publishing costs is not in here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from pydantic import SecretStr

from benchmarks.errors import BenchFailed
from benchmarks.events import SEED, samples_of
from service.changes import Origin
from service.errors import MirrorError
from service.events.message import Message
from service.mirror import controls, schema
from service.mirror.deliveries import Delivery, Lease
from service.mirror.store import Store
from service.pipeline.building import pipeline_of
from service.pipeline.pipeline import Pipeline
from service.settings.model import Settings, StoreSettings, TargetSettings
from service.targets.base import Target
from service.targets.changes.webhook import Webhook
from service.targets.relay import Lane, Relay
from service.telemetry.metrics import Metrics

#: Seconds that deliveries are leased to this process.
_LEASE_S = 60.0


class Receiver(Target):
    """Takes lineage, of the mirror and of others; it is not told anything here, as no relay runs."""

    lineage = forwards = True

    def __init__(self) -> None:
        super().__init__("receiver", [Origin.LIVE])

    @classmethod
    def create(cls, name: str, settings: Settings) -> None:
        """Made here alone."""

    async def deliver(self, batch: Sequence[Delivery]) -> list[MirrorError | None]:
        """Nobody asks for it."""
        return [None] * len(batch)


class _Memory:
    """Takes fresh deliveries as a relay with room does, and forgets them."""

    def lease(self) -> Lease:
        """One that lasts."""
        return Lease("bench", _LEASE_S)

    def admits(self, wanted: Mapping[str, int]) -> frozenset[str]:
        """There is always room."""
        return frozenset(wanted)

    def accept(self, fresh: Sequence[Delivery]) -> None:
        """Forgotten."""


def messages_of(number: int, seed: int = SEED) -> list[Message]:
    """So many profile events as they come from the queue; the same ones every time."""
    return [Message(sample.routing_key, sample.body) for sample in samples_of(number, seed)]


async def migrate(database_url: str) -> None:
    """Make the schema in an empty database."""
    store = Store(StoreSettings(url=SecretStr(database_url)))
    try:
        await schema.upgrade(store)
    finally:
        await store.close()


@asynccontextmanager
async def pipeline(database_url: str, *, answers: bool) -> AsyncIterator[Pipeline]:
    """The service's pipeline on a PostgreSQL whose schema is there.

    Args:
        answers: lineage is made of each event and delivered.
    """
    settings = Settings(store=StoreSettings(url=SecretStr(database_url)))
    store = Store(settings.store)
    try:
        yield pipeline_of(settings, store, Metrics(), [Receiver()] if answers else [], _Memory() if answers else None)
    finally:
        await store.close()


class Telling:
    """A webhook, told from memory as a relay does when it has the time."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def deliver_memory(self) -> None:
        """All that was just committed."""
        while await self._lane.deliver_fresh():
            pass


@asynccontextmanager
async def telling(database_url: str, receiver_url: str) -> AsyncIterator[tuple[Pipeline, Telling]]:
    """The same pipeline with all changes told to a webhook."""
    chosen = TargetSettings(url=receiver_url)
    settings = Settings(store=StoreSettings(url=SecretStr(database_url)), targets={"webhook": chosen})
    store = Store(settings.store)
    target = Webhook.create("webhook", settings)
    if target is None:
        raise BenchFailed("The webhook is off.")
    relay = Relay(store, [target], settings.relay, Metrics())
    try:
        async with store.write() as connection:
            await controls.ensure_targets(connection, [target.name])
        yield pipeline_of(settings, store, Metrics(), [target], relay), Telling(relay.lanes[0])
    finally:
        await target.close()
        await store.close()
