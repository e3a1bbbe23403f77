"""Killing the service at any moment loses nothing and repeats nothing in the mirror."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.parts.mirror import MirrorProcess

KILLS = 6
EVENTS = 3000


@pytest.mark.timeout(240)
async def test_kill_at_random_moments_loses_no_event_and_no_lineage(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    store_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    events = [profile_event(number, at_s=number) for number in range(EVENTS)]
    await catalog.bind_mirror_queue()
    publishing = asyncio.create_task(_publish_slowly(catalog, events))
    service = mirror_process(
        AMQP__URL=amqp_url, STORE__URL=store_url, PIPELINE__BATCH_MAX="50", RELAY__LEASE_S="3", AMQP__PREFETCH="200"
    )
    async with service:
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.8, 2.2))
            await service.kill()
            await service.start()
        await publishing
        rows = rows_of(store_url)
        await rows.until("SELECT count(*) FROM data_profiles", EVENTS)
        await rows.until("SELECT count(*) FROM deliveries", 0)
        assert await rows.one("SELECT count(*) FROM dead_letters") == 0, f"seed {seed}"
        assert await rows.one("SELECT count(*) FROM lineage_events WHERE own") == EVENTS, f"seed {seed}"
        assert await service.terminate() == 0
    own = {row[0] for row in await rows.all("SELECT event_id FROM lineage_events WHERE own")}
    assert set(await catalog.came_back()) == own, f"seed {seed}"


async def _publish_slowly(catalog: Any, events: list[tuple[str, bytes]]) -> None:
    """Over some seconds, so that every kill meets events in flight."""
    for start in range(0, len(events), 100):
        await catalog.publish(events[start : start + 100])
        await asyncio.sleep(0.3)
