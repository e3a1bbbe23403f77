"""Changes on their way to a pocket receiver."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.webhook import receiver as webhooks
from sandbox.webhook.receiver import PocketReceiver
from service.changes import AssetColumn, AssetDeleted, AssetSaved, Change, Container, Origin, Rank, Version
from service.events.message import Message
from service.mirror import controls
from service.pipeline.answers import Answerer
from service.pipeline.committing import Outcome
from service.pipeline.decoding import Read
from service.pipeline.pipeline import Pipeline
from service.settings.model import PipelineSettings, RelaySettings, Settings, TargetSettings
from service.targets.base import Target
from service.targets.relay import Relay
from service.telemetry.metrics import Metrics
from service.telemetry.traces import OFF, Traces
from service.text.documents import document

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode()
PLACE = Container("catalog", "c1")


def asset(asset_id: str = "a1", at_s: int = 1, **fields: Any) -> AssetSaved:
    """A state of an asset, told by an event so many seconds after 1970."""
    told = {name: str(value) for name, value in fields.items()}
    return AssetSaved(
        asset_id,
        Version(at_s * 1_000_000, Rank.EVENT, digest=document({"at": at_s, **told}).digest),
        document({"metadata": {"asset_id": asset_id, "name": told.get("name", "Orders"), "asset_type": "data_asset"}}),
        fields.pop("container", PLACE),
        fields.pop("name", "Orders"),
        fields.pop("asset_type", "data_asset"),
        **fields,
    )


def gone(asset_id: str = "a1", at_s: int = 9) -> AssetDeleted:
    """The deletion of an asset."""
    return AssetDeleted(asset_id, Version(at_s * 1_000_000, Rank.DELETED))


def columns(*names: str, data_type: str = "VARCHAR") -> tuple[AssetColumn, ...]:
    """Columns of an asset."""
    return tuple(AssetColumn(name, place, data_type) for place, name in enumerate(names, 1))


@dataclass
class Way:
    """A pipeline, and a relay to one target."""

    pipeline: Pipeline
    relay: Relay
    target: Target
    mirror: Mirror

    async def take(self, *changes: Change, origin: Origin = Origin.LIVE) -> Outcome:
        """Commit changes as one batch."""
        reads = [Read(Message(f"key{place}", b"{}"), changes=(change,)) for place, change in enumerate(changes)]
        return await self.pipeline.commit(reads, origin)

    async def emptied(self) -> None:
        """Wait until nothing is pending."""
        await self.until("SELECT count(*) FROM deliveries", 0)

    async def until(self, query: str, value: Any) -> None:
        """Wait until a query answers this."""
        async with asyncio.timeout(60):
            while await self.mirror.one(query) != value:
                await asyncio.sleep(0.02)


@pytest.fixture
def open_way(mirror: Mirror) -> Callable[..., AbstractAsyncContextManager[Way]]:
    """`open_way(kind, url=…, options=…)` runs a relay to that target."""

    @asynccontextmanager
    async def opened(
        kind: type[Target], *, runs: bool = True, traces: Traces = OFF, **chosen: Any
    ) -> AsyncIterator[Way]:
        name = kind.__name__.lower()
        target = kind.create(name, Settings(targets={name: TargetSettings(**chosen)}))
        assert target is not None
        async with mirror.store.write() as connection:
            await controls.ensure_targets(connection, [name])
        relay = Relay(mirror.store, [target], RelaySettings(poll_s=0.05, retry_max_s=0.2), Metrics(), traces)
        pipeline = Pipeline(
            mirror.store, mirror.router, PipelineSettings(), Metrics(),
            answerer=Answerer(TargetSettings()), subscribers=[target], outlet=relay if runs else None, traces=traces,
        )  # fmt: skip
        running = asyncio.create_task(relay.run()) if runs else None
        try:
            yield Way(pipeline, relay, target, mirror)
        finally:
            relay.stop()
            if running:
                await running
            else:
                await target.close()

    return opened


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """A file with one secret."""
    file = tmp_path / "secrets"
    file.write_text(SECRET + "\n")
    return file


@pytest.fixture
def receiver() -> PocketReceiver:
    """A receiver that knows the secret."""
    return PocketReceiver([SECRET])


@pytest.fixture
async def receiver_url(receiver: PocketReceiver) -> AsyncIterator[str]:
    """Where it is."""
    async with webhooks.serve(receiver) as url:
        yield url
