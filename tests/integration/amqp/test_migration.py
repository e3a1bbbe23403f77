"""A queue that is made anew is deleted only when nothing at all is in it: that nothing is ready does not say so."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from pydantic import SecretStr

from sandbox.parts.management import ManagementApi
from sandbox.parts.providers import Broker
from sandbox.serving import answering
from service.amqp import migration, topology
from service.amqp.connection import Link, connected, version_of
from service.amqp.migration import Migration, QueueHolds, QueueOpaque
from service.settings.model import AmqpSettings

BINDINGS = [("CatalogServiceMessageHub", "k.#")]


@pytest.fixture
async def settings(amqp_url: str, broker: Broker) -> AmqpSettings:
    assert broker.management_url is not None
    return AmqpSettings(url=SecretStr(amqp_url), management_url=SecretStr(broker.management_url), declare_exchange=True)


@pytest.fixture
async def connection(settings: AmqpSettings) -> AsyncIterator[Link]:
    """A queue with five messages in it, whose arguments are not what the migration wants."""
    async with connected(settings, "test") as connection:
        await topology.ensure(connection, settings, ["k.#"])
        async with connection.channel() as channel:
            exchange = await channel.get_exchange(settings.exchange, ensure=False)
            for number in range(5):
                headers: dict[str, Any] = {"x-delivery-count": 50, "mine": number}
                await exchange.publish(aio_pika.Message(b"x", headers=headers), "k.1")
        yield connection


def _moving(connection: Link, settings: AmqpSettings) -> Migration:
    return Migration(connection, settings.model_copy(update={"queue_max_bytes": 1_000_000}), settings.queue)


async def test_messages_that_are_there_and_not_ready_keep_the_queue_from_being_deleted(
    connection: Link, settings: AmqpSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with answering({"type": "quorum", "messages": 3}) as port:
        monkeypatch.setattr(migration, "HELD_PATIENCE_S", 1.0)
        told = settings.model_copy(update={"management_url": SecretStr(f"http://u:p@127.0.0.1:{port}")})
        move = _moving(connection, told)
        await move.shelter(BINDINGS)
        with pytest.raises(QueueHolds, match="holds 3 messages"):
            await move.empty_into_shelter(BINDINGS)
    monkeypatch.undo()
    assert await topology.ready_messages(connection, settings, settings.queue) == 0, "it is there, and emptied"
    assert await _moved(_moving(connection, settings), connection, settings) == 5, "run again, it goes on"


async def test_what_the_old_queue_counted_is_not_told_to_the_new_one(connection: Link, settings: AmqpSettings) -> None:
    move = _moving(connection, settings)
    await move.shelter(BINDINGS)
    assert await _moved(move, connection, settings) == 5
    async with connection.channel() as channel:
        found = await (await channel.get_queue(settings.queue, ensure=False)).get(no_ack=True)
    assert found.headers["mine"] in range(5)
    assert found.headers.get("x-delivery-count", 0) == 0, "neither the publisher's nor what the old queue counted"


async def test_messages_that_a_policy_delays_are_moved_too(
    connection: Link, settings: AmqpSettings, broker: Broker, amqp_url: str
) -> None:
    if version_of(connection) < migration.DELAYS_SINCE:
        pytest.skip("this broker delays nothing")
    api, vhost = ManagementApi(str(broker.management_url)), amqp_url.rpartition("/")[2]
    delayed = {"delayed_retry_type": "all", "delayed_retry_min": 5000, "delayed_retry_max": 5000}
    api.set_policy(vhost, "delayed", "^catalog-mirror$", **delayed)
    await asyncio.sleep(1)  # the queue hears of its policy a moment later
    async with connection.channel() as channel:
        queue = await channel.get_queue(settings.queue, ensure=False)
        for message in [await queue.get() for _ in range(5)]:
            await message.reject(requeue=True)
    assert await topology.ready_messages(connection, settings, settings.queue) == 0
    move = _moving(connection, settings)
    await move.shelter(BINDINGS)
    assert await _moved(move, connection, settings) == 5


async def test_where_nobody_can_tell_whether_messages_are_delayed_nothing_is_touched(
    connection: Link, settings: AmqpSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "DELAYS_SINCE", (3,))
    blind = settings.model_copy(update={"management_url": None})
    with pytest.raises(QueueOpaque, match="RabbitMQ"):
        await _moving(connection, blind).shelter(BINDINGS)
    assert await topology.ready_messages(connection, settings, "catalog-mirror.migrating") is None


async def _moved(move: Migration, connection: Link, settings: AmqpSettings) -> int | None:
    """Finish the move; answers how many messages are ready in the new queue."""
    await move.empty_into_shelter(BINDINGS)
    await move.make_anew(["k.#"])
    await move.empty_shelter(BINDINGS)
    return await topology.ready_messages(connection, settings, settings.queue)
