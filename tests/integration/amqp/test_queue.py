"""What is there of exchange and queue, looked at while it changes."""

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from service.amqp import topology
from service.amqp.connection import connected
from service.settings.model import AmqpSettings


async def test_a_queue_that_is_still_going_is_not_taken_for_one_that_stays(
    amqp_url: str, make_catalog: Callable[[str], Any]
) -> None:
    """RabbitMQ 4.3 cancels the consumers of a queue some moments before the queue is gone."""
    settings = AmqpSettings(url=SecretStr(amqp_url))
    async with make_catalog(amqp_url) as catalog, connected(settings, "test") as connection:
        assert (await topology.ensure(connection, settings, [])).created
        assert not (await topology.ensure(connection, settings, [], going_s=0.2)).created

        async def go() -> None:
            await asyncio.sleep(0.2)
            await catalog.channel.queue_delete(settings.queue)

        going = asyncio.create_task(go())
        found = await topology.ensure(connection, settings, [], going_s=topology.GOING_S)
        await going
        assert found.created
