"""Several machines: one that stands still, is cut off from broker or store, or has a clock an hour off harms nobody."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sandbox.parts.clock import SteppingClock
from sandbox.parts.errors import PartMissing
from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.proxy import TcpProxy
from tests.faults.conftest import Rig

#: The broker gives up a peer after two heartbeats without a word; a statement and a lease end soon, too.
SOON = {"AMQP__HEARTBEAT_S": "5", "STORE__TIMEOUT_S": "3", "RELAY__LEASE_S": "5", "PIPELINE__BATCH_MAX": "20"}
HOUR_S = 3600.0


@pytest.fixture
def pair(
    rig: Callable[..., Any], amqp_url: str, postgres_url: str, tmp_path: Path
) -> Callable[..., AbstractAsyncContextManager[tuple[Rig, MirrorProcess]]]:
    """`pair(fault, amqp=…, store=…, command=…)`: two replicas, of which the second has its own ways and command."""

    @asynccontextmanager
    async def make(
        fault: str, amqp: str = amqp_url, store: str = postgres_url, **other: Any
    ) -> AsyncIterator[tuple[Rig, MirrorProcess]]:
        async with rig(fault, amqp_url, postgres_url, **SOON) as world, AsyncExitStack() as stack:
            settings: dict[str, Any] = {"AMQP__URL": amqp, "STORE__URL": store, "RELAY__RETRY_MAX_S": "2", **SOON}
            second = await stack.enter_async_context(MirrorProcess(tmp_path / "second.log", **other, **settings))
            await second.wait_ready()
            yield world, second

    return make


async def test_a_replica_that_stands_still_with_messages_in_hand(pair: Callable[..., Any]) -> None:
    """What it had is done by the other one; when it goes on, what it meant to do comes too late and changes nothing."""
    async with pair("replica stands still") as (world, second):
        publishing = asyncio.create_task(world.publish(400))
        await world.rows.until("SELECT count(*) > 40 FROM data_profiles", True)
        second.signal(signal.SIGSTOP)
        await publishing
        await world.resumed()
        second.signal(signal.SIGCONT)
        await world.publish(50)
        await world.resumed()
        await second.wait_ready()


@pytest.mark.parametrize("cut_off", ["broker", "store"])
async def test_a_replica_that_is_cut_off_from_one_of_the_two(
    pair: Callable[..., Any], amqp_url: str, postgres_url: str, cut_off: str
) -> None:
    async with TcpProxy.before(amqp_url if cut_off == "broker" else postgres_url) as proxy:
        ways = {"amqp": proxy.through(amqp_url)} if cut_off == "broker" else {"store": proxy.through(postgres_url)}
        async with pair(f"replica cut off from {cut_off}", **ways) as (world, second):
            publishing = asyncio.create_task(world.publish(400))
            await world.rows.until("SELECT count(*) > 40 FROM data_profiles", True)
            proxy.stall()
            await publishing
            await world.resumed()
            proxy.freeze()
            proxy.cut()
            await world.publish(50)
            await second.wait_ready()
            await world.resumed()


@pytest.mark.parametrize("off_s", [HOUR_S, -HOUR_S])
async def test_a_replica_whose_clock_is_an_hour_off(
    pair: Callable[..., Any],
    tmp_path: Path,
    do_without: Callable[[Exception], NoReturn],
    off_s: float,
) -> None:
    try:
        clock = SteppingClock(tmp_path)
    except PartMissing as missing:
        do_without(missing)
    clock.step(off_s)
    variables = [f"{name}={value}" for name, value in clock.environment.items()]
    command = ("env", *variables, sys.executable, "-m", "service", "run")
    async with pair(f"replica's clock off by {off_s / HOUR_S:+.0f} h", command=command) as (world, second):
        await world.publish(200)
        await world.resumed()
        await second.kill()
        await world.publish(50)
        await world.resumed()
        assert await world.rows.all("SELECT kind FROM gaps") == []
        live = await world.rows.one(
            "SELECT count(*) FROM replicas WHERE abs(extract(epoch FROM now() - seen_at)) < 600"
        )
        assert live == 2, "replicas are told from each other by the store's clock"
