"""How long the service takes from its start to its first event, and what it takes when nothing comes.

It is started as `catalog-mirror run` is, on a mirror whose schema is there, with one event waiting; lineage back is on.
An acknowledgement comes after the commit. Migrating an empty database is left out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from aio_pika.abc import AbstractConnection

from benchmarks import broker, inprocess, runs
from benchmarks.events import load_of
from benchmarks.parts import Parts

NAME = "startup"
#: Seconds that pass between the first event and looking at an idle service, and seconds that it is looked at.
SETTLE_S, IDLE_S = 2.0, 10.0
#: Seconds that starting may take.
PATIENCE_S = 60.0
JOB = runs.MAIN_JOB


@dataclass(frozen=True, slots=True)
class Start:
    """One start."""

    first_event_s: float
    idle_cpu_percent: float


async def measure(on: Parts, connection: AbstractConnection) -> Start:
    """Start it once, and let it be.

    Raises:
        BenchFailed: it failed.
    """
    store = await asyncio.to_thread(on.new_database)
    await inprocess.migrate(store)
    with TemporaryDirectory(prefix="cm-bench-") as directory:
        async with broker.filled(connection, load_of(1)) as queues:
            environment = runs.environment_of(JOB, 1, on.amqp_url, queues, store)
            started_s = time.monotonic()
            async with runs.running(JOB.name, environment, Path(directory) / "log") as process:
                async with asyncio.timeout(PATIENCE_S):
                    await runs.told(process, "began")
                    acked_s = (await runs.told(process, "acked"))["at_s"]
                await asyncio.sleep(SETTLE_S)
                before = await runs.asked(process)
                await asyncio.sleep(IDLE_S)
                after = await runs.asked(process)
    idle = (after["cpu_s"] - before["cpu_s"]) / (after["at_s"] - before["at_s"])
    return Start(acked_s - started_s, idle * 100)


def summary(starts: Sequence[Start]) -> dict[str, Any]:
    """For the last line: medians."""
    return {
        "first_event_s": round(median(one.first_event_s for one in starts), 2),
        "idle_cpu_percent": round(median(one.idle_cpu_percent for one in starts), 2),
    }


def line(starts: Sequence[Start]) -> str:
    """The same for people."""
    told = summary(starts)
    return f"first event {told['first_event_s']} s after the start; {told['idle_cpu_percent']} % CPU when idle"
