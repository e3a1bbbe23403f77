"""A message that the broker will never take does not keep the others from going out."""

from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from pydantic import SecretStr

from sandbox.parts.broker import PrivateBroker
from service.amqp.channel import TOO_LARGE, Outgoing
from service.amqp.publisher import Publisher
from service.errors import DeliveryRejected
from service.mirror.deliveries import of_lineage
from service.settings.model import AmqpSettings
from service.targets.catalog_lineage import LineageOverAmqp

LIMIT = 100_000
#: Older versions read the setting at each channel, newer ones the term that they make of it at the start.
LOWER_LIMIT = f"application:set_env(rabbit, max_message_size, {LIMIT}), persistent_term:put(max_message_size, {LIMIT})."


@pytest.fixture
async def settings(private_broker: PrivateBroker) -> AsyncIterator[AmqpSettings]:
    """An exchange, with a queue bound to everything, of a broker that takes no more than `LIMIT` bytes."""
    private_broker.ctl("eval", LOWER_LIMIT)
    async with await aio_pika.connect(private_broker.url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("small", aio_pika.ExchangeType.TOPIC)
        queue = await channel.declare_queue("small")
        await queue.bind(exchange, "#")
        yield AmqpSettings(url=SecretStr(private_broker.url), exchange="small")


async def test_what_is_larger_than_the_broker_takes_is_told_apart_and_the_rest_goes_out(settings: AmqpSettings) -> None:
    publisher = Publisher(settings)
    sizes = [10, LIMIT + 1, LIMIT, 3 * LIMIT, 20]
    batch = [Outgoing(f"m{number}", "k", b"x" * size) for number, size in enumerate(sizes)]
    for _ in range(2):  # the second time it is known
        assert await publisher.publish(batch) == [None, TOO_LARGE, None, TOO_LARGE, None]
    assert await publisher.publish(batch[1:2]) == [TOO_LARGE]
    assert await publisher.publish(batch[:1]) == [None]
    await publisher.close()


async def test_lineage_that_is_too_large_becomes_a_dead_letter_and_the_next_goes_out(settings: AmqpSettings) -> None:
    target = LineageOverAmqp("catalog_lineage", [], settings)
    large, small = (of_lineage(target.name, name, text) for name, text in (("e1", "x" * 2 * LIMIT), ("e2", "{}")))
    results: list[Any] = await target.deliver([large, small])
    assert isinstance(results[0], DeliveryRejected)
    assert "max_message_size" in str(results[0])
    assert results[1] is None
    await target.close()
