"""The least that a client can do with an event and be safe: one row committed, one message confirmed, one acknowledged.

The floor of latency (`benchmarks.latency`). Events are dealt with side by side, each on its own, over a pool of
connections; nothing is read of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aio_pika
import asyncpg
from aio_pika.abc import AbstractIncomingMessage

from benchmarks.broker import EXCHANGE, SINK_KEY

#: Messages in hand, and connections to the database.
PREFETCH, POOL_SIZE = 50, 10
#: Bytes of an answer: what a lineage event of the service has.
ANSWER_BYTES = 1100
TABLES = "CREATE TABLE events (routing_key text NOT NULL, body bytea NOT NULL)"
_ROW = "INSERT INTO events VALUES ($1, $2)"


async def run(amqp_url: str, queue: str, database_url: str, until_stopped: Callable[[], Awaitable[None]]) -> None:
    """Answer every event until stopped; the queue and the table are there."""
    pool = asyncpg.create_pool(database_url, min_size=POOL_SIZE, max_size=POOL_SIZE)
    async with pool, await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)

        async def answer(message: AbstractIncomingMessage) -> None:
            await pool.execute(_ROW, message.routing_key, message.body)
            told = aio_pika.Message(
                message.body[:ANSWER_BYTES],
                message_id=message.message_id,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            await exchange.publish(told, routing_key=SINK_KEY.replace("*", message.message_id or ""), mandatory=True)
            await message.ack()

        await (await channel.get_queue(queue)).consume(answer)
        await until_stopped()
