"""What open consoles cost the pipeline: the same events with ten that follow the overview, and with none, in turn.

`python -m benchmarks.consoles` starts the service anew for each run, on a private broker and PostgreSQL. The last line
is one JSON object; ratios are of medians, with consoles ÷ without.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any

import aiohttp
from aio_pika.abc import AbstractConnection

from benchmarks import beside, parts, runs
from benchmarks.errors import BenchFailed
from sandbox.parts.process import free_port

CONSOLES, EVENTS, ROUNDS = 10, 40_000, 5
JOB = runs.Job("mirror_postgresql", is_service=True)


@asynccontextmanager
async def open_consoles(port: int, number: int) -> AsyncIterator[None]:
    """So many follow the overview; raises `BenchFailed` where any of them was told nothing."""
    told = [0] * number
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=aiohttp.ClientTimeout()) as session:

        async def follow(which: int) -> None:
            async with session.get("/live") as answer:
                answer.raise_for_status()
                async for line in answer.content:
                    told[which] += line.startswith(b"data:")

        followers = [asyncio.create_task(follow(which)) for which in range(number)]
        try:
            yield
        finally:
            for follower in followers:
                follower.cancel()
            ended = await asyncio.gather(*followers, return_exceptions=True)
    failed = [error for error in ended if not isinstance(error, asyncio.CancelledError)]
    if failed or not all(told):
        raise BenchFailed(f"The consoles were told {told} times; {failed}")


async def once(consoles: int, on: parts.Parts, connection: AbstractConnection, events: int) -> runs.Result:
    """One run beside so many consoles."""
    port = free_port()
    return await runs.run(
        JOB, events, on, connection,
        settings={"CATALOG_MIRROR_HTTP__API_PORT": str(port), "CATALOG_MIRROR_HTTP__HOST": "127.0.0.1"},
        company=(lambda: open_consoles(port, consoles)) if consoles else nullcontext,
    )  # fmt: skip


async def measure(events: int, rounds: int) -> dict[str, Any]:
    """All rounds; answers the figures."""
    found = await beside.compared(partial(once, CONSOLES), partial(once, 0), events, rounds)
    return {"consoles": CONSOLES} | found


if __name__ == "__main__":
    sys.exit(beside.main(__doc__, measure, EVENTS, ROUNDS))
