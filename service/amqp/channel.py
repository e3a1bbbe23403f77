"""aiormq's channel, used directly where aio-pika's comfort costs too much: in the two paths that every event takes.

Written for the pinned aiormq (pyproject.toml); tests/integration/amqp/test_channel.py tells when a newer one differs.

* `open_delivering` has deliveries handed over by a plain call (`deliveries`).
* `ConfirmingChannel` writes a batch of messages at once and awaits their confirms together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiormq
from aiormq.abc import AbstractConnection, ChannelFrame, DeliveredMessage
from aiormq.channel import Channel
from pamqp import commands as spec

from service.amqp import wire
from service.amqp.connection import Link, underlay
from service.amqp.deliveries import Sink

C = TypeVar("C", bound=Channel)


async def open_channel(connection: AbstractConnection, kind: type[C], *, confirms: bool, timeout_s: float) -> C:
    """Open a channel of our own kind on a connection."""
    number = max(connection.channels, default=0) + 1
    channel = kind(connection, number, publisher_confirms=confirms)
    connection.channels[number] = channel
    await channel.open(timeout=timeout_s)
    return channel


async def open_delivering(connection: Link, sink: Sink, *, timeout_s: float) -> Channel:
    """Open a channel that hands each delivery to `sink`, in order, by a plain call; aio-pika starts two tasks for each.

    Aiormq wants a callback for each consumer, which is never called.
    """
    reader = connection.reader
    channel = await open_channel(underlay(connection), Channel, confirms=False, timeout_s=timeout_s)
    reader.deliver(channel.number, sink)
    channel.closing.add_done_callback(lambda _: reader.end(channel.number, sink))
    return channel


async def never_called(_: DeliveredMessage) -> None:
    """The callback for a consumer on such a channel."""


@dataclass(slots=True)
class Outgoing:
    """A message to publish."""

    message_id: str
    routing_key: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = wire.JSON


@dataclass(slots=True)
class _Batch:
    """Confirms that are awaited: delivery tags `first` and up."""

    first: int
    ids: dict[str, int]
    done: asyncio.Future[list[str | None]]
    waiting: set[int]
    #: Per message: None for confirmed, else why not.
    results: list[str | None] = field(default_factory=list)


#: Why a message was not taken: nobody is bound, the broker refused it, or it is larger than the broker takes.
UNROUTABLE, REFUSED, TOO_LARGE = "unroutable", "refused", "too large"


class ConfirmingChannel(Channel):
    """Publishes in batches with confirms; one batch at a time."""

    _batch: _Batch | None = None

    async def publish(self, exchange: str, messages: Sequence[Outgoing], timeout_s: float) -> list[str | None]:
        """Publish and wait for every confirm.

        Returns:
            Per message None, `UNROUTABLE` (returned: no queue is bound) or `REFUSED` (negatively confirmed).

        Raises:
            aiormq.exceptions.AMQPError: the channel or connection closed; which messages arrived is unknown.
            TimeoutError: not all were confirmed in time; the channel is of no more use.
        """
        batch = self._begin(messages)
        payload = b"".join(
            wire.publish_frames(
                self.number,
                exchange,
                message.routing_key,
                message.message_id,
                message.body,
                self.max_content_size,
                message.headers,
                message.content_type,
            )
            for message in messages
        )
        async with asyncio.timeout(timeout_s):
            await self.write_queue.put(ChannelFrame(payload=payload, should_close=False))
            return await batch.done

    def _begin(self, messages: Sequence[Outgoing]) -> _Batch:
        if self.is_closed:
            raise aiormq.exceptions.ChannelInvalidStateError(f"{self!r} closed")
        first = self.delivery_tag + 1
        self.delivery_tag += len(messages)
        ids = {message.message_id: index for index, message in enumerate(messages)}
        waiting = set(range(first, first + len(messages)))
        done = self.create_future()
        self._batch = _Batch(first, ids, done, waiting, [None] * len(messages))
        return self._batch

    async def _on_return_frame(self, frame: spec.Basic.Return) -> None:
        """A return precedes the confirm of the same message; the message is found by its id."""
        header: Any = await self._get_frame()
        returned = await self._read_content(frame, header)
        batch, message_id = self._batch, returned.header.properties.message_id
        if batch is not None and message_id in batch.ids:
            batch.results[batch.ids[message_id]] = UNROUTABLE

    async def _on_confirm_frame(self, frame: Any) -> None:
        batch = self._batch
        if batch is None or batch.done.done():
            return
        confirmed = (
            {tag for tag in batch.waiting if tag <= frame.delivery_tag} if frame.multiple else {frame.delivery_tag}
        )
        if isinstance(frame, spec.Basic.Nack):
            for tag in confirmed & batch.waiting:
                batch.results[tag - batch.first] = REFUSED
        batch.waiting -= confirmed
        if not batch.waiting:
            batch.done.set_result(batch.results)
