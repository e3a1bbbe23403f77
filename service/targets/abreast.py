"""Sends several things side by side, up to the first obstacle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from service.errors import MirrorError, TransientError

T = TypeVar("T")


async def abreast(
    rows: Sequence[Sequence[T]], send: Callable[[T], Awaitable[MirrorError | None]], at_once: int
) -> list[list[MirrorError | None]]:
    """Send what is in each row in its order, so many rows at once; answers what became of each.

    After the first that could not be sent now, nothing more is begun: the rest has the same obstacle.
    """
    results: list[list[MirrorError | None]] = [[] for _ in rows]
    obstacles: list[TransientError] = []
    waiting = iter(zip(rows, results, strict=True))

    async def work() -> None:
        for row, told in waiting:
            for one in row:
                result = obstacles[0] if obstacles else await send(one)
                if isinstance(result, TransientError) and not obstacles:
                    obstacles.append(result)
                told.append(result)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(at_once, len(rows))):
            tasks.create_task(work())
    return results
