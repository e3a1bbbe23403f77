"""Replicas: any number on one queue end in the same mirror, and what a crashed one had in hand the others do."""

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox.parts.mirror import MirrorProcess

REPLICAS = 3
ENTITIES = 150
#: States of each entity; the newest is to be the last one in the mirror, however they race.
STATES = 8


@pytest.mark.timeout(180)
async def test_replicas_that_race_on_the_same_things_end_in_the_newest_state_of_each(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    postgres_url: str,
    tmp_path: Path,
    rows_of: Callable[..., Any],
) -> None:
    seed = random.randrange(1 << 30)
    events = [profile_event(n, at_s=state, rows=state) for n in range(ENTITIES) for state in range(STATES)]
    random.Random(seed).shuffle(events)
    rows = rows_of(postgres_url)
    settings: dict[str, Any] = {
        "AMQP__URL": amqp_url,
        "STORE__URL": postgres_url,
        "AMQP__PREFETCH": "60",
        "PIPELINE__BATCH_MAX": "20",
        "RELAY__LEASE_S": "3",
    }
    async with AsyncExitStack() as stack:
        services = [MirrorProcess(tmp_path / f"service{n}.log", **settings) for n in range(REPLICAS)]
        for service in services:
            await stack.enter_async_context(service)
        await asyncio.gather(*(service.wait_ready() for service in services))
        for start in range(0, len(events), 100):
            await catalog.publish(events[start : start + 100])
            if start == len(events) // 2 // 100 * 100:
                await services[0].kill()
        await rows.until("SELECT count(*) FROM lineage_events WHERE own", len(events))
        await rows.until("SELECT count(*) FROM deliveries", 0)
    newest = [json.loads(document)["rows"] for (document,) in await rows.all("SELECT document FROM data_profiles")]
    assert newest == [STATES - 1] * ENTITIES, f"seed {seed}"
    assert await rows.one("SELECT count(*) FROM dead_letters") == 0, f"seed {seed}"
    own = {event_id for (event_id,) in await rows.all("SELECT event_id FROM lineage_events WHERE own")}
    assert set(await catalog.came_back()) == own, f"seed {seed}"


async def test_what_a_crashed_replica_had_leased_is_delivered_by_another(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    postgres_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows = rows_of(postgres_url)
    settings = {"AMQP__URL": amqp_url, "STORE__URL": postgres_url, "RELAY__LEASE_S": "3"}
    async with mirror_process(**settings) as service:
        await service.wait_ready()
        await catalog.publish([profile_event(1)])
        await rows.until("SELECT count(*) FROM lineage_events", 1)
        await rows.until("SELECT count(*) FROM deliveries", 0)
    lease = "lease_token = 'of a replica that is gone', lease_until = now() + interval '9 seconds'"
    columns = "delivery_id, target, entity_kind, entity_id, change, created_at, due_at"
    again = f"INSERT INTO deliveries ({columns}) SELECT 'again', 'catalog_lineage', 'lineage_event', event_id, 'x',"
    await rows.execute(f"{again} now(), now() FROM lineage_events WHERE own", f"UPDATE deliveries SET {lease}")
    await catalog.came_back()
    async with mirror_process(**settings) as service:
        await service.wait_ready()
        assert await rows.one("SELECT count(*) FROM deliveries") == 1, "a lease that has not lapsed is respected"
        await rows.until("SELECT count(*) FROM deliveries", 0)
    assert len(await catalog.came_back()) == 1
