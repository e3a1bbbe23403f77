"""Whoever posts gets an answer before their client would give up."""

from __future__ import annotations

import asyncio

import pytest

from service.http.patience import Patience
from service.http.problems import Problem


async def slow(until: asyncio.Event, done: list[str], name: str) -> str:
    await until.wait()
    done.append(name)
    return name


async def quick() -> str:
    return "quick"


async def test_work_that_takes_too_long_is_put_off_and_goes_on() -> None:
    patience, until, done = Patience(0.05), asyncio.Event(), list[str]()
    with pytest.raises(Problem, match=r"within 0\.05 s.*does no harm") as told:
        await patience.wait_for(slow(until, done, "first"))
    assert (told.value.status, told.value.headers) == (503, {"Retry-After": "2"})
    with pytest.raises(Problem, match="Others wait, too"):
        await asyncio.wait_for(patience.wait_for(quick()), 0.04)
    until.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert done == ["first"]
    assert await patience.wait_for(quick()) == "quick"


async def test_what_goes_wrong_in_time_is_told_and_what_goes_wrong_later_is_not_left_unheard() -> None:
    patience, until = Patience(0.05), asyncio.Event()

    async def fail(at_once: bool) -> None:
        if not at_once:
            await until.wait()
        raise ValueError("it cannot be used")

    with pytest.raises(ValueError, match="it cannot be used"):
        await patience.wait_for(fail(True))
    with pytest.raises(Problem):
        await patience.wait_for(fail(False))
    until.set()  # an exception that nobody looks at would be a warning, and so an error
    await asyncio.sleep(0.01)
    assert await patience.wait_for(quick()) == "quick"
