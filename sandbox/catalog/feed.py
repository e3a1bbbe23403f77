"""The way of the catalog's messages to the broker, with what can go wrong on it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractExchange

EXCHANGE = "CatalogServiceMessageHub"

#: Routing key and body.
Message = tuple[str, bytes]


@dataclass(slots=True)
class Mischief:
    """Shares of messages (0 to 1) that do not arrive as they were sent."""

    drop: float = 0.0
    repeat: float = 0.0
    #: Messages that wait for `delay_s`.
    delay: float = 0.0
    delay_s: float = 1.0
    #: Messages that are overtaken by up to `REORDER_REACH` later ones.
    reorder: float = 0.0


#: How many later messages overtake one at most.
REORDER_REACH = 5


class Scrambler:
    """Decides what becomes of each message, reproducibly for a seed; needs no broker."""

    def __init__(self, mischief: Mischief, seed: int = 0) -> None:
        self.mischief = mischief
        self._rng = random.Random(seed)
        #: Messages that are being overtaken, with how many must still pass.
        self._held: list[tuple[int, Message]] = []

    def pass_on(self, message: Message) -> list[Message]:
        """The messages to send now that this one came along."""
        chance, mischief = self._rng.random, self.mischief
        if chance() < mischief.drop:
            return self._release()
        copies = [message] * (2 if chance() < mischief.repeat else 1)
        if chance() < mischief.reorder:
            self._held.append((self._rng.randint(1, REORDER_REACH) + 1, message))
            copies = copies[1:]
        return copies + self._release()

    def flush(self) -> list[Message]:
        """What is still held back."""
        held, self._held = self._held, []
        return [message for _, message in held]

    def delay_s(self) -> float:
        """Seconds for which a message waits before it is sent."""
        late = self._rng.random() < self.mischief.delay
        return self.mischief.delay_s if late else 0.0

    def _release(self) -> list[Message]:
        self._held = [(left - 1, message) for left, message in self._held]
        due = [message for left, message in self._held if left <= 0]
        self._held = [(left, message) for left, message in self._held if left > 0]
        return due


class Feed:
    """A sink for `PocketCatalog.sink` that publishes to an exchange; `drain` waits until all is sent."""

    def __init__(self, exchange: AbstractExchange, mischief: Mischief, seed: int = 0) -> None:
        self._exchange, self._scrambler = exchange, Scrambler(mischief, seed)
        self._sending: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._failure: BaseException | None = None
        #: Messages that were given to the broker, repeated ones as often as they were.
        self.published = 0

    def __call__(self, routing_key: str, body: bytes) -> None:
        """Take a message; to be called in the event loop."""
        for message in self._scrambler.pass_on((routing_key, body)):
            self._start(message)

    async def drain(self) -> None:
        """Send what is held back too, and wait for all confirms; raises what publishing raised first."""
        for message in self._scrambler.flush():
            self._start(message)
        while self._sending:
            await asyncio.wait(self._sending)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _start(self, message: Message) -> None:
        task = asyncio.get_running_loop().create_task(self._send(message, self._scrambler.delay_s()))
        self._sending.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = self._failure or failure

    async def _send(self, message: Message, delay_s: float) -> None:
        if delay_s:
            await asyncio.sleep(delay_s)
        routing_key, body = message
        # One at a time: the order is the catalog's, but for the mischief.
        async with self._turn:
            sent = aio_pika.Message(body, content_type="application/json", delivery_mode=2)
            await self._exchange.publish(sent, routing_key, mandatory=False)
            self.published += 1


@asynccontextmanager
async def connect_feed(
    url: str, mischief: Mischief | None = None, *, seed: int = 0, exchange: str = EXCHANGE
) -> AsyncIterator[Feed]:
    """A feed on a broker; declares the catalog's exchange, and drains at the end."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        hub = await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        feed = Feed(hub, mischief or Mischief(), seed)
        yield feed
        await feed.drain()
