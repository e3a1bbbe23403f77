"""Wrong tokens are slowed by address; memory is bounded, and so is what is held back."""

from __future__ import annotations

import asyncio

import pytest

from service.http import guesses
from service.http.guesses import ADDRESSES, FREE, RENEWED_S, Guesses
from service.http.problems import Problem


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(guesses, "HELD_S", 0.0)
    return Clock()


async def tried(slow: Guesses, address: str = "192.0.2.1") -> bool:
    """Whether a wrong token is answered as one that is not known."""
    try:
        await slow.wrong(address)
    except Problem as problem:
        return problem.headers["Retry-After"] != str(int(RENEWED_S)) or problem.status != 429
    return True


async def test_some_are_free_and_more_come_with_time(clock: Clock) -> None:
    slow = Guesses(clock)
    assert [await tried(slow) for _ in range(FREE + 2)] == [True] * FREE + [False] * 2
    clock.now += RENEWED_S
    assert [await tried(slow) for _ in range(2)] == [True, False]
    clock.now += FREE * RENEWED_S
    assert [await tried(slow) for _ in range(FREE + 1)] == [True] * FREE + [False]


async def test_however_long_somebody_guesses_they_wait_no_longer_than_others(clock: Clock) -> None:
    slow = Guesses(clock)
    for _ in range(1000):
        await tried(slow)
    clock.now += RENEWED_S
    assert await tried(slow)


async def test_addresses_do_not_pay_for_each_other_but_those_of_one_party_do(clock: Clock) -> None:
    slow = Guesses(clock)
    for _ in range(FREE + 1):
        await tried(slow, "2001:db8::1")
    assert not await tried(slow, "2001:db8::2"), "one party has a /64"
    assert await tried(slow, "2001:db8:0:1::1")
    assert await tried(slow, "192.0.2.7")


async def test_no_more_addresses_than_that_are_remembered(clock: Clock) -> None:
    slow = Guesses(clock)
    for number in range(ADDRESSES + 10):
        await tried(slow, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(slow._until) == ADDRESSES


async def test_only_so_many_answers_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "HELD_S", 60.0)
    monkeypatch.setattr(guesses, "WAITING", 2)
    slow = Guesses(Clock())
    for _ in range(FREE):
        await slow.wrong("192.0.2.1")
    held = [asyncio.create_task(tried(slow)) for _ in range(2)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await tried(slow) is False, "at once"
    assert not any(task.done() for task in held)
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    assert slow._waiting == 0
