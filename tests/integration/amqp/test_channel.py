"""aiormq's channel as we use it directly: when a newer aiormq differs, these tests say so."""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import aiormq
import pytest
from aio_pika.abc import AbstractConnection

from service.amqp.channel import UNROUTABLE, ConfirmingChannel, DeliveringChannel, Outgoing, open_channel
from service.amqp.connection import underlay


@pytest.fixture
async def connection(amqp_url: str) -> AsyncIterator[AbstractConnection]:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("x", aio_pika.ExchangeType.TOPIC)
        queue = await channel.declare_queue("q")
        await queue.bind(exchange, "good.#")
        yield connection


async def test_a_batch_is_confirmed_together_and_returns_are_told_by_message(connection: AbstractConnection) -> None:
    channel = await open_channel(underlay(connection), ConfirmingChannel, confirms=True, timeout_s=5)
    for _ in range(3):
        batch = [
            Outgoing(f"m{number}", "bad" if number % 5 == 0 else f"good.{number}", b"x" * (number * 300))
            for number in range(501)
        ]
        results = await channel.publish("x", batch, 10)
        assert [index for index, result in enumerate(results) if result is not None] == list(range(0, 501, 5))
        assert set(results) == {None, UNROUTABLE}


async def test_a_closed_channel_or_a_missing_exchange_raises_instead_of_waiting(connection: AbstractConnection) -> None:
    channel = await open_channel(underlay(connection), ConfirmingChannel, confirms=True, timeout_s=5)
    with pytest.raises((aiormq.exceptions.AMQPError, asyncio.CancelledError)):
        await channel.publish("no such exchange", [Outgoing("m", "k", b"")], 10)
    with pytest.raises(aiormq.exceptions.ChannelInvalidStateError):
        await channel.publish("x", [Outgoing("m", "k", b"")], 10)


async def test_deliveries_come_in_order_with_growing_tags_and_are_acked_through_the_last(
    connection: AbstractConnection,
) -> None:
    publisher = await open_channel(underlay(connection), ConfirmingChannel, confirms=True, timeout_s=5)
    await publisher.publish("x", [Outgoing(str(n), "good", str(n).encode()) for n in range(1000)], 10)
    channel = await open_channel(underlay(connection), DeliveringChannel, confirms=False, timeout_s=5)
    seen: list[tuple[int | None, bytes]] = []
    complete = asyncio.Event()

    def sink(message: aiormq.abc.DeliveredMessage) -> None:
        seen.append((message.delivery_tag, message.body))
        if len(seen) == 1000:
            complete.set()

    async def unused(_: object) -> None:
        raise AssertionError("deliveries go to the sink")

    channel.sink = sink
    await channel.basic_consume("q", unused)
    await asyncio.wait_for(complete.wait(), 20)
    assert seen == [(number + 1, str(number).encode()) for number in range(1000)]
    await channel.basic_ack(1000, multiple=True)
    await channel.close()
    probe = await connection.channel()
    assert (await probe.declare_queue("q", passive=True)).declaration_result.message_count == 0
