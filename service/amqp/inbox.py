"""What a channel delivered and nobody has taken yet; gives it out in batches."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any

from service.amqp.deliveries import Delivery
from service.events.message import Message

#: Headers in which a quorum queue says how often a message came back undone, and (RabbitMQ 4.3) how often it was given
#: out at all. Of a first delivery, and on 4.3 until the first failure, the former is whatever the publisher sent.
DELIVERY_COUNT, ACQUIRED_COUNT = "x-delivery-count", "x-acquired-count"
#: Highest delivery count in hand → batch size: as it rises, one of fewer and fewer must be what kills us.
BATCH_BY_COUNT = ((6, 1), (5, 7), (4, 31), (3, 125))


@dataclass(slots=True)
class Batch:
    """Messages of one channel incarnation; acknowledged through the last one's tag."""

    messages: list[Message]
    last_tag: int
    received_at: float
    #: The delivery counts say that something here may have killed us: it goes alone.
    alone: bool


class Inbox:
    """Deliveries of one channel incarnation, in order; bounded by the prefetch count."""

    def __init__(self, batch_max: int, batch_wait_s: float, batch_max_bytes: int) -> None:
        self._max = batch_max
        self._wait_s = batch_wait_s
        self._max_bytes = batch_max_bytes
        self._waiting: deque[tuple[int, float, Message]] = deque()
        self._arrived = asyncio.Event()
        #: When the last batch was taken, on the monotonic clock.
        self._took_at = 0.0
        #: The incarnation is over.
        self.closed = False
        #: The broker took the consumer away: the queue may be about to go.
        self.cancelled = False
        #: Deliveries so far; the watchdog sees whether it moves.
        self.delivered = 0

    def put(self, delivery: Delivery) -> None:
        """Take one delivery from the channel."""
        self.delivered += 1
        self._waiting.append((delivery.tag, time.monotonic(), _message(delivery)))
        self._arrived.set()

    def close(self) -> None:
        """The incarnation is over: what nobody took is dropped, it will come again."""
        self.closed = True
        self._waiting.clear()
        self._arrived.set()

    @property
    def oldest(self) -> float | None:
        """When the oldest waiting delivery came, on the monotonic clock."""
        return self._waiting[0][1] if self._waiting else None

    async def take(self) -> Batch | None:
        """The next batch; None when the incarnation is over.

        After a quiet time it goes at once. Where one batch follows on another, it may fill for as long as a batch wants
        to have to itself: a transaction for each event would cost its store many times as much.
        """
        while not self._waiting:
            if self.closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        left_s = self._took_at + self._wait_s - time.monotonic()
        if left_s > 0 and len(self._waiting) < self._size():
            await self._fill(self._size(), left_s)
        self._took_at = time.monotonic()
        return None if self.closed else self._cut(self._size())

    def _highest_count(self) -> int:
        return max(message.delivery_count for _, _, message in islice(self._waiting, self._max))

    def _size(self) -> int:
        highest = self._highest_count()
        return min(self._max, next((size for count, size in BATCH_BY_COUNT if highest >= count), self._max))

    async def _fill(self, size: int, left_s: float) -> None:
        try:
            async with asyncio.timeout(left_s):
                while len(self._waiting) < size and not self.closed:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return

    def _cut(self, size: int) -> Batch:
        messages: list[Message] = []
        alone = self._highest_count() >= BATCH_BY_COUNT[0][0]
        tag, received_at = 0, self._waiting[0][1]
        room = self._max_bytes
        while self._waiting and len(messages) < size and (not messages or room >= len(self._waiting[0][2].body)):
            tag, _, message = self._waiting.popleft()
            room -= len(message.body)
            messages.append(message)
        return Batch(messages, tag, received_at, alone)


def _message(delivery: Delivery) -> Message:
    properties = delivery.properties
    headers: dict[str, Any] = dict(properties.headers or {})
    return Message(
        routing_key=delivery.routing_key,
        body=delivery.body,
        headers=headers,
        message_id=properties.message_id,
        delivery_count=_deliveries_before(headers) if delivery.redelivered else 0,
    )


def _deliveries_before(headers: dict[str, Any]) -> int:
    """How often the broker gave the message out before; no more than it says on both counts."""
    count, acquired = headers.get(DELIVERY_COUNT), headers.get(ACQUIRED_COUNT)
    if not isinstance(count, int):
        return 0
    return min(count, acquired) if isinstance(acquired, int) else count
