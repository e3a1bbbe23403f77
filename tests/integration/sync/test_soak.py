"""Reading a catalog takes the same memory whether it has ten thousand assets or a million."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.reading import pocket_catalog, reader, told, wrong_in

if TYPE_CHECKING:
    from sandbox.parts.providers import Postgres

#: Assets of the small catalog and of the large one; the large one takes an hour or so on two cores.
SMALL, LARGE = 10_000, int(os.environ.get("SOAK_ASSETS", "1000000"))
#: The most that the reading process may ever have, in MiB.
PEAK_MIB = 200.0
#: What a hundred times as many assets may add, in MiB: the keys that were listed (eight bytes each), and noise.
GROWTH_MIB = 40.0
PASSES = ("snapshot_cards", "reconcile_cards")


async def _peak_mib(assets: int, store: str) -> float:
    states: list[dict[str, Any]] = []
    async with pocket_catalog(assets) as url, reader(url, store, *PASSES) as process:
        for name in PASSES:
            state = await told(process, name)
            assert wrong_in(name, state) == []
            assert state["kinds"]["asset"]["listed"] >= assets
            states.append(state)
            print(f"{name} of {assets}: {state['seconds']:.0f} s, peak {state['rss_mib']:.0f} MiB")
    return max(float(state["rss_mib"]) for state in states)


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
async def test_memory_does_not_grow_with_the_catalog(postgres: Postgres) -> None:
    peaks: list[float] = []
    for assets in (SMALL, LARGE):
        name = f"soak_{uuid.uuid4().hex}"
        try:
            peaks.append(await _peak_mib(assets, postgres.create_database(name)))
        finally:
            postgres.drop_database(name)
    small, large = peaks

    assert large <= PEAK_MIB
    assert large - small <= GROWTH_MIB
