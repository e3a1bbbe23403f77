"""How fast lineage comes in, beside profiles: the same pipeline and store, without a broker."""

from __future__ import annotations

import asyncio
import json
import time

from pydantic import SecretStr

from benchmarks.inprocess import Receiver, messages_of
from benchmarks.parts import Parts
from service.changes import Origin
from service.events.message import Message
from service.mirror import schema
from service.mirror.store import Store
from service.pipeline.building import pipeline_of
from service.settings.model import Settings, StoreSettings
from service.telemetry.metrics import Metrics

NAME = "lineage_ingest"
#: Batches of each kind, and events of one.
BATCHES, BATCH = 10, 500


async def measure(on: Parts) -> dict[str, float]:
    """Events per second into a mirror on PostgreSQL, batch by batch: profiles and lineage in turn."""
    settings = Settings(store=StoreSettings(url=SecretStr(await asyncio.to_thread(on.new_database))))
    store = Store(settings.store)
    loads = {
        "profiles": messages_of(BATCHES * BATCH),
        "lineage": [_lineage(number) for number in range(BATCHES * BATCH)],
    }
    try:
        await schema.upgrade(store)
        pipeline = pipeline_of(settings, store, Metrics(), [Receiver()])
        took = dict.fromkeys(loads, 0.0)
        for start in range(0, BATCHES * BATCH, BATCH):
            for name, messages in loads.items():
                started = time.perf_counter()
                await pipeline.process(messages[start : start + BATCH], Origin.LIVE)
                took[name] += time.perf_counter() - started
        return {name: len(loads[name]) / seconds for name, seconds in took.items()}
    finally:
        await store.close()


def summary(rates: dict[str, float]) -> dict[str, float]:
    """For the last line."""
    return {
        "lineage_ingest_per_s": round(rates["lineage"]),
        "lineage_to_profiles": round(rates["lineage"] / rates["profiles"], 2),
    }


def _lineage(number: int) -> Message:
    """An event of the catalog's form that names three assets, with names and containers."""
    body = {
        "message_version": "v1", "user_id": "IBMid-1", "account_id": "999",
        "event_details": {
            "event_id": f"i{number}", "event_time": "2026-05-10T15:04:15.000Z", "event_type": "DATASET_PUBLISHED",
            "event_category": ["additions"], "event_source_service": "Watson Knowledge Catalog",
        },
        "uses_assets": [_asset(f"a{number}", "project_id"), _asset(f"a{number + 1}", "project_id")],
        "generates_assets": [_asset(f"b{number}", "catalog_id")],
    }  # fmt: skip
    return Message(f"v2.lineage_events.i{number}.POST", json.dumps(body).encode())


def _asset(asset_id: str, container: str) -> dict[str, object]:
    value = {"id": asset_id, "name": f"Name of {asset_id}", container: "c1"}
    kind = container.removesuffix("_id")
    return {
        "id": asset_id, "asset_type": "DataSet", "relation": {"name": "Used"},
        "properties": {"dataset": {"type": "dataset", "value": value}, kind: {"type": kind, "value": {"id": "c1"}}},
    }  # fmt: skip
