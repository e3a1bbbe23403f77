"""Several queues: replicas share them, one of them dies, and their number changes under load, without loss."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import aio_pika
import pytest

from sandbox.parts.mirror import MirrorProcess
from tests.faults.conftest import Rig

#: Events that are published while the number of queues changes, and each time before.
EVENTS = 200


@pytest.mark.timeout(180)
async def test_more_queues_and_fewer_again_under_load(
    rig: Callable[..., Any],
    amqp_url: str,
    broker: Any,
    postgres_url: str,
    mirror_process: Callable[..., MirrorProcess],
    run_command: Callable[..., Any],
) -> None:
    """Replicas of two settings are at work together each time, as in a rolling upgrade."""
    settings = {"AMQP__URL": amqp_url, "STORE__URL": postgres_url, "AMQP__MANAGEMENT_URL": broker.management_url}
    async with rig("number of queues changed", amqp_url, postgres_url) as world, AsyncExitStack() as stack:
        former: MirrorProcess = world.service
        for number in (4, 2, 1):
            publishing = asyncio.create_task(world.publish(EVENTS))
            now = await stack.enter_async_context(mirror_process(AMQP__QUEUES=str(number), **settings))
            await now.wait_ready()
            assert await former.terminate() == 0
            await publishing
            await world.resumed()
            said = await run_command("topology", "apply", "--migrate", AMQP__QUEUES=str(number), **settings)
            assert await _queues(world) == [n for n in range(1, 5) if n <= number], said
            former = now
        await world.resumed()
        assert await world.rows.all("SELECT kind FROM gaps") == []


async def _queues(world: Rig) -> list[int]:
    """Which of four queues there are."""
    there = []
    async with await aio_pika.connect(world.catalog.url) as connection:
        for number in range(1, 5):
            channel = await connection.channel()
            try:
                await channel.declare_queue("catalog-mirror" + (f".{number}" if number > 1 else ""), passive=True)
            except aio_pika.exceptions.ChannelNotFoundEntity:
                continue
            there.append(number)
    return there


async def test_a_replica_that_dies_leaves_none_of_the_queues_without_a_consumer(
    rig: Callable[..., Any], amqp_url: str, postgres_url: str
) -> None:
    async with rig("replica killed, 4 queues", amqp_url, postgres_url, replicas=2, AMQP__QUEUES="4") as world:
        await world.publish(100)
        publishing = asyncio.create_task(world.publish(EVENTS))
        await world.services[0].kill()
        await publishing
        await world.resumed()


async def test_a_queue_that_a_replica_of_other_settings_made_is_consumed_at_once(
    rig: Callable[..., Any], amqp_url: str, postgres_url: str, run_command: Callable[..., Any]
) -> None:
    """Else it would fill up where that replica goes away again."""
    async with rig("queue of another replica's settings", amqp_url, postgres_url) as world:
        await world.resumed()
        more = {"AMQP__URL": amqp_url, "STORE__URL": postgres_url, "AMQP__QUEUES": "2"}
        await run_command("topology", "apply", **more)
        await world.publish(50)
        await world.resumed()
