"""aiormq's channel as we use it directly: when a newer aiormq differs, these tests say so."""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import aiormq
import pytest
from pydantic import SecretStr

from service.amqp.channel import UNROUTABLE, ConfirmingChannel, Outgoing, never_called, open_channel, open_delivering
from service.amqp.connection import Link, connected, underlay
from service.amqp.deliveries import Delivery
from service.settings.model import AmqpSettings


@pytest.fixture
async def connection(amqp_url: str) -> AsyncIterator[Link]:
    async with connected(AmqpSettings(url=SecretStr(amqp_url)), "test") as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("x", aio_pika.ExchangeType.TOPIC)
        queue = await channel.declare_queue("q")
        await queue.bind(exchange, "good.#")
        yield connection


async def test_a_batch_is_confirmed_together_and_returns_are_told_by_message(connection: Link) -> None:
    channel = await open_channel(underlay(connection), ConfirmingChannel, confirms=True, timeout_s=5)
    for _ in range(3):
        batch = [
            Outgoing(f"m{number}", "bad" if number % 5 == 0 else f"good.{number}", b"x" * (number * 300))
            for number in range(501)
        ]
        results = await channel.publish("x", batch, 10)
        assert [index for index, result in enumerate(results) if result is not None] == list(range(0, 501, 5))
        assert set(results) == {None, UNROUTABLE}


async def test_a_closed_channel_or_a_missing_exchange_raises_instead_of_waiting(connection: Link) -> None:
    channel = await open_channel(underlay(connection), ConfirmingChannel, confirms=True, timeout_s=5)
    with pytest.raises((aiormq.exceptions.AMQPError, asyncio.CancelledError)):
        await channel.publish("no such exchange", [Outgoing("m", "k", b"")], 10)
    with pytest.raises(aiormq.exceptions.ChannelInvalidStateError):
        await channel.publish("x", [Outgoing("m", "k", b"")], 10)


async def test_deliveries_come_in_order_with_growing_tags_and_are_acked_through_the_last(
    connection: Link,
) -> None:
    publisher = await open_channel(underlay(connection), ConfirmingChannel, confirms=True, timeout_s=5)
    await publisher.publish("x", [Outgoing(str(n), "good", str(n).encode()) for n in range(1000)], 10)
    seen: list[tuple[int | None, bytes]] = []
    complete = asyncio.Event()

    def sink(message: Delivery) -> None:
        seen.append((message.tag, message.body))
        if len(seen) == 1000:
            complete.set()

    channel = await open_delivering(connection, sink, timeout_s=5)
    await channel.basic_consume("q", never_called)
    await asyncio.wait_for(complete.wait(), 20)
    assert seen == [(number + 1, str(number).encode()) for number in range(1000)]
    await channel.basic_ack(1000, multiple=True)
    await channel.close()
    probe = await connection.channel()
    assert (await probe.declare_queue("q", passive=True)).declaration_result.message_count == 0
