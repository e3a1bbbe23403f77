"""The inbox: batches of one incarnation, smaller and smaller as delivery counts rise."""

import asyncio
from typing import Any

import pytest
from pamqp import commands as spec

from service.amqp.deliveries import Delivery
from service.amqp.inbox import Inbox


def _delivered(tag: int, count: int | None = None, body: bytes = b"{}") -> Delivery:
    headers: Any = {} if count is None else {"x-delivery-count": count}
    return Delivery(tag, True, f"k{tag}", spec.Basic.Properties(headers=headers), body)


def _inbox(size: int = 500, max_bytes: int = 1 << 20) -> Inbox:
    return Inbox(size, 0.01, max_bytes)


@pytest.mark.parametrize(("count", "size"), [(None, 500), (2, 500), (3, 125), (4, 31), (5, 7), (6, 1), (9999, 1)])
async def test_the_batch_shrinks_as_the_highest_delivery_count_rises(count: int | None, size: int) -> None:
    inbox = _inbox()
    for tag in range(1, 601):
        inbox.put(_delivered(tag, count if tag == 300 else None))
    batch = await inbox.take()
    assert batch is not None
    assert len(batch.messages) == size
    assert batch.last_tag == size
    assert batch.alone is (size == 1)


@pytest.mark.parametrize(
    ("redelivered", "headers", "count"),
    [
        (False, {"x-delivery-count": 50}, 0),  # the publisher's own: RabbitMQ leaves it as it is
        (True, {"x-delivery-count": 2}, 2),
        (True, {"x-delivery-count": 50, "x-acquired-count": 1}, 1),  # 4.3, given back by nack: still the publisher's
        (True, {"x-delivery-count": 1, "x-acquired-count": 4}, 1),
        (True, {"x-delivery-count": "7"}, 0),
        (True, {"x-acquired-count": 3}, 0),
    ],
)
async def test_only_what_the_broker_counted_counts(redelivered: bool, headers: dict[str, Any], count: int) -> None:
    inbox = _inbox()
    inbox.put(_delivered(1)._replace(redelivered=redelivered, properties=spec.Basic.Properties(headers=headers)))
    batch = await inbox.take()
    assert batch is not None
    assert batch.messages[0].delivery_count == count


async def test_a_count_beyond_the_next_batch_does_not_shrink_it() -> None:
    inbox = _inbox(size=10)
    for tag in range(1, 21):
        inbox.put(_delivered(tag, 6 if tag == 15 else None))
    batch = await inbox.take()
    assert batch is not None
    assert len(batch.messages) == 10


async def test_a_batch_is_bounded_in_bytes_but_takes_at_least_one_message() -> None:
    inbox = _inbox(max_bytes=1000)
    for tag, size in enumerate((5000, 400, 400, 400), start=1):
        inbox.put(_delivered(tag, body=b"x" * size))
    sizes = [len(batch.messages) for batch in [await inbox.take(), await inbox.take(), await inbox.take()] if batch]
    assert sizes == [1, 2, 1]


async def test_a_closed_inbox_gives_nothing_and_drops_what_waits() -> None:
    inbox = _inbox()
    inbox.put(_delivered(1))
    inbox.close()
    assert await inbox.take() is None
    waiting = asyncio.create_task(_inbox().take())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_after_a_pause_a_batch_goes_at_once_and_the_next_one_may_fill() -> None:
    inbox, loop = Inbox(500, 0.2, 1 << 20), asyncio.get_running_loop()
    inbox.put(_delivered(1))
    began = loop.time()
    first = await inbox.take()
    assert loop.time() - began < 0.1
    inbox.put(_delivered(2))
    loop.call_later(0.05, inbox.put, _delivered(3))
    second = await inbox.take()
    assert loop.time() - began >= 0.2
    assert [len(batch.messages) for batch in (first, second) if batch] == [1, 2]
