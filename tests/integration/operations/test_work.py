"""Long work: any replica tells of it; what nobody does any more is said to be lost; memory and store are bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from service.errors import RunFailed
from service.operations import work as module
from service.operations.acting import Act, Way
from service.operations.work import AT_ONCE, Desk, Tell, TooMuchWork

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

ACT = Act("dana", Way.API)


async def until(mirror: Mirror, work_id: str, state: str) -> module.Work:
    async with asyncio.timeout(20):
        while (found := await module.read(mirror.store, work_id)).state != state:
            await asyncio.sleep(0.01)
    return found


async def test_how_far_it_is_is_told_while_it_goes_on(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TELL_S", 0.01)
    go_on = asyncio.Event()

    async def job(tell: Tell) -> Mapping[str, Any]:
        tell({"letters": 3})
        await go_on.wait()
        return {"letters": 4}

    begun = await Desk(mirror.store).begin("replay", ACT, job)
    async with asyncio.timeout(20):
        while (await module.read(mirror.store, begun.work_id)).told != {"letters": 3}:
            await asyncio.sleep(0.01)
    go_on.set()
    done = await until(mirror, begun.work_id, "done")
    assert (done.told, done.by, done.what, done.problem) == ({"letters": 4}, "dana", "replay", None)


async def test_work_that_fails_says_why_and_a_bug_shows_nothing_of_itself(mirror: Mirror) -> None:
    async def fails(_: Tell) -> Mapping[str, Any]:
        raise RunFailed(mode="replay", problem="the store is away.")

    async def breaks(_: Tell) -> Mapping[str, Any]:
        raise KeyError("hush-hush")

    desk = Desk(mirror.store)
    failed = await until(mirror, (await desk.begin("replay", ACT, fails)).work_id, "failed")
    broken = await until(mirror, (await desk.begin("replay", ACT, breaks)).work_id, "failed")
    assert failed.problem == "The replay failed: the store is away."
    assert "bug" in str(broken.problem)
    assert "hush" not in str(broken.problem)


async def test_work_whose_process_ended_is_lost_and_one_that_stops_says_so(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forever(_: Tell) -> Mapping[str, Any]:
        await asyncio.Event().wait()
        return {}

    desk = Desk(mirror.store)
    begun = [(await desk.begin("replay", ACT, forever)).work_id for _ in range(AT_ONCE)]
    with pytest.raises(TooMuchWork):
        await desk.begin("replay", ACT, forever)
    monkeypatch.setattr(module, "LOST_S", -1.0)
    assert {work.state for work in await module.listed(mirror.store)} == {"lost"}
    monkeypatch.undo()
    await desk.stop()
    for work_id in begun:
        assert (await module.read(mirror.store, work_id)).problem == "The service was stopped."


async def test_only_the_newest_are_remembered(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)

    async def nothing(_: Tell) -> Mapping[str, Any]:
        return {}

    desk = Desk(mirror.store)
    done = [await until(mirror, (await desk.begin("replay", ACT, nothing)).work_id, "done") for _ in range(4)]
    assert await module.listed(mirror.store) == [done[3], done[2]]
