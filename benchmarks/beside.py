"""The service with something and without it, in turn: what `consoles` and `telling` have in common."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import Any

from aio_pika.abc import AbstractConnection

from benchmarks import broker, parts, runs

#: One run with so many events.
Side = Callable[[parts.Parts, AbstractConnection, int], Awaitable[runs.Result]]


async def compared(chosen: Side, plain: Side, events: int, rounds: int) -> dict[str, Any]:
    """The figures of one run of each in every round, so that what else goes on falls on both alike."""
    found: list[list[runs.Result]] = [[], []]
    with parts.provided(None, None) as on:
        async with broker.connected(on.amqp_url) as connection:
            for _ in range(rounds):
                for side, results in zip((chosen, plain), found, strict=True):
                    results.append(await side(on, connection, events))
            await broker.clean(connection)
    told = {"events": events, "rounds": rounds, "load": round(os.getloadavg()[0], 2)}
    return told | _ratios(*found)


def _ratios(chosen: Sequence[runs.Result], plain: Sequence[runs.Result]) -> dict[str, float]:
    """What the plain side did, and ratios of medians, chosen ÷ plain."""
    told = {
        "events_per_s": round(median(run.rate for run in plain)),
        "cpu_us": round(median(run.cpu_us for run in plain), 1),
        "wall_ratio": round(median(run.seconds for run in chosen) / median(run.seconds for run in plain), 3),
        "cpu_ratio": round(median(run.cpu_s for run in chosen) / median(run.cpu_s for run in plain), 3),
    }
    servers = [[run.server_cpu_s for run in side if run.server_cpu_s is not None] for side in (chosen, plain)]
    if all(servers):
        told["server_cpu_ratio"] = round(median(servers[0]) / median(servers[1]), 3)
    return told


def main(about: str | None, measure: Callable[[int, int], Awaitable[dict[str, Any]]], events: int, rounds: int) -> int:
    """Measure as the command line says, and print one JSON object; by itself with so many events and rounds."""
    parser = argparse.ArgumentParser(description=(about or "").split("\n\n")[0])
    parser.add_argument("--events", type=int, default=events)
    parser.add_argument("--rounds", type=int, default=rounds)
    chosen = parser.parse_args()

    async def measured() -> dict[str, Any]:
        return await measure(chosen.events, chosen.rounds)

    print(json.dumps(asyncio.run(measured())))
    return 0
