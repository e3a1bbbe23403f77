"""Killing the service at any moment loses nothing and repeats nothing in the mirror."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

#: Kills on each kind of store: 20 in all; `make soak` kills 300 times.
KILLS, MANY_KILLS = 10, 150
#: Events between two kills.
EVENTS = 150
SMALL = {"PIPELINE__BATCH_MAX": "50", "RELAY__LEASE_S": "3", "AMQP__PREFETCH": "200"}


@pytest.mark.timeout(240)
async def test_kill_at_random_moments_loses_no_event_and_no_lineage(
    rig: Callable[..., Any], amqp_url: str, store_url: str
) -> None:
    await _kill(rig, amqp_url, store_url, KILLS)


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_many_kills_at_random_moments_lose_no_event_and_no_lineage(
    rig: Callable[..., Any], amqp_url: str, store_url: str
) -> None:
    await _kill(rig, amqp_url, store_url, MANY_KILLS)


async def _kill(rig: Callable[..., Any], amqp_url: str, store_url: str, kills: int) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with rig("kill -9", amqp_url, store_url, **SMALL) as world:
        for number in range(kills):
            publishing = asyncio.create_task(world.publish(EVENTS))
            # Where in a batch it strikes is chance; every third time it is hit as it comes up, or soon after.
            await asyncio.sleep(chance.uniform(0.0, 0.4) if number % 3 else chance.uniform(0.8, 2.0))
            await world.service.kill()
            await world.service.start()
            await publishing
        await world.resumed()
        world.figures.faults = kills
        assert await world.service.terminate() == 0
