"""What memory the service takes while it catches up with many events that wait, lineage back included."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
from aio_pika.abc import AbstractConnection

from benchmarks import broker, proof, runs
from benchmarks.errors import BenchFailed
from benchmarks.events import samples_of
from benchmarks.parts import Parts

NAME = "catchup"
#: Events that wait by default: a quarter of a minute of work. A million take ten minutes, half of it to fill the queue.
EVENTS = 50_000
#: Bytes that the queues may hold: a million events are 3.5 GB.
QUEUE_BYTES = 16 * 1024**3
#: Seconds after which memory is looked at for the first time, to be compared with the end; in a shorter run a third.
EARLY_S = 60.0
#: Seconds between two looks at the memory, and those that an event may take at most.
LOOK_S, PATIENCE_PER_EVENT_S = 0.5, 0.005
JOB = runs.MAIN_JOB


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of the service, in MiB."""

    events: int
    seconds: float
    #: The most that it ever had.
    peak_mib: float
    #: When it was looked at first, in seconds, what it was then, and what it was in the end.
    early_s: float
    early_mib: float
    late_mib: float

    @property
    def growth(self) -> float:
        """By which part of itself it grew between the two looks."""
        return self.late_mib / self.early_mib - 1


async def measure(events: int, on: Parts, connection: AbstractConnection) -> Memory:
    """Let so many events wait, and the service take them.

    Raises:
        BenchFailed: it took too long, or not everything arrived.
    """
    store = await asyncio.to_thread(on.new_database)
    with TemporaryDirectory(prefix="cm-bench-") as directory:
        async with broker.empty(connection, QUEUE_BYTES) as queues:
            await broker.fill(connection, samples_of(events))
            environment = runs.environment_of(JOB, events, on.amqp_url, queues, store)
            async with runs.running(JOB.name, environment, Path(directory) / "log") as process:
                began = await runs.told(process, "began")
                looks = await _watched(process, began["at_s"], max(60.0, events * PATIENCE_PER_EVENT_S))
                await broker.until_holds(connection, queues.sink, events)
                await proof.until_delivered(store)
                peak_mib = (await runs.asked(process))["rss_mib"]
    await _prove(store, events)
    seconds, late_mib = looks[-1]
    early_s, early_mib = next(look for look in looks if look[0] >= min(EARLY_S, seconds / 3))
    return Memory(events, seconds, peak_mib, early_s, early_mib, late_mib)


async def _watched(process: asyncio.subprocess.Process, began_s: float, patience_s: float) -> list[tuple[float, float]]:
    """Seconds since it began and memory then, until the last event is acknowledged."""
    looks: list[tuple[float, float]] = []
    acked = asyncio.create_task(runs.told(process, "acked"))
    async with asyncio.timeout(patience_s):
        while not acked.done():
            await asyncio.wait([acked], timeout=LOOK_S)
            looks.append((time.monotonic() - began_s, _resident_mib(process.pid)))
    await acked
    return looks


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


async def _prove(store: str, events: int) -> None:
    connection = await asyncpg.connect(store)
    try:
        answered = await connection.fetchval("SELECT count(*) FROM lineage_events WHERE own")
        letters = await connection.fetchval("SELECT count(*) FROM dead_letters")
    finally:
        await connection.close()
    if answered != events or letters:
        raise BenchFailed(f"Of {events} events {answered} were answered, and {letters} are dead letters.")


def summary(memory: Memory) -> dict[str, Any]:
    """For the last line."""
    return {
        "catchup_rss_mib": round(memory.peak_mib),
        NAME: {
            "events": memory.events,
            "seconds": round(memory.seconds, 1),
            "early_s": round(memory.early_s, 1),
            "growth": round(memory.growth, 3),
        },
    }


def line(memory: Memory) -> str:
    """The same for people."""
    return (
        f"catching up with {memory.events:,} events in {memory.seconds:.0f} s: at most {memory.peak_mib:.0f} MiB; from "
        f"second {memory.early_s:.0f} to the end {memory.growth:+.1%}"
    )
