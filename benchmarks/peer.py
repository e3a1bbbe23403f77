"""The same two jobs written the usual way: FastStream, asyncpg, one event at a time, one transaction each.

Fair means here: FastStream's own validation of the envelope with pydantic, its acknowledgement after the handler's
end, prepared statements, a connection pool, as many handlers at a time as the prefetch count lets through (which is
how FastStream works on RabbitMQ), and of several prefetch counts and pool sizes the quickest pair.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import asyncpg
from faststream import AckPolicy
from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitQueue
from pydantic import BaseModel

#: Messages in hand, and so handlers at work at a time.
PREFETCH = 50
#: Connections to the database.
POOL_SIZE = 10
EXCHANGE = "CatalogServiceMessageHub"

TABLES = """
CREATE TABLE assets (
    asset_id text PRIMARY KEY, container_kind text, container_id text, mirrored_at timestamptz NOT NULL
);
CREATE TABLE data_profiles (
    profile_id text PRIMARY KEY, asset_id text, container_kind text, container_id text, status text,
    column_count integer, created_at timestamptz, owner_id text, version_at timestamptz NOT NULL,
    mirrored_at timestamptz NOT NULL, document text NOT NULL
);
CREATE INDEX data_profiles_asset ON data_profiles (asset_id);
CREATE TABLE lineage_events (
    event_id text PRIMARY KEY, event_type text, event_time timestamptz, mirrored_at timestamptz NOT NULL,
    document text NOT NULL
);
"""
_ASSET = "INSERT INTO assets VALUES ($1, 'catalog', $2, clock_timestamp()) ON CONFLICT DO NOTHING"
_PROFILE = """
INSERT INTO data_profiles VALUES ($1, $2, 'catalog', $3, $4, $5, $6, $7, $8, clock_timestamp(), $9)
ON CONFLICT (profile_id) DO UPDATE SET
    asset_id = excluded.asset_id, container_id = excluded.container_id, status = excluded.status,
    column_count = excluded.column_count, created_at = excluded.created_at, owner_id = excluded.owner_id,
    version_at = excluded.version_at, mirrored_at = excluded.mirrored_at, document = excluded.document
WHERE excluded.version_at > data_profiles.version_at
"""
_LINEAGE = (
    "INSERT INTO lineage_events VALUES ($1, 'DATASET_PROFILED', $2, clock_timestamp(), $3) ON CONFLICT DO NOTHING"
)
_NAMESPACE = uuid.UUID("0f7b1d6e-8a55-5b7e-9a0c-2f4f1f0d8f10")


class Details(BaseModel):
    """Which profile, of which data set, in which catalog."""

    catalog_id: str
    dataset_id: str
    profile_id: str
    is_governed: bool


class Envelope(BaseModel):
    """A profile message."""

    event: str
    actor: dict[str, Any]
    published: datetime
    url: str
    status_code: int
    state: dict[str, Any]
    details: Details


async def run(
    amqp_url: str, queue: str, database_url: str, until_stopped: Callable[[], Awaitable[None]], *, answers: bool
) -> None:
    """Consume until stopped; the queue, its binding and the tables are there."""
    async with asyncpg.create_pool(database_url, min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        broker = RabbitBroker(amqp_url, default_channel=Channel(prefetch_count=PREFETCH), logger=None)
        exchange = RabbitExchange(EXCHANGE, type=ExchangeType.TOPIC, durable=True, declare=False)
        incoming = RabbitQueue(queue, queue_type=QueueType.QUORUM, durable=True, declare=False)

        @broker.subscriber(incoming, ack_policy=AckPolicy.NACK_ON_ERROR)
        async def profile_saved(envelope: Envelope) -> None:
            await _mirror(pool, broker, exchange, envelope, answers)

        async with broker:
            await broker.start()
            await until_stopped()


async def _mirror(
    pool: asyncpg.Pool, broker: RabbitBroker, exchange: RabbitExchange, envelope: Envelope, answers: bool
) -> None:
    """One event in one transaction; its lineage is published, and confirmed, after the commit."""
    lineage = _lineage(envelope) if answers else None
    event_id = lineage["event_details"]["event_id"] if lineage else ""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_ASSET, envelope.details.dataset_id, envelope.details.catalog_id)
        await connection.execute(_PROFILE, *_profile(envelope))
        if lineage:
            await connection.execute(_LINEAGE, event_id, envelope.published, json.dumps(lineage))
    if lineage:
        key = f"v2.lineage_events.{event_id}.MIRROR"
        await broker.publish(
            lineage, exchange=exchange, routing_key=key, message_id=event_id, mandatory=True, persist=True
        )


def _profile(envelope: Envelope) -> tuple[Any, ...]:
    details, state = envelope.details, envelope.state
    profile, metadata = state["entity"]["data_profile"], state["metadata"]
    document = json.dumps(state, sort_keys=True, separators=(",", ":"))
    return (
        details.profile_id,
        details.dataset_id,
        details.catalog_id,
        profile["execution"]["status"],
        len(profile["columns"]),
        datetime.fromisoformat(metadata["created_at"]),
        metadata["owner_id"],
        envelope.published,
        document,
    )


def _lineage(envelope: Envelope) -> dict[str, Any]:
    """The same lineage event as the service's."""
    details = envelope.details
    name = f"{details.profile_id}/{envelope.published.timestamp()}"
    return {
        "message_version": "v1",
        "user_id": "catalog-mirror",
        "account_id": "999",
        "event_details": {
            "event_id": str(uuid.uuid5(_NAMESPACE, name)),
            "event_type": "DATASET_PROFILED",
            "event_category": ["additions" if envelope.event == "CREATE_DATA_PROFILE" else "modifications"],
            "event_time": envelope.published.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "event_source_service": "FastStream",
        },
        "uses_assets": [_asset(details.dataset_id, "DataSet", "Used", details.catalog_id)],
        "generates_assets": [_asset(details.profile_id, "DataProfile", "Created", details.catalog_id)],
    }


def _asset(asset_id: str, asset_type: str, relation: str, catalog_id: str) -> dict[str, Any]:
    value = {"id": asset_id, "name": asset_id, "catalog_id": catalog_id}
    return {
        "id": asset_id,
        "asset_type": asset_type,
        "relation": {"name": relation},
        "properties": {
            "dataset": {"type": "dataset", "value": value},
            "catalog": {"type": "catalog", "value": {"id": catalog_id}},
        },
    }
