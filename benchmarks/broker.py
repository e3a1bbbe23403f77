"""The broker's side of a run: a filled quorum queue before it, a look at the queues while and after it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange

from benchmarks.errors import BenchFailed
from benchmarks.events import Load, Sample
from service.amqp.topology import queue_arguments
from service.settings.model import AmqpSettings

EXCHANGE = "CatalogServiceMessageHub"
SINK_KEY = "v2.lineage_events.*.MIRROR"
#: Messages whose confirms are awaited together.
CHUNK = 500
#: Seconds between two looks at a queue or a table.
POLL_S = 0.02
#: Seconds that filling, emptying or finishing may take.
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Queues:
    """The queue that a contender consumes, and the one that takes the lineage it publishes."""

    events: str
    sink: str


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AbstractConnection]:
    """A connection of the measuring process."""
    connection = await aio_pika.connect(url)
    async with connection:
        yield connection


def version_of(connection: AbstractConnection) -> str:
    """What the broker says it is."""
    properties: Any = getattr(connection.transport.connection, "server_properties", {}) if connection.transport else {}
    return f"{properties.get('product', 'a broker')} {properties.get('version', '')}".strip()


@asynccontextmanager
async def empty(connection: AbstractConnection, max_bytes: int | None = None) -> AsyncIterator[Queues]:
    """The queues of one run: durable, quorum, with the arguments that the service declares.

    Each run has names of its own: a quorum queue made anew right after its deletion may lose what is published first.

    Args:
        max_bytes: what a queue may hold, where that is more than the service's default.
    """
    arguments = queue_arguments(AmqpSettings(queue_max_bytes=max_bytes) if max_bytes else AmqpSettings())
    queues = Queues(*(f"catalog-mirror-bench-{secrets.token_hex(4)}{kind}" for kind in ("", "-lineage")))
    async with connection.channel() as channel:
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        try:
            for name, key in ((queues.events, "v2.data_profiles.#"), (queues.sink, SINK_KEY)):
                queue = await channel.declare_queue(name, durable=True, arguments=arguments)
                await queue.bind(exchange, routing_key=key)
            yield queues
        finally:
            for name in (queues.events, queues.sink):
                await channel.queue_delete(name)


@asynccontextmanager
async def filled(connection: AbstractConnection, load: Load) -> AsyncIterator[Queues]:
    """The queues of one run, the first one filled."""
    async with empty(connection) as queues:
        await fill(connection, load.samples)
        await until(lambda: _has(connection, queues.events, len(load.samples)), "the queue is filled")
        yield queues


async def fill(connection: AbstractConnection, samples: Iterable[Sample]) -> None:
    """Publish events, each with a confirm; some hundred at a time are made and published."""
    left = iter(samples)
    async with connection.channel() as channel:
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        while chunk := list(islice(left, CHUNK)):
            await asyncio.gather(*(publish(exchange, sample) for sample in chunk))


async def publish(exchange: AbstractExchange, sample: Sample, message_id: str | None = None) -> None:
    """Publish one event and await its confirm."""
    message = aio_pika.Message(
        sample.body,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message_id,
    )
    await exchange.publish(message, routing_key=sample.routing_key, timeout=PATIENCE_S)


async def _has(connection: AbstractConnection, queue: str, number: int) -> bool:
    return await ready(connection, queue) == number


async def ready(connection: AbstractConnection, queue: str) -> int:
    """Messages that lie ready in a queue."""
    async with connection.channel() as channel:
        return await _ready(channel, queue)


async def _ready(channel: AbstractChannel, queue: str) -> int:
    found = await channel.declare_queue(queue, passive=True)
    return found.declaration_result.message_count or 0


async def until_holds(connection: AbstractConnection, queue: str, number: int) -> None:
    """Wait until so many lineage events have arrived."""
    async with connection.channel() as channel:

        async def full() -> bool:
            return await _ready(channel, queue) >= number

        await until(full, f"{number} lineage events arrive")


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Look at a condition until it holds.

    Raises:
        BenchFailed: it takes too long.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not await condition():
        if time.monotonic() > deadline:
            raise BenchFailed(f"Waited {PATIENCE_S:g} s in vain: {what}.")
        await asyncio.sleep(POLL_S)


async def message_ids(connection: AbstractConnection, name: str, number: int) -> Counter[str | None]:
    """The message ids in a queue, which is empty afterwards."""
    found: Counter[str | None] = Counter()
    if not number:
        return found
    async with connection.channel() as channel:
        await channel.set_qos(prefetch_count=CHUNK)
        queue = await channel.get_queue(name)
        async with queue.iterator(no_ack=True, timeout=30) as messages:
            async for message in messages:
                found[message.message_id] += 1
                if found.total() == number:
                    break
    return found


async def clean(connection: AbstractConnection) -> None:
    """Leave nothing behind."""
    async with connection.channel() as channel:
        await channel.exchange_delete(EXCHANGE)


async def is_taken(connection: AbstractConnection) -> bool:
    """Whether the vhost has the catalog's exchange already, so that it is not ours to measure on."""
    channel = await connection.channel()
    try:
        await channel.get_exchange(EXCHANGE, ensure=True)
    except aio_pika.exceptions.ChannelNotFoundEntity:
        return False
    await channel.close()
    return True
