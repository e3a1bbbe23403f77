"""One contender in a process of its own: `python -m benchmarks.contender NAME`, told what to do by its environment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import aio_pika

from benchmarks.stopwatch import Stopwatch

#: The environment of contenders that are not the service itself.
AMQP_URL, QUEUE, DATABASE_URL, EVENTS = "BENCH_AMQP_URL", "BENCH_QUEUE", "BENCH_DATABASE_URL", "BENCH_EVENTS"
#: The empty consumer acknowledges every so many messages.
RAW_ACK_EVERY = 200
#: Messages in hand at most; what the service has by default.
RAW_PREFETCH = 1000


def service() -> None:
    """The service, exactly as `catalog-mirror run` starts it; its settings are in the environment."""
    from service.cli import main

    sys.argv = ["catalog-mirror", "run"]
    main()


def raw_consumer() -> None:
    """aio-pika with an empty callback: what the client library alone can do."""
    asyncio.run(_consume_and_forget())


async def _consume_and_forget() -> None:
    seen, expected = 0, int(os.environ[EVENTS])

    async def callback(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        nonlocal seen
        seen += 1
        if seen % RAW_ACK_EVERY == 0 or seen == expected:
            await message.ack(multiple=True)

    connection = await aio_pika.connect(os.environ[AMQP_URL])
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=RAW_PREFETCH)
        queue = await channel.get_queue(os.environ[QUEUE])
        await queue.consume(callback)
        await until_told_to_stop()


async def until_told_to_stop() -> None:
    """Wait for SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


def peer_faststream_mirror() -> None:
    """The mirror alone, the usual way."""
    _peer(answers=False)


def peer_faststream() -> None:
    """Mirror and lineage back, the usual way."""
    _peer(answers=True)


def _peer(*, answers: bool) -> None:
    from benchmarks import peer

    asyncio.run(
        peer.run(os.environ[AMQP_URL], os.environ[QUEUE], os.environ[DATABASE_URL], until_told_to_stop, answers=answers)
    )


def floor() -> None:
    """The least that there is to do."""
    from benchmarks import floor as least

    asyncio.run(least.run(os.environ[AMQP_URL], os.environ[QUEUE], os.environ[DATABASE_URL], until_told_to_stop))


CONTENDERS: dict[str, Callable[[], None]] = {
    "raw_consumer": raw_consumer,
    "mirror_postgresql": service,
    "mirror_sqlite": service,
    "main_job": service,
    "peer_faststream_mirror": peer_faststream_mirror,
    "peer_faststream": peer_faststream,
    "floor": floor,
}


if __name__ == "__main__":
    Stopwatch(int(os.environ[EVENTS])).attach()
    CONTENDERS[sys.argv[1]]()
