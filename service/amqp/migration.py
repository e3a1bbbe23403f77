"""Moving a queue of ours to the arguments that settings ask for: they cannot be changed, so the queue is made anew.

Events go on coming meanwhile, and none is lost, because at every moment our bindings lead to a queue that is kept:

1. `shelter`: a second queue is made, and bound as ours is.
2. `empty_into_shelter`: ours is unbound, emptied into the second, and deleted. Nobody may consume it then.
3. `make_anew`: ours is made with the new arguments, and bound.
4. `empty_shelter`: the second is unbound, emptied into ours, and deleted.

What both are bound with comes twice, which the mirror does not mind. Interrupted anywhere, the same steps once more go
on from there. Messages keep their routing keys: they move through a fanout exchange of the same name as the shelter.

A queue of former settings, which named more of them, is not moved: it is unbound, whoever consumes empties it
(`until_drained`), and then it is deleted (`delete_if_empty`) while nobody consumes, so that nobody binds it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from copy import copy

from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused

from service.amqp import management, topology
from service.amqp.channel import never_called, open_delivering
from service.amqp.connection import Link, underlay, user, version_of, vhost
from service.amqp.deliveries import Delivery
from service.amqp.inbox import ACQUIRED_COUNT, DELIVERY_COUNT
from service.amqp.topology import Binding
from service.errors import MirrorError, SettingInvalid, TopologyMissing
from service.settings.model import AmqpSettings

#: Messages that move at once.
BATCH = 500
#: Seconds without a message after which a queue is asked whether it is empty.
IDLE_S = 0.5
#: Seconds that consumers have to go away.
CONSUMERS_GONE_S = 60.0
#: Seconds that messages which are not ready have to come back.
HELD_PATIENCE_S = 60.0
#: Seconds by which the management API may be late with a queue's figures.
FIGURES_LAG_S = 12.0
#: Version of RabbitMQ from which on a policy may delay what came back (`delayed-retry-type`).
DELAYS_SINCE = (4, 3)
#: Share of the new queue's bytes that is filled before somebody takes from it: beyond them it drops its oldest.
FILL = 0.5
_LOOK_S = 0.2
#: What the broker adds to the headers of what it gives out again.
COUNTS = (DELIVERY_COUNT, ACQUIRED_COUNT)


class QueueConsumed(MirrorError):
    """{number} consumers are still on the queue {queue!r}; it cannot be emptied while they hold messages."""

    remedy = "Stop them, or have them share the store that this command pauses; then run it again: it goes on."


class QueueHolds(MirrorError):
    """The queue {queue!r} holds {number} messages that are neither ready nor taken by us, so it was not deleted."""

    remedy = (
        "They are delayed by a policy (`delayed-retry`), or in somebody's hand. Wait for them or end what holds them, "
        "then run it again: it goes on, and nothing is lost meanwhile."
    )


class QueueOpaque(MirrorError):
    """RabbitMQ {version} may hold messages that are not ready, which only its management API shows."""

    remedy = "Set CATALOG_MIRROR_AMQP__MANAGEMENT_URL and run it again; nothing was changed."


class Migration:
    """One move of a queue of ours; `told` is called with the messages moved so far, or with None while it waits."""

    def __init__(
        self,
        connection: Link,
        settings: AmqpSettings,
        queue: str,
        told: Callable[[int | None], None] = lambda _: None,
    ) -> None:
        if not settings.declare_queue:
            raise SettingInvalid(
                setting="CATALOG_MIRROR_AMQP__DECLARE_QUEUE", problem="a queue that may not be declared cannot be moved"
            )
        self._connection = connection
        self._settings = settings
        self._told = told
        self._moved = 0
        self.queue = queue
        #: Name of the second queue and of the exchange through which messages move.
        self.shelter_name = f"{queue}.migrating"

    async def is_needed(self) -> bool:
        """Whether our queue has other arguments than settings ask for, or a move was interrupted."""
        interrupted = await topology.ready_messages(self._connection, self._settings, self.shelter_name) is not None
        return interrupted or not await topology.arguments_match(self._connection, self._settings, self.queue)

    async def shelter(self, bindings: Sequence[Binding]) -> None:
        """Step 1.

        Raises:
            QueueOpaque: nobody could tell later whether our queue is empty.
            ManagementUnavailable: the same.
            TopologyMissing: we have no right on a queue and an exchange of that name.
        """
        await self._check_visible()
        # Without a bound: what it dropped would be lost. It is there for as long as this takes.
        arguments = topology.queue_arguments(self._settings)
        del arguments["x-max-length-bytes"], arguments["x-overflow"]
        try:
            async with self._channel() as channel:
                await channel.exchange_declare(self.shelter_name, exchange_type="fanout", durable=True)
                await channel.queue_declare(self.shelter_name, durable=True, arguments=arguments)
                await _bind(channel, self.shelter_name, bindings)
        except ChannelAccessRefused as error:
            raise self._refused(error) from None

    async def empty_into_shelter(self, bindings: Sequence[Binding]) -> None:
        """Step 2; does nothing where our queue has the new arguments already.

        Raises:
            QueueConsumed: somebody still consumes it.
            QueueHolds: it holds what nobody can take now.
        """
        if await self._is_new():
            return
        await self._wait_unconsumed()
        async with self._channel() as channel:
            await _unbind(channel, self.queue, bindings)
        await self._move(self.queue, self.shelter_name, None)
        await self._until_nothing_is_held()
        async with self._channel() as channel:
            await channel.queue_delete(self.queue)

    async def until_drained(self) -> None:
        """Wait until those who consume have emptied our queue, to which nothing comes any more.

        Raises:
            QueueOpaque: nobody can tell whether it is empty.
            ManagementUnavailable: the same.
        """
        await self._check_visible()
        loop = asyncio.get_running_loop()
        empty_since = loop.time()
        while loop.time() - empty_since < self._lag_s:
            report = await management.queue_report(self._settings, self.queue)
            if await topology.ready_messages(self._connection, self._settings, self.queue) or (
                report and report.messages
            ):
                self._told(None)
                empty_since = loop.time()
            await asyncio.sleep(_LOOK_S)

    async def delete_if_empty(self) -> bool:
        """Delete our queue, which nobody consumes now; False where something came back to it meanwhile.

        Raises:
            QueueConsumed: somebody still consumes it.
        """
        if await topology.ready_messages(self._connection, self._settings, self.queue) is None:
            return True
        await self._wait_unconsumed()
        if await topology.ready_messages(self._connection, self._settings, self.queue):
            return False
        async with self._channel() as channel:  # no condition: quorum queues take none (RabbitMQ 3.10 to 4.3)
            await channel.queue_delete(self.queue)
        return True

    @property
    def _lag_s(self) -> float:
        """Seconds by which what is told of our queue may be late."""
        return FIGURES_LAG_S if version_of(self._connection) >= DELAYS_SINCE else _LOOK_S

    async def _check_visible(self) -> None:
        version = version_of(self._connection)
        if version >= DELAYS_SINCE and await management.queue_report(self._settings, self.queue) is None:
            raise QueueOpaque(version=".".join(map(str, version)))

    async def _until_nothing_is_held(self) -> None:
        """Move what comes back, until the broker says that there is nothing at all in our queue.

        That nothing is ready does not mean that it is empty: messages may be delayed after a failed delivery, or in
        somebody's hand. Deleted with the queue, they would be lost.
        """
        loop = asyncio.get_running_loop()
        began = moved_at = loop.time()
        while (report := await management.queue_report(self._settings, self.queue)) is not None:
            if await topology.ready_messages(self._connection, self._settings, self.queue):
                await self._move(self.queue, self.shelter_name, None)
                moved_at = loop.time()
            elif report.messages == 0 and loop.time() - moved_at >= self._lag_s:
                return
            if loop.time() - began > HELD_PATIENCE_S:
                raise QueueHolds(queue=self.queue, number="unknown" if report.messages is None else report.messages)
            await asyncio.sleep(_LOOK_S)

    async def make_anew(self, patterns: Sequence[str]) -> None:
        """Step 3."""
        await topology.ensure(self._connection, self._settings, patterns)

    async def empty_shelter(self, bindings: Sequence[Binding]) -> int:
        """Step 4; answers how many messages moved, each way counted."""
        async with self._channel() as channel:
            await _unbind(channel, self.shelter_name, bindings)
        await self._move(self.shelter_name, self.queue, int(self._settings.queue_max_bytes * FILL))
        async with self._channel() as channel:
            await channel.queue_delete(self.shelter_name)
            await channel.exchange_delete(self.shelter_name)
        return self._moved

    async def _is_new(self) -> bool:
        if await topology.ready_messages(self._connection, self._settings, self.queue) is None:
            return True  # deleted, and not yet made anew
        return await topology.arguments_match(self._connection, self._settings, self.queue)

    async def _wait_unconsumed(self) -> None:
        deadline = asyncio.get_running_loop().time() + CONSUMERS_GONE_S
        while True:
            async with self._channel() as channel:
                number = (await channel.queue_declare(self.queue, passive=True)).consumer_count
            if not number:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise QueueConsumed(number=number, queue=self.queue)
            await asyncio.sleep(_LOOK_S)

    async def _move(self, source: str, destination: str, room: int | None) -> None:
        """Move until the source is empty; with `room`, never more bytes than that at once without somebody taking."""
        async with self._channel() as channel:
            await channel.queue_bind(destination, self.shelter_name)
            await channel.queue_unbind(source, self.shelter_name)
        arrived: asyncio.Queue[Delivery] = asyncio.Queue()
        timeout_s = self._settings.connect_timeout_s
        taking = await open_delivering(self._connection, arrived.put_nowait, timeout_s=timeout_s)
        await taking.basic_qos(prefetch_count=BATCH)
        await taking.basic_consume(source, never_called)
        used = 0
        try:
            async with self._channel() as publishing:
                while batch := await self._next(arrived, source):
                    used += sum(len(message.body) for message in batch)
                    if room is not None and used > room:
                        await self._until_taken(destination)
                        used = 0
                    await asyncio.gather(*(self._publish(publishing, message) for message in batch))
                    await taking.basic_ack(batch[-1].tag, multiple=True)
                    self._moved += len(batch)
                    self._told(self._moved)
        finally:
            if not taking.is_closed:
                await taking.close()

    async def _next(self, arrived: asyncio.Queue[Delivery], source: str) -> list[Delivery]:
        """The messages that have come; none once the source is empty."""
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    batch = [await arrived.get()]
            except TimeoutError:
                if not await topology.ready_messages(self._connection, self._settings, source) and arrived.empty():
                    return []
                continue
            while not arrived.empty() and len(batch) < BATCH:
                batch.append(arrived.get_nowait())
            return batch

    async def _publish(self, channel: AbstractChannel, message: Delivery) -> None:
        properties = copy(message.properties)
        properties.user_id = None  # the broker lets nobody but that user say so
        # How often the old queue gave it out is nothing that the new one should be told as if by the publisher.
        properties.headers = {k: v for k, v in (properties.headers or {}).items() if k not in COUNTS}
        await channel.basic_publish(
            message.body,
            exchange=self.shelter_name,
            routing_key=message.routing_key,
            properties=properties,
            mandatory=True,
        )

    async def _until_taken(self, queue: str) -> None:
        self._told(None)
        while await topology.ready_messages(self._connection, self._settings, queue):
            await asyncio.sleep(_LOOK_S)

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        channel = await underlay(self._connection).channel(publisher_confirms=True, on_return_raises=True)
        try:
            yield channel
        finally:
            if not channel.is_closed:
                await channel.close()

    def _refused(self, error: Exception) -> TopologyMissing:
        settings = self._settings
        queue, exchange = settings.queue.replace(".", "\\."), settings.exchange.replace(".", "\\.")
        ours = f"{queue}(\\.[0-9]+|\\.hash)?(\\.migrating)?" if settings.queues > 1 else f"{queue}(\\.migrating)?"
        command = f"'^{ours}$' '^({ours}|{exchange})$' '^({ours}|{exchange})$'"
        return TopologyMissing(
            what=f"User {user(settings)!r} may not make {self.shelter_name!r} ({str(error)[:120]})",
            vhost=vhost(settings),
            ask=f"Ask the broker's owner to run: rabbitmqctl set_permissions -p {vhost(settings)} {user(settings)} "
            f"{command}",
        )


async def _bind(channel: AbstractChannel, queue: str, bindings: Sequence[Binding]) -> None:
    for exchange, pattern in bindings:
        await channel.queue_bind(queue, exchange, routing_key=pattern)


async def _unbind(channel: AbstractChannel, queue: str, bindings: Sequence[Binding]) -> None:
    for exchange, pattern in bindings:
        await channel.queue_unbind(queue, exchange, routing_key=pattern)
