"""What networks do to the link to the broker: the consumer comes back by itself, and nothing is lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.parts.proxy import TcpProxy

#: So that a dead link is noticed within seconds; by default it takes a minute or two.
IMPATIENT = {"AMQP__HEARTBEAT_S": "5", "AMQP__CONNECT_TIMEOUT_S": "3", "AMQP__WATCHDOG_INTERVAL_S": "2"}


async def test_a_link_that_is_cut_again_and_again_while_publishing_and_acknowledging(
    rig: Callable[..., Any], amqp_url: str, sqlite_url: str
) -> None:
    async with TcpProxy.before(amqp_url) as proxy:
        async with rig("link cut", amqp_url, sqlite_url, through=proxy.through(amqp_url)) as world:
            for _ in range(5):
                publishing = asyncio.create_task(world.publish(100))
                await asyncio.sleep(0.15)
                proxy.cut()
                await publishing
                await world.resumed()


async def test_a_link_whose_way_back_is_dead_is_noticed_and_replaced(
    rig: Callable[..., Any], amqp_url: str, sqlite_url: str
) -> None:
    async with TcpProxy.before(amqp_url) as proxy:
        through = proxy.through(amqp_url)
        async with rig("link half-open", amqp_url, sqlite_url, through=through, **IMPATIENT) as world:
            await world.publish(100)
            proxy.half_open()
            await world.publish(100)
            await asyncio.sleep(6)
            status, _ = await world.service.get("/livez")
            assert status == 200, "a link is mended, not the process"
            proxy.resume()
            await world.resumed()


async def test_a_link_that_takes_its_time_only_makes_it_slower(
    rig: Callable[..., Any], amqp_url: str, sqlite_url: str
) -> None:
    async with TcpProxy.before(amqp_url) as proxy:
        async with rig(
            "link delayed by 0.2 s each way", amqp_url, sqlite_url, through=proxy.through(amqp_url)
        ) as world:
            proxy.delay(0.2)
            await world.publish(200)
            await world.mirrored()
            proxy.delay(0)
            await world.resumed()
            assert "consumer_restarted" not in world.service.log_text()


async def test_frames_that_come_one_byte_at_a_time_are_whole_all_the_same(
    rig: Callable[..., Any], amqp_url: str, sqlite_url: str
) -> None:
    async with TcpProxy.before(amqp_url) as proxy:
        proxy.chunk_bytes = 1
        async with rig("link one byte at a time", amqp_url, sqlite_url, through=proxy.through(amqp_url)) as world:
            await world.publish(40)
            await world.resumed()


@pytest.mark.timeout(180)
async def test_a_stall_during_which_messages_are_in_hand_repeats_them_and_loses_none(
    rig: Callable[..., Any], amqp_url: str, sqlite_url: str
) -> None:
    async with TcpProxy.before(amqp_url) as proxy:
        through = proxy.through(amqp_url)
        async with rig("link stalled", amqp_url, sqlite_url, through=through, **IMPATIENT) as world:
            for _ in range(2):
                publishing = asyncio.create_task(world.publish(200))
                await asyncio.sleep(0.1)
                with proxy.stalled():
                    await asyncio.sleep(12)
                await publishing
                await world.resumed()
