"""A storm of changes reaches Pentaho: how few jobs it becomes, and how long that takes, into a pocket server."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from benchmarks.errors import BenchFailed
from benchmarks.parts import Parts
from sandbox.pentaho.server import PASSWORD, USERNAME, PocketPentaho, serve
from service.changes import Origin
from service.events.message import Message
from service.mirror import controls, schema
from service.mirror.store import Store
from service.mirror.tables import deliveries
from service.pipeline.building import pipeline_of
from service.settings.model import RelaySettings, Settings, StoreSettings, TargetSettings
from service.targets.pentaho import links
from service.targets.pentaho.links import Link
from service.targets.pentaho.target import Pentaho
from service.targets.relay import Relay
from service.telemetry.metrics import Metrics

NAME = "pentaho_jobs"
#: Changed assets, how often each changes, and ids of a scope at most.
ASSETS, CHANGES, SCOPE_MAX = 100_000, 2, 1000
#: Messages of one batch.
_BATCH = 500
#: Seconds that the storm may take, and settle.
_PATIENCE_S = 900.0


async def measure(on: Parts) -> dict[str, float]:
    """Seconds into the store, seconds from there to Pentaho, and jobs.

    Raises:
        BenchFailed: an asset did not reach Pentaho, or did so twice.
    """
    pocket = PocketPentaho(words=["COMPLETED"])
    async with serve(pocket), _mirror(on, pocket) as (settings, store, target):
        metrics = Metrics()
        relay = Relay(store, [target], settings.relay, metrics)
        pipeline = pipeline_of(settings, store, metrics, [target], relay)
        started = time.perf_counter()
        for change in range(CHANGES):
            for start in range(0, ASSETS, _BATCH):
                batch = [_asset(number, change) for number in range(start, start + _BATCH)]
                await pipeline.process(batch, Origin.LIVE)
        written = time.perf_counter()
        async with store.write() as connection:  # the storm has settled
            await connection.execute(sa.update(deliveries).values(due_at=deliveries.c.created_at))
        running = asyncio.create_task(relay.run())
        await _until_told(store)
        told = time.perf_counter()
        relay.stop()
        await running
    _check(pocket)
    return {"store_s": written - started, "told_s": told - written, "jobs": float(len(pocket.taken))}


@asynccontextmanager
async def _mirror(on: Parts, pocket: PocketPentaho) -> AsyncIterator[tuple[Settings, Store, Pentaho]]:
    options = {"settle": 3600, "scope_max": SCOPE_MAX}
    chosen = TargetSettings(url=pocket.url, username=USERNAME, password=SecretStr(PASSWORD), options=options)
    database = StoreSettings(url=SecretStr(await asyncio.to_thread(on.new_database)))
    settings = Settings(store=database, targets={"pentaho": chosen}, relay=RelaySettings(poll_s=0.05))
    target, store = Pentaho.create("pentaho", settings), Store(settings.store)
    assert target is not None
    try:
        await schema.upgrade(store)
        async with store.write() as connection:
            await controls.ensure_targets(connection, ["pentaho"])
            linked = [Link("asset", f"a{number}", _entity(number)) for number in range(ASSETS)]
            await links.store(connection, "pentaho", linked, replace=False)
        yield settings, store, target
    finally:
        await store.close()


def _entity(number: int) -> str:
    return str(uuid.UUID(int=number, version=4))


def _asset(number: int, change: int) -> Message:
    """A card of a data asset whose description changed."""
    card = {
        "metadata": {
            "asset_id": f"a{number}", "asset_type": "data_asset", "name": f"ORDERS_{number}", "catalog_id": "c1",
            "description": f"change {change}",
        },
        "entity": {"data_asset": {"columns": [{"name": "id", "type": {"type": "bigint"}}]}},
    }  # fmt: skip
    body = {"event": "UPDATE_ASSET", "published": f"2026-05-10T15:04:{2 * change:02d}Z", "state": card}
    return Message(f"v2.assets.a{number}.PATCH", json.dumps(body).encode())


async def _until_told(store: Store) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            async with store.read() as connection:
                if not (await connection.execute(sa.select(sa.func.count()).select_from(deliveries))).scalar_one():
                    return
            await asyncio.sleep(0.1)


def _check(pocket: PocketPentaho) -> None:
    told = [one for scope in pocket.scopes("metadata/re-ingest") for one in scope]
    if sorted(told) != sorted(_entity(number) for number in range(ASSETS)):
        raise BenchFailed(f"{len(told)} entities were told to Pentaho, {len(set(told))} different ones of {ASSETS}.")


def line(found: dict[str, float]) -> str:
    """For people."""
    return (
        f"To Pentaho: {ASSETS:,} assets that changed {CHANGES} times in {found['jobs']:,.0f} jobs of {SCOPE_MAX:,}; "
        f"{found['store_s']:.0f} s into the store, {found['told_s']:.0f} s from there"
    )


def summary(found: dict[str, float]) -> dict[str, Any]:
    """For the last line."""
    rate = round(ASSETS / found["told_s"])
    return {"pentaho_assets": ASSETS, "pentaho_jobs": round(found["jobs"]), "pentaho_assets_per_s": rate}
