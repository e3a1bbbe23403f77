"""One channel that consumes our queues: subscribed, and given back whole at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import structlog
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError

from service.amqp.channel import never_called, open_delivering
from service.amqp.connection import Link, translated
from service.amqp.hands import TAG
from service.amqp.inbox import Inbox
from service.errors import BrokerUnavailable, QueueSilent
from service.settings.model import AmqpSettings

log = structlog.get_logger(__name__)


@asynccontextmanager
async def subscribed(
    connection: Link, settings: AmqpSettings, queues: Sequence[str], inbox: Inbox
) -> AsyncIterator[Channel]:
    """A channel whose deliveries go into the inbox; the inbox is closed when the channel ends, whoever ended it.

    Raises:
        QueueSilent: the broker does not answer that it delivers.
        aiormq.exceptions.AMQPError: what the broker ended the channel with, in its own words.
    """
    channel = await open_delivering(connection, inbox.put, timeout_s=settings.connect_timeout_s)
    channel.on_consumer_cancel_callbacks.add(lambda _: _cancelled(settings, inbox))
    channel.closing.add_done_callback(lambda _: inbox.close())
    tags: list[str] = []
    try:
        await channel.basic_qos(
            prefetch_count=max(1, settings.prefetch // len(queues)), timeout=settings.connect_timeout_s
        )
        for queue in queues:
            tags.append(await _subscribe(channel, settings, queue))
        yield channel
        _raise_reason(channel)
    except AMQPError:
        _raise_reason(channel)  # rather than that an acknowledgement found it closed
        raise
    finally:
        inbox.close()
        await _give_back(channel, settings, tags)


async def _subscribe(channel: Channel, settings: AmqpSettings, queue: str) -> str:
    tag = f"{TAG}{uuid4().hex}"
    try:
        await channel.basic_consume(queue, never_called, consumer_tag=tag, timeout=settings.connect_timeout_s)
    except TimeoutError:
        raise QueueSilent(queue=queue, seconds=settings.connect_timeout_s) from None
    log.info("consuming", queue=queue, consumer_tag=tag)
    return tag


def _cancelled(settings: AmqpSettings, inbox: Inbox) -> None:
    """The broker takes our consumer away, by a word of its own, which names no reason."""
    what = "the queue was deleted, its leader went away, or (RabbitMQ 4.3) its consumer_timeout has passed"
    log.warning("consumer_cancelled", queue=settings.queue, problem=what, remedy="It is made anew by itself.")
    inbox.cancelled = True
    inbox.close()


def _raise_reason(channel: Channel) -> None:
    """Raise what the channel ended with, where it was not we who ended it: the broker's own words, or the link's."""
    if channel.closing.done() and not channel.closing.cancelled() and (reason := channel.closing.exception()):
        raise reason


async def _give_back(channel: Channel, settings: AmqpSettings, tags: Sequence[str]) -> None:
    """Give back whatever was not acknowledged, and close the channel.

    Closing alone would do, but counts as a delivery of each message, which `basic.nack` does not (RabbitMQ 4.3).
    Nothing may be delivered after it, so the consumers are cancelled before.
    """
    with suppress(BrokerUnavailable), translated(settings):
        async with asyncio.timeout(settings.connect_timeout_s):
            if tags and not channel.is_closed:
                for tag in tags:
                    await channel.basic_cancel(tag, timeout=settings.connect_timeout_s)
                await channel.basic_nack(0, multiple=True, requeue=True)
            await channel.close()
