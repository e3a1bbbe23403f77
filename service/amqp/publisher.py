"""Publishes batches with confirms over a connection of its own, which it opens when there is something to publish.

A channel whose first message to a quorum queue finds its leader dead is refused for as long as it is open, also when
there is another leader (RabbitMQ 3.10.8, `rabbit_fifo_client:enqueue`): after a refusal it is not used again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack

from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed

from service.amqp.channel import REFUSED, TOO_LARGE, ConfirmingChannel, Outgoing, open_channel
from service.amqp.connection import connected, translated, underlay, user, where
from service.amqp.topology import refused
from service.errors import BrokerUnavailable
from service.settings.model import AmqpSettings

#: Seconds to wait for the confirms of one batch; a broker short of memory keeps publishers waiting.
CONFIRM_TIMEOUT_S = 30.0
#: What the broker says of a message that is too large: 16 MiB by default since RabbitMQ 4.0, 128 MiB before.
_TOO_LARGE = re.compile(r"message size \d+ is larger than configured max size (\d+)")


class Publisher:
    """Publishes to one exchange; reconnects by itself at the next batch after a failure or a refusal."""

    def __init__(self, settings: AmqpSettings) -> None:
        self._settings = settings
        self._stack: AsyncExitStack | None = None
        self._channel: ConfirmingChannel | None = None
        self._lock = asyncio.Lock()
        #: Bytes of a body beyond which the broker closes the channel, once it has said so.
        self._max_bytes: int | None = None

    async def publish(self, messages: Sequence[Outgoing]) -> list[str | None]:
        """Publish and wait for the confirms.

        Returns:
            Per message None (confirmed), `channel.UNROUTABLE`, `channel.REFUSED` or `channel.TOO_LARGE`.

        Raises:
            BrokerUnavailable: what was confirmed is unknown; publishing the same messages again is safe for receivers
                that look at the message id.
            TopologyMissing: we may not enter the vhost, or not publish this.
        """
        async with self._lock:
            try:
                with translated(self._settings):
                    return await self._publish(messages)
            except BaseException:
                await self._drop()
                raise

    async def _publish(self, messages: Sequence[Outgoing]) -> list[str | None]:
        """One that is larger than the broker takes has it close the channel: the rest goes over another one."""
        try:
            results = await self._of_size(messages)
        except ChannelPreconditionFailed as error:
            limit = _size_limit(str(error))
            if limit is None or all(len(message.body) <= limit for message in messages):
                raise
            await self._drop()
            await self._open()
            self._max_bytes = limit
            results = await self._of_size(messages)
        except ChannelAccessRefused as error:
            what = f"User {user(self._settings)!r} may not publish to {self._settings.exchange!r}"
            raise refused(self._settings, what, error) from None
        if REFUSED in results:
            await self._drop()
        return results

    async def _of_size(self, messages: Sequence[Outgoing]) -> list[str | None]:
        """Publish those that the broker takes by their size, as far as it has told."""
        channel, limit = await self._open(), self._max_bytes
        taken = [message for message in messages if limit is None or len(message.body) <= limit]
        told = iter(await self._confirmed(channel, taken) if taken else ())
        return [next(told) if limit is None or len(message.body) <= limit else TOO_LARGE for message in messages]

    async def _confirmed(self, channel: ConfirmingChannel, messages: Sequence[Outgoing]) -> list[str | None]:
        try:
            return await channel.publish(self._settings.exchange, messages, CONFIRM_TIMEOUT_S)
        except TimeoutError:
            problem = f"it has not confirmed within {CONFIRM_TIMEOUT_S:g} s: a queue that is bound may have no majority"
            raise BrokerUnavailable(problem=problem, where=where(self._settings)) from None

    async def _open(self) -> ConfirmingChannel:
        if self._channel is not None and not self._channel.is_closed:
            return self._channel
        await self._drop()
        self._max_bytes = None
        stack = AsyncExitStack()
        try:
            connection = await stack.enter_async_context(connected(self._settings, "publisher"))
            timeout_s = self._settings.connect_timeout_s
            channel = await open_channel(underlay(connection), ConfirmingChannel, confirms=True, timeout_s=timeout_s)
        except BaseException:
            await stack.aclose()
            raise
        self._stack, self._channel = stack, channel
        return channel

    async def _drop(self) -> None:
        stack, self._stack, self._channel = self._stack, None, None
        if stack is not None:
            await stack.aclose()

    async def close(self) -> None:
        """Close the connection."""
        async with self._lock:
            await self._drop()


def _size_limit(words: str) -> int | None:
    found = _TOO_LARGE.search(words)
    return int(found[1]) if found else None
