"""A day of a mirror in two hours: changes, reading, lineage in and out, and all that may befall it, again and again.

`DAY_MINUTES` says how long it takes; `DAY_SEED` makes another day.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

import pytest

from sandbox.parts.errors import PartMissing
from tests.faults.day import ledgers
from tests.faults.day.trouble import TROUBLES
from tests.faults.day.world import LAG_S, World
from tests.fixtures import Rows
from tests.integration.sync.truth import differences

MINUTES, SEED = float(os.environ.get("DAY_MINUTES", "120")), int(os.environ.get("DAY_SEED", "1"))
REPLICAS = 3
#: What the receiver says while a replica's clock is off.
CLOCK_OFF = {"Message timestamp too new", "Message timestamp too old"}
#: Seconds of quiet between two troubles, at most.
QUIET_S = 6.0
#: Seconds that all may take to come to rest after the day.
REST_S = 300.0
#: The most that a replica may ever have, and by what its memory may grow from the second third of the day to the last.
PEAK_MIB, GROWTH = 300.0, 1.15
#: Bytes on disk that the tables in which work waits may come to.
WORK_BYTES = 64 * 1024**2


@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 60 + 1800)
async def test_a_day_of_trouble_leaves_nothing_lost_and_nothing_wrong(
    tmp_path: Path,
    rows_of: Callable[[str], Rows],
    run_command: Callable[..., Any],
    write_figures: Callable[..., None],
    do_without: Callable[[Exception], NoReturn],
) -> None:
    try:
        async with World.opened(tmp_path, SEED, run_command) as world:
            await _the_day(world, rows_of, write_figures)
    except PartMissing as missing:
        do_without(missing)


async def _the_day(world: World, rows: Callable[[str], Rows], write_figures: Callable[..., None]) -> None:
    befallen = await _live(world)
    mirror = rows(world.store_url)
    await _at_rest(world, mirror)
    await world.command("reconcile", "--repair", "--accept-deletions")
    await _at_rest(world, mirror)

    wrong, lost = await differences(mirror, world.pocket), await ledgers.lost(world)  # type: ignore[arg-type]
    came_back = [body["event_details"]["event_id"] for body in world.pocket.received_lineage()]
    write_figures(
        "a day of trouble", faults=befallen.total(), sent=world.broadcast.sent + len(world.noted.taken),
        lost=sum(map(len, lost.values())), wrong=sum(sum(told["number"]) for told in wrong.values()),
        lineage_repeated=len(came_back) - len(set(came_back)),
    )  # fmt: skip
    assert (wrong, lost, await ledgers.dead(world)) == ({}, {}, set())
    assert await ledgers.poisoned(world) == world.noted.poison
    assert set(world.receiver.refusals) <= CLOCK_OFF, "what is signed by a clock that is off is signed anew"
    for memory in (replica.memory for replica in world.replicas):
        third = len(memory) // 3
        print(f"memory: {max(memory):.0f} MiB at most, medians of thirds", end=" ")
        print(*(f"{median(memory[start : start + third]):.0f}" for start in (0, third, 2 * third)))
        assert max(memory) < PEAK_MIB
        assert median(memory[-third:]) < median(memory[third : 2 * third]) * GROWTH
    assert await ledgers.work_bytes(world) < WORK_BYTES


async def _live(world: World) -> Counter[str]:
    """All of the day; answers what has befallen, and how often."""
    first = await world.add_replica()
    await first.process.wait_ready()
    await ledgers.begin(world)
    for _ in range(REPLICAS - 1):
        await world.add_replica()
    await world.wait_ready()
    befallen: Counter[str] = Counter()
    publishing, living = asyncio.create_task(world.broadcast.run()), asyncio.create_task(world.live())
    end = time.monotonic() + MINUTES * 60
    for trouble in world.endlessly(TROUBLES):
        if time.monotonic() > end:
            break
        _say(world, end, trouble.__name__)
        await trouble(world)
        befallen[trouble.__name__] += 1
        await asyncio.sleep(world.rng.random() * QUIET_S)
        for task in (publishing, living):
            assert not task.done(), task.exception()
    living.cancel()
    await asyncio.wait([living])
    await world.broadcast.drained()
    publishing.cancel()
    _say(world, end, "and rest")
    await world.wait_ready()
    return befallen


async def _at_rest(world: World, rows: Rows) -> None:
    """All that was asked for is done and told, and polling has seen what the searches see late.

    What is asked of a container that is gone is put off again and again, until it is given up.
    """
    await asyncio.sleep(2 * LAG_S)
    await rows.until("SELECT count(*) FROM refreshes WHERE last_error IS NULL", 0, REST_S)
    await rows.until("SELECT count(*) FROM deliveries", 0, REST_S)


def _say(world: World, end: float, what: str) -> None:
    left = max(0.0, end - time.monotonic()) / 60
    done = sum(world.history.done.values()), world.broadcast.sent, len(world.noted.taken), len(world.receiver.events)
    figures = "{} changes, {} published, {} posted, {} told".format(*done)
    print(f"{left:6.1f} min left; {figures}; {what.replace('_', ' ')}", flush=True)
