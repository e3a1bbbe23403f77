"""Cyclic garbage: spared among a batch's objects, and not kept for long."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from service.process import garbage


class _Cycle:
    """Holds itself, as the attempts and statements of libraries do."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The collector looks afterwards as it did."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


async def test_a_cycle_of_less_than_a_batch_is_gone_after_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "ROUND_S", 0.001)
    garbage.spare_the_garbage_collector()
    kept = weakref.ref(_Cycle())
    assert kept() is not None
    collecting = asyncio.create_task(garbage.collecting())
    async with asyncio.timeout(10):
        while kept() is not None:
            await asyncio.sleep(0.001)
    collecting.cancel()
