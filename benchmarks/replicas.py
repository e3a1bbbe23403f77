"""What two replicas do beside one: the same events that wait, taken by one process and by two, in turn.

`python -m benchmarks.replicas` starts them on a private broker and PostgreSQL, `--pin` with a core for each replica
where the machine has more cores than that. The last line is one JSON object: events/s and CPU of an event, ours and
the server's, from when all are at work until nine tenths are in. Where all share few cores the CPU says more: what it
stays for each more replica is what more cores would give.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg

from benchmarks import broker, parts
from benchmarks.errors import BenchFailed
from benchmarks.events import load_of
from sandbox.parts.mirror import COMMAND, MirrorProcess

NUMBERS, EVENTS, ROUNDS = (1, 2), 20_000, 3
_LOOK_S = 0.1
_ROWS = "SELECT count(*) FROM data_profiles"
_TICKS = os.sysconf("SC_CLK_TCK")


async def once(on: parts.Parts, replicas: int, events: int, *, pin: bool) -> dict[str, float]:
    """One run of so many replicas; answers its figures."""
    url, load = on.new_database(), load_of(events)
    async with broker.connected(on.amqp_url) as link, broker.filled(link, load) as queues, AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings: dict[str, Any] = {"AMQP__URL": on.amqp_url, "AMQP__QUEUE": queues.events, "STORE__URL": url}
        settings["TARGETS__CATALOG_LINEAGE__VIA"] = "off"
        running: list[MirrorProcess] = []
        for number in range(replicas):
            command = ("taskset", "-c", str(number), *COMMAND) if pin else COMMAND
            process = MirrorProcess(directory / f"{number}.log", command, **settings)
            running.append(await stack.enter_async_context(process))
        for process in running:
            await process.wait_ready()

        def used() -> tuple[float, float, float]:
            return time.monotonic(), sum(_cpu_s(process.pid) for process in running), on.server_cpu_s() or 0.0

        share, (seconds, ours_s, server_s) = await _between(url, len(load.newest), used)
    between = share * events
    return {
        "events_per_s": between / seconds,
        "cpu_us": ours_s / between * 1e6,
        "postgresql_cpu_us": server_s / between * 1e6,
    }


async def _between(url: str, rows: int, used: Callable[[], tuple[float, ...]]) -> tuple[float, list[float]]:
    """Which share of the rows came from now until nine tenths of them were there, and what was used for it."""
    connection = await asyncpg.connect(url)
    deadline = time.monotonic() + broker.PATIENCE_S * 3
    try:
        first, began = await connection.fetchval(_ROWS), used()
        while (number := await connection.fetchval(_ROWS)) < 0.9 * rows:
            if time.monotonic() > deadline:
                raise BenchFailed(f"{number} of {rows} profiles are in the mirror")
            await asyncio.sleep(_LOOK_S)
        ended = used()
    finally:
        await connection.close()
    if first > rows / 2:
        raise BenchFailed("half of the events were in before all replicas were at work: give it more (--events)")
    return (number - first) / rows, [after - before for before, after in zip(began, ended, strict=True)]


def _cpu_s(pid: int) -> float:
    """Seconds of CPU of one process, its start included."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def measure(events: int, rounds: int, *, pin: bool) -> dict[str, Any]:
    """All rounds; answers the figures by the number of replicas."""
    found: dict[int, list[dict[str, float]]] = {number: [] for number in NUMBERS}
    with parts.provided(None, None) as on:
        for _ in range(rounds):
            for number, results in found.items():
                results.append(await once(on, number, events, pin=pin))
    told: dict[str, Any] = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2), "events": events}
    for number, results in found.items():
        told[str(number)] = {name: round(median(one[name] for one in results), 1) for name in results[0]}
    one, two = found[1], found[2]
    pairs = [(b["events_per_s"] / a["events_per_s"], b["cpu_us"] / a["cpu_us"]) for a, b in zip(one, two, strict=True)]
    return told | {
        "rate_ratio": round(median(a for a, _ in pairs), 2),
        "cpu_ratio": round(median(b for _, b in pairs), 2),
    }


def main() -> int:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--pin", action="store_true")
    chosen = parser.parse_args()
    print(json.dumps(asyncio.run(measure(chosen.events, chosen.rounds, pin=chosen.pin))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
