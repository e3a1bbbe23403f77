"""Publishes batches with confirms over a connection of its own, which it opens when there is something to publish.

A channel whose first message to a quorum queue finds its leader dead is refused for as long as it is open, also when
there is another leader (RabbitMQ 3.10.8, `rabbit_fifo_client:enqueue`): after a refusal it is not used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from service.amqp.channel import REFUSED, ConfirmingChannel, Outgoing, open_channel
from service.amqp.connection import connected, translated, underlay
from service.settings import AmqpSettings

#: Seconds to wait for the confirms of one batch; a broker short of memory keeps publishers waiting.
CONFIRM_TIMEOUT_S = 30.0


class Publisher:
    """Publishes to one exchange; reconnects by itself at the next batch after a failure or a refusal."""

    def __init__(self, settings: AmqpSettings) -> None:
        self._settings = settings
        self._stack: AsyncExitStack | None = None
        self._channel: ConfirmingChannel | None = None
        self._lock = asyncio.Lock()

    async def publish(self, messages: Sequence[Outgoing]) -> list[str | None]:
        """Publish and wait for the confirms.

        Returns:
            Per message None (confirmed), `channel.UNROUTABLE` or `channel.REFUSED`.

        Raises:
            BrokerUnavailable: what was confirmed is unknown; publishing the same messages again is safe for receivers
                that look at the message id.
            TopologyMissing: we may not enter the vhost.
        """
        async with self._lock:
            try:
                with translated(self._settings):
                    channel = await self._open()
                    results = await channel.publish(self._settings.exchange, messages, CONFIRM_TIMEOUT_S)
            except BaseException:
                await self._drop()
                raise
            if REFUSED in results:
                await self._drop()
            return results

    async def _open(self) -> ConfirmingChannel:
        if self._channel is not None and not self._channel.is_closed:
            return self._channel
        await self._drop()
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
