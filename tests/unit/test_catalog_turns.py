"""Turns: a steady pace, a bounded number at once, urgent calls first, nobody starved, nothing lost by cancelling."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from service.catalog.turns import FAIR_SHARE, Lane, Turns, turns_for
from service.settings.model import CatalogSettings

FAST = 60_000


async def test_after_a_small_burst_calls_go_out_at_the_pace() -> None:
    turns = Turns(per_minute=1200, concurrency=100)  # 20 a second, as many at once after a rest
    started = time.monotonic()

    async def call() -> None:
        async with turns.turn(Lane.SWEEP):
            pass

    await asyncio.gather(*(call() for _ in range(20)))
    assert time.monotonic() - started < 0.4
    await asyncio.gather(*(call() for _ in range(10)))
    assert 0.45 < time.monotonic() - started < 5


async def test_never_more_at_once_than_allowed() -> None:
    turns, now, most = Turns(FAST, concurrency=3), 0, 0

    async def call() -> None:
        nonlocal now, most
        async with turns.turn(Lane.SWEEP):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(call() for _ in range(50)))
    assert most == 3


async def queued(turns: Turns, *lanes: Lane) -> list[tuple[int, Lane]]:
    """In which order callers get their turn that all wait for one place."""
    order: list[tuple[int, Lane]] = []

    async def call(number: int, lane: Lane) -> None:
        async with turns.turn(lane):
            order.append((number, lane))

    async with AsyncExitStack() as held:
        await held.enter_async_context(turns.turn(Lane.REFRESH))
        tasks = [asyncio.create_task(call(number, lane)) for number, lane in enumerate(lanes)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return order


async def test_an_urgent_call_overtakes_those_that_wait() -> None:
    order = await queued(Turns(FAST, concurrency=1), Lane.SWEEP, Lane.SWEEP, Lane.DELIVERY, Lane.REFRESH, Lane.REFRESH)

    assert [number for number, _ in order] == [3, 4, 2, 0, 1]


async def test_a_sweep_gets_its_turn_though_urgent_calls_never_end() -> None:
    order = await queued(Turns(FAST, concurrency=1), Lane.SWEEP, *[Lane.REFRESH] * 30)

    assert [lane for _, lane in order].index(Lane.SWEEP) < FAIR_SHARE


async def test_whoever_stops_waiting_takes_no_turn_from_others() -> None:
    turns = Turns(FAST, concurrency=1)

    async def call() -> bool:
        async with turns.turn(Lane.SWEEP):
            return True

    async with turns.turn(Lane.SWEEP):
        waiting = [asyncio.create_task(call()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
    waiting[1].cancel()  # it has its turn already and does not know yet
    results = await asyncio.gather(*waiting, call(), return_exceptions=True)

    assert [result is True for result in results] == [False, False, True, True]


async def test_a_call_that_fails_gives_its_place_back() -> None:
    turns = Turns(FAST, concurrency=1)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            async with turns.turn(Lane.SWEEP):
                raise RuntimeError
    async with turns.turn(Lane.SWEEP) as waited_s:
        assert waited_s < 1


async def test_all_clients_of_one_catalog_share_its_turns() -> None:
    here, there = CatalogSettings(url="https://one"), CatalogSettings(url="https://two")

    turns = turns_for(here)

    assert turns_for(CatalogSettings(url="https://one/")) is turns
    assert turns_for(there) is not turns
