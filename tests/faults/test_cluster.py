"""A cluster of three brokers: the leader of our queue is killed, and the node that we are connected to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.process import off_loop
from sandbox.parts.proxy import TcpProxy


@pytest.fixture
async def cluster() -> AsyncIterator[list[PrivateBroker]]:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(off_loop(PrivateBroker()))
        yield [first, *[await stack.enter_async_context(off_loop(PrivateBroker(joins=first))) for _ in range(2)]]


@pytest.mark.timeout(240)
async def test_the_leader_of_our_queue_and_the_node_that_we_are_connected_to_are_killed(
    rig: Callable[..., Any], cluster: list[PrivateBroker], sqlite_url: str
) -> None:
    async with TcpProxy.before(cluster[0].url) as proxy:
        through = proxy.through(cluster[0].url)
        async with rig("queue's leader killed", cluster[0].url, sqlite_url, through=through, sink="quorum") as world:
            world.nodes_die = True
            await world.publish(50)
            await world.mirrored()
            assert await _members(cluster[0]) == 3
            leader = await _leader(cluster, cluster[0])
            # Whoever leads: the catalog and we are connected to another one, and the other way round.
            other = next(node for node in cluster if node is not leader)
            world.catalog.url = other.url
            proxy.lead_to(other.url)
            proxy.cut()
            await world.resumed()
            await _kill_under_load(world, leader)
            await world.resumed()
            await asyncio.to_thread(leader.start)
            await world.resumed()
            await _until_whole(leader)  # of three, two have to be there: the next may die once this one is back

            proxy.lead_to(leader.url)  # where new connections go when this one dies, too
            world.catalog.url = leader.url
            await _kill_under_load(world, other)
            await world.resumed()


async def _kill_under_load(world: Any, node: PrivateBroker) -> None:
    publishing = asyncio.create_task(world.publish(300))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(node.kill)
    await publishing


async def _members(node: PrivateBroker) -> int:
    said = await asyncio.to_thread(node.ctl, "list_queues", "--no-table-headers", "name", "members")
    (line,) = [line for line in said.splitlines() if line.startswith("catalog-mirror\t")]
    return line.count("@localhost")


async def _until_whole(node: PrivateBroker) -> None:
    """Wait until every quorum queue has all of its members at work."""
    async with asyncio.timeout(90):
        while True:
            said = await asyncio.to_thread(node.ctl, "list_queues", "--no-table-headers", "type", "online")
            quorum = [line for line in said.splitlines() if "quorum" in line.partition("\t")[0]]
            if quorum and all(line.count("@localhost") == 3 for line in quorum):
                return


async def _leader(cluster: list[PrivateBroker], asked: PrivateBroker) -> PrivateBroker:
    said = await asyncio.to_thread(asked.ctl, "list_queues", "--no-table-headers", "name", "leader")
    (line,) = [line for line in said.splitlines() if line.startswith("catalog-mirror\t")]
    return next(node for node in cluster if node.node in line)
