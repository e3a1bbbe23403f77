"""A cluster of three brokers: the leader of our queue is killed, and the node that we are connected to."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import aio_pika
import pytest

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.proxy import TcpProxy
from service.amqp.hands import HELD_S
from service.amqp.publisher import CONFIRM_TIMEOUT_S
from tests.faults.conftest import RESUMED_S


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[list[PrivateBroker]]:
    with ExitStack() as stack:
        first = stack.enter_context(PrivateBroker(management=True))
        yield [first, *[stack.enter_context(PrivateBroker(joins=first, management=True)) for _ in range(2)]]


@pytest.fixture
async def cluster(three_nodes: list[PrivateBroker]) -> list[PrivateBroker]:
    """All three at work, and without the queues of the test before, whatever that has killed."""
    for node in three_nodes:
        await asyncio.to_thread(node.start)
    async with await aio_pika.connect(three_nodes[0].url) as connection:
        for queue in ("catalog-mirror", "sink"):  # what a consumer of a dead node had in hand may be in it still
            await (await connection.channel()).queue_delete(queue)
    return three_nodes


@pytest.mark.timeout(480)
async def test_the_leader_of_our_queue_and_the_node_that_we_are_connected_to_are_killed(
    rig: Callable[..., Any], cluster: list[PrivateBroker], sqlite_url: str
) -> None:
    async with TcpProxy.before(cluster[0].url) as proxy:
        through = proxy.through(cluster[0].url)
        async with rig("queue's leader killed", cluster[0].url, sqlite_url, through=through, sink="quorum") as world:
            _expect_dying_nodes(world, cluster)
            await world.publish(50)
            await world.mirrored()
            assert await _members(cluster[0]) == 3
            leader = await _leader("catalog-mirror", cluster)
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


@pytest.mark.timeout(480)
async def test_a_cluster_without_a_majority_refuses_our_lineage_and_takes_it_once_there_is_one_again(
    rig: Callable[..., Any], cluster: list[PrivateBroker], sqlite_url: str, run_command: Callable[..., Any]
) -> None:
    async with TcpProxy.before(cluster[0].url) as proxy:
        through = proxy.through(cluster[0].url)
        async with rig(
            "majority of the cluster lost", cluster[0].url, sqlite_url, through=through, sink="quorum"
        ) as world:
            _expect_dying_nodes(world, cluster)
            lost = await _leader("sink", cluster)
            back, stays = (node for node in cluster if node is not lost)
            await run_command("targets", "pause", "catalog_lineage", STORE__URL=sqlite_url)
            await world.service.wait_for(lambda status, body: "catalog_lineage is paused" in str(body["reasons"]))
            await world.publish(50)
            await world.mirrored()
            for node in (back, lost):  # in this order nobody is left to elect another leader
                await asyncio.to_thread(node.kill)
            proxy.lead_to(stays.url)
            proxy.cut()  # so that the first that we tell over the new connection finds no leader
            await run_command("targets", "resume", "catalog_lineage", STORE__URL=sqlite_url)
            await world.rows.until(
                "SELECT count(*) FROM target_states WHERE notice LIKE '%refused%'"
                " OR notice LIKE '%not confirmed%'",  # 4.3.6 does not answer at all
                1,
                CONFIRM_TIMEOUT_S + RESUMED_S,
            )
            world.catalog.url = stays.url
            await asyncio.to_thread(back.start)
            await world.resumed()


@pytest.mark.timeout(480)
async def test_a_queue_without_a_majority_is_told_and_is_no_gap(
    rig: Callable[..., Any], cluster: list[PrivateBroker], sqlite_url: str
) -> None:
    """The connection is open, the queue counts nothing as ready, and nothing can come: only its members tell."""
    stays, *others = cluster
    settings = {"AMQP__MANAGEMENT_URL": stays.management_url, "AMQP__WATCHDOG_INTERVAL_S": "1"}
    async with rig("queue without a majority", stays.url, sqlite_url, sink="quorum", **settings) as world:
        _expect_dying_nodes(world, cluster)
        await world.publish(50)
        await world.mirrored()
        assert await _members(stays) == 3
        for node in others:
            await asyncio.to_thread(node.kill)
        body = await world.service.wait_for(lambda status, body: "members" in str(body["reasons"]))
        assert body["status"] == "degraded"
        assert (await world.service.get("/livez"))[0] == 200
        for node in others:
            await asyncio.to_thread(node.start)
        await world.resumed()
        await world.service.wait_for(lambda status, body: body["reasons"] == [])
        assert await world.rows.all("SELECT kind, detail FROM gaps WHERE kind LIKE 'queue%'") == []


@pytest.mark.timeout(480)
async def test_what_the_consumer_of_a_dead_node_had_in_hand_is_told_until_it_comes_back(
    rig: Callable[..., Any], cluster: list[PrivateBroker], sqlite_url: str
) -> None:
    """RabbitMQ 4.3 waits for the node before it gives these messages out again; before, it does so at once."""
    if _version(cluster[0]) < (4, 3):
        pytest.skip("this broker gives out again at once what a dead node's consumer had in hand")
    async with TcpProxy.before(cluster[0].url) as proxy:
        through = proxy.through(cluster[0].url)
        settings = {"AMQP__MANAGEMENT_URL": cluster[0].management_url, "AMQP__WATCHDOG_INTERVAL_S": "1"}
        async with rig(
            "messages held by a dead node", cluster[0].url, sqlite_url, through=through, sink="quorum", **settings
        ) as world:
            _expect_dying_nodes(world, cluster)
            await world.publish(50)
            await world.mirrored()
            leader = await _leader("catalog-mirror", cluster)
            dies = next(node for node in cluster[1:] if node is not leader)
            proxy.lead_to(dies.url)
            proxy.cut()
            await world.resumed()
            somebody = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
            somebody.execute("BEGIN IMMEDIATE")  # so that what comes now stays in hand
            await world.publish(20)
            await asyncio.sleep(1)
            await asyncio.to_thread(dies.kill)
            somebody.close()
            proxy.lead_to(cluster[0].url)
            await asyncio.sleep(HELD_S)
            body = await world.service.wait_for(
                lambda _, body: "neither ready nor in our hands" in str(body["reasons"])
            )
            assert "consumer-disconnected-timeout" in str(body["reasons"])
            await world.service.wait_for(lambda _, body: body["reasons"] == [])
            await world.resumed()


def _version(node: PrivateBroker) -> tuple[int, ...]:
    return tuple(map(int, node.version.split(".")[:2]))


def _expect_dying_nodes(world: Any, cluster: list[PrivateBroker]) -> None:
    """RabbitMQ 4.3 keeps what a dead node's consumer has in hand for `consumer-disconnected-timeout`, a minute."""
    world.nodes_die = True
    if _version(cluster[0]) >= (4, 3):
        world.patience_s += 75.0


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


async def _leader(queue: str, cluster: list[PrivateBroker]) -> PrivateBroker:
    said = await asyncio.to_thread(cluster[0].ctl, "list_queues", "--no-table-headers", "name", "leader")
    (line,) = [line for line in said.splitlines() if line.startswith(f"{queue}\t")]
    return next(node for node in cluster if node.node in line)
