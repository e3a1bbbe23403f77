"""The meaning of `*` and `#` is the broker's own: asked of the broker itself."""

from __future__ import annotations

import asyncio
from itertools import product

import aio_pika
from hypothesis import find
from hypothesis import strategies as st

from service.events.keys import Pattern, words_of

#: Every pattern of up to three words, with empty ones, and some longer ones.
WORDS = ["a", "", "*", "#"]
PATTERNS = sorted(
    {".".join(words) for size in range(4) for words in product(WORDS, repeat=size)}
    | {"#.a.#.b", "*.#.*", "#.*.#.*", "a.*.#.b.#", "#.#.#.#", "a*", "a#.b"}
)
KEYS = sorted(
    {".".join(words) for size in range(5) for words in product(["a", "b", ""], repeat=size)}
    | {"*", "#", "a.#", "a.*", "a*", "a#.b", "é.ü", "a" * 255}
)


async def test_our_matcher_agrees_with_the_broker_on_every_short_pattern_and_key(amqp_url: str) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("topics", aio_pika.ExchangeType.TOPIC)
        queues = {pattern: await channel.declare_queue(exclusive=True) for pattern in PATTERNS}
        await asyncio.gather(*(queue.bind(exchange, pattern) for pattern, queue in queues.items()))
        got: dict[str, set[str]] = {pattern: set() for pattern in PATTERNS}
        expected = {p: {key for key in KEYS if Pattern(p).matches(words_of(key))} for p in PATTERNS}
        async with asyncio.TaskGroup() as tasks:
            for key in KEYS:
                tasks.create_task(exchange.publish(aio_pika.Message(key.encode()), key, mandatory=False))
        for pattern, queue in queues.items():
            while message := await queue.get(no_ack=True, fail=False):
                got[pattern].add(message.body.decode())

    assert got == expected


def test_the_patterns_tried_tell_apart_what_must_differ() -> None:
    """The table is worth something: it holds a pattern and a key for every combination of wildcard and empty word."""
    assert find(st.sampled_from(PATTERNS), lambda p: p.startswith("#.") and p.endswith(".*"))
    assert {"", ".", "..", "a."} <= set(KEYS)
