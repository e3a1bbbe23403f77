"""Work that is done once for all who wait."""

from __future__ import annotations

import asyncio

import pytest

from service.http.batching import Batcher


async def test_who_comes_meanwhile_shares_the_next_turn_and_each_gets_their_own() -> None:
    turns: list[list[int]] = []

    async def double(items: list[int]) -> list[int]:
        turns.append(items)
        await asyncio.sleep(0.01)
        return [item * 2 for item in items]

    work = Batcher(double, 10)
    results = await asyncio.gather(*(work.do([number, number + 100]) for number in range(8)))

    assert results == [[number * 2, (number + 100) * 2] for number in range(8)]
    assert [len(turn) for turn in turns] == [2, 10, 4]


async def test_what_is_larger_than_a_turn_has_one_of_its_own() -> None:
    turns: list[int] = []

    async def count(items: list[int]) -> list[int]:
        turns.append(len(items))
        await asyncio.sleep(0.01)
        return items

    work = Batcher(count, 3)
    await asyncio.gather(work.do([1]), work.do([1, 2, 3, 4, 5]), work.do([]), work.do([2]))

    assert turns == [1, 5, 1]


async def test_a_failure_is_that_of_all_who_shared_it_and_of_nobody_else() -> None:
    async def refuse(items: list[int]) -> list[int]:
        await asyncio.sleep(0.01)
        if 2 in items:
            raise ValueError("two")
        return items

    work = Batcher(refuse, 10)
    first, *others = await asyncio.gather(*(work.do([number]) for number in range(4)), return_exceptions=True)

    assert first == [0]
    assert all(isinstance(other, ValueError) for other in others)
    assert await work.do([3]) == [3]
    with pytest.raises(ValueError, match="two"):
        await work.do([2])


async def test_where_the_one_who_works_for_all_goes_away_the_next_one_does_it() -> None:
    turns: list[list[int]] = []

    async def slow(items: list[int]) -> list[int]:
        turns.append(items)
        await asyncio.sleep(0.05)
        return items

    work = Batcher(slow, 10)
    first = asyncio.create_task(work.do([1]))
    await asyncio.sleep(0)
    leader, other = asyncio.create_task(work.do([2])), asyncio.create_task(work.do([3]))
    await first
    await asyncio.sleep(0.01)
    leader.cancel()

    assert await other == [3]
    assert turns == [[1], [2, 3], [2, 3]]
