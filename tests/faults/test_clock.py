"""A clock that steps forwards and backwards by hours: what is leased, due, new or old goes by the store's clock."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sandbox.parts.clock import SteppingClock
from sandbox.parts.errors import PartMissing

HOUR_S = 3600


@pytest.fixture
def clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, do_without: Callable[[Exception], NoReturn]
) -> SteppingClock:
    """A clock of the services that this test starts."""
    try:
        made = SteppingClock(tmp_path)
    except PartMissing as missing:
        do_without(missing)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.mark.parametrize("off_s", [5 * HOUR_S, -5 * HOUR_S])
async def test_a_clock_that_steps_while_it_runs(
    rig: Callable[..., Any], amqp_url: str, postgres_url: str, clock: SteppingClock, off_s: float
) -> None:
    sign = "forwards" if off_s > 0 else "backwards"
    async with rig(f"clock stepping {sign} by 5 h", amqp_url, postgres_url, replicas=2) as world:
        await world.publish(100)
        clock.step(off_s)
        await world.publish(100)
        await world.resumed()
        clock.step(0)
        await world.publish(100)
        await world.resumed()
        assert await world.rows.all("SELECT kind FROM gaps") == []
        for service in world.services:
            assert (await service.get("/livez"))[0] == 200
