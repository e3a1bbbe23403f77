"""From publishing an event, with a confirm, to receiving its lineage: the service, and the least that a client can do.

Events are published at a steady pace whatever comes back, by the measuring process, which receives the answers too. The
clock of an event starts when it is handed to the publishing channel and stops when its answer is handed to the
consumer. Events of the first seconds are left out. The floor (`benchmarks.floor`) is measured at the slow pace
alone: nobody who commits each event by itself keeps up with half of what the service can do.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from benchmarks import broker, floor, report, runs
from benchmarks.errors import BenchFailed
from benchmarks.events import FIRST_PUBLISHED, Sample, load_of
from benchmarks.parts import Parts

NAME = "latency"
#: Events a second at the slow pace.
SLOW = 200.0
#: Seconds that are measured, and those before.
SECONDS, WARM_UP_S = 8.0, 2.0
#: Seconds that the last answers may take.
PATIENCE_S = 60.0
FLOOR = runs.Job("floor", answers=True)
SERVICE = runs.MAIN_JOB


@dataclass(frozen=True, slots=True)
class Delays:
    """What events waited at one pace, in milliseconds."""

    #: Events a second as they were published: on a busy machine less than was wanted.
    per_s: float
    p50_ms: float
    p99_ms: float


#: A round: by `floor`, `slow`, `half`.
Round = dict[str, Delays]


async def measure(on: Parts, connection: AbstractConnection, capacity: float) -> Round:
    """One round: the floor, the service at the same pace, and at half of what it can do.

    Args:
        capacity: events a second that the service takes at most.

    Raises:
        BenchFailed: an event was not answered, or a process failed.
    """
    return {
        "floor": await _delays(FLOOR, SLOW, on, connection),
        "slow": await _delays(SERVICE, SLOW, on, connection),
        "half": await _delays(SERVICE, capacity / 2, on, connection),
    }


async def _delays(job: runs.Job, per_s: float, on: Parts, connection: AbstractConnection) -> Delays:
    samples = load_of(round((WARM_UP_S + SECONDS) * per_s)).samples
    with TemporaryDirectory(prefix="cm-bench-") as directory:
        store = await asyncio.to_thread(on.new_database)
        if job is FLOOR:
            await _make_table(store)
        async with broker.empty(connection) as queues:
            environment = runs.environment_of(job, len(samples), on.amqp_url, queues, store)
            async with runs.running(job.name, environment, Path(directory) / "log") as process:
                await runs.told(process, "began")
                sent, arrived = await _answered(on.amqp_url, samples, per_s, queues.sink)
    first = round(WARM_UP_S * per_s)
    cuts = quantiles([arrived[index] - sent[index] for index in range(first, len(sent))], n=100, method="inclusive")
    return Delays((len(sent) - first) / (sent[-1] - sent[first]), cuts[49] * 1000, cuts[98] * 1000)


async def _make_table(store: str) -> None:
    connection = await asyncpg.connect(store)
    await connection.execute(floor.TABLES)
    await connection.close()


async def _answered(
    amqp_url: str, samples: Sequence[Sample], per_s: float, sink: str
) -> tuple[list[float], dict[int, float]]:
    """When each event was published, and when its answer came, in seconds of this process's clock."""
    sent: list[float] = []
    received: list[tuple[float, AbstractIncomingMessage]] = []
    complete = asyncio.Event()

    async def take(message: AbstractIncomingMessage) -> None:
        received.append((time.perf_counter(), message))
        if len(received) == len(samples):
            complete.set()

    async with broker.connected(amqp_url) as out, broker.connected(amqp_url) as back:
        queue = await (await back.channel()).get_queue(sink)
        await queue.consume(take, no_ack=True)
        exchange = await (await out.channel()).get_exchange(broker.EXCHANGE, ensure=False)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for index, sample in enumerate(samples):
                await asyncio.sleep(max(0.0, began + index / per_s - time.perf_counter()))
                sent.append(time.perf_counter())
                group.create_task(broker.publish(exchange, sample, str(index)))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await complete.wait()
        except TimeoutError:
            raise BenchFailed(f"Of {len(samples)} events {len(received)} were answered.") from None
    arrived = {_place(message): at for at, message in received}
    if len(arrived) != len(samples):
        raise BenchFailed(f"{len(samples) - len(arrived)} events were answered twice, and others not at all.")
    return sent, arrived


def _place(message: AbstractIncomingMessage) -> int:
    """Which event this answers: the floor passes its number on, lineage tells when it happened, a second each."""
    if message.message_id and message.message_id.isdecimal():
        return int(message.message_id)
    told = json.loads(message.body)["event_details"]["event_time"]
    return round((datetime.fromisoformat(told) - FIRST_PUBLISHED).total_seconds())


def ratios(rounds: Sequence[Round]) -> dict[str, float]:
    """The service's 99th percentiles against the floor of the same round."""
    floors = [one["floor"] for one in rounds]
    told = {name: report.ratio([one[name] for one in rounds], floors, lambda delays: delays.p99_ms)
            for name in ("slow", "half")}  # fmt: skip
    names = {"slow": "latency_p99/floor_200", "half": "latency_p99/floor_half"}
    return {names[name]: value for name, value in told.items() if value is not None}


def summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """For the last line: medians over rounds, in milliseconds."""
    return {
        NAME: {
            name: {
                "per_s": round(median(one[name].per_s for one in rounds)),
                "p50_ms": round(median(one[name].p50_ms for one in rounds), 1),
                "p99_ms": round(median(one[name].p99_ms for one in rounds), 1),
            }
            for name in rounds[0]
        }
    }


def lines(rounds: Sequence[Round]) -> list[str]:
    """The same for people."""
    return [
        f"latency, {name} at {told['per_s']}/s: p50 {told['p50_ms']} ms, p99 {told['p99_ms']} ms"
        for name, told in summary(rounds)[NAME].items()
    ]
