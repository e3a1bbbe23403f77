"""What befalls the world of the day: each kind of trouble comes and goes by itself, and leaves no trace of its own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from sandbox.parts.proxy import TcpProxy
from sandbox.webhook.receiver import Failure
from tests.faults.day.world import Replica, World

Trouble = Callable[[World], Awaitable[None]]
HOUR_S = 3600


def _one(world: World) -> Replica:
    return world.rng.choice(world.replicas)


async def _ended(replica: Replica) -> None:
    """End it in order; one that is still starting is ended by the signal itself."""
    assert await replica.process.terminate() in (0, -signal.SIGTERM)


async def a_replica_is_killed(world: World) -> None:
    replica = _one(world)
    await replica.process.kill()
    await asyncio.sleep(world.rng.random() * 5)
    await replica.process.start()


async def all_replicas_are_killed(world: World) -> None:
    for replica in world.replicas:
        await replica.process.kill()
    for replica in world.replicas:
        await replica.process.start()


async def a_replica_is_replaced(world: World) -> None:
    replica = _one(world)
    await _ended(replica)
    await replica.process.start()


async def a_replica_is_away_for_long(world: World) -> None:
    replica = _one(world)
    await _ended(replica)
    await asyncio.sleep(20)
    await replica.process.start()


async def a_replica_stands_still(world: World) -> None:
    replica = _one(world)
    replica.process.signal(signal.SIGSTOP)
    await asyncio.sleep(12)
    replica.process.signal(signal.SIGCONT)


async def a_link_to_the_broker_breaks(world: World) -> None:
    _one(world).broker.cut()


async def a_replica_is_cut_off_from_the_broker(world: World) -> None:
    await _cut_off(_one(world).broker)


async def a_replica_is_cut_off_from_the_store(world: World) -> None:
    await _cut_off(_one(world).store)


async def _cut_off(way: TcpProxy) -> None:
    """Nothing comes through for a while; then what was under way is gone, and new connections are taken."""
    way.stall()
    await asyncio.sleep(15)
    way.freeze()
    way.cut()


async def the_broker_is_killed(world: World) -> None:
    await world.wait_queue()
    await asyncio.to_thread(world.broker.kill)
    await asyncio.to_thread(world.broker.start)


async def the_broker_is_restarted(world: World) -> None:
    await asyncio.to_thread(world.broker.restart)


async def the_database_is_killed(world: World) -> None:
    await asyncio.to_thread(world.primary.kill)
    await asyncio.sleep(world.rng.random() * 5)
    await asyncio.to_thread(world.primary.start)


async def the_database_fails_over(world: World) -> None:
    await world.fail_over()


async def a_clock_steps_forwards(world: World) -> None:
    await _step(world, HOUR_S)


async def a_clock_steps_backwards(world: World) -> None:
    await _step(world, -HOUR_S)


async def _step(world: World, seconds: int) -> None:
    clock = _one(world).clock
    clock.step(seconds)
    await asyncio.sleep(20)
    clock.step(0)


async def the_catalog_fails_half_of_the_time(world: World) -> None:
    world.pocket.knobs.failure_rate, world.pocket.knobs.failure_statuses = 0.5, (500, 503, 429)
    await asyncio.sleep(15)
    world.pocket.knobs.failure_rate = 0.0


async def the_catalog_is_slow(world: World) -> None:
    world.pocket.knobs.latency_s = 2.0
    await asyncio.sleep(15)
    world.pocket.knobs.latency_s = 0.0


async def a_receiver_of_changes_fails(world: World) -> None:
    status = world.rng.choice((429, 500, 502, 503, 504, 302))
    world.receiver.failures += [Failure(status, after_s=world.rng.random())] * 8


async def a_receiver_of_lineage_fails(world: World) -> None:
    world.backend.failures += [world.rng.choice((500, 502, 503, 504, 429))] * 8


async def a_receiver_of_lineage_answers_pages_for_people(world: World) -> None:
    world.backend.pages += 4


async def somebody_pauses_consuming(world: World) -> None:
    await world.command("pause")
    await asyncio.sleep(10)
    await world.command("resume")


async def somebody_pauses_a_target(world: World) -> None:
    await world.command("targets", "pause", "webhook")
    await asyncio.sleep(10)
    await world.command("targets", "resume", "webhook")


async def somebody_derives_rows_again(world: World) -> None:
    await world.command("mirror", "rebuild")


async def somebody_cuts_tables_into_parts(world: World) -> None:
    """Killed on the way, and called again."""
    tables = world.rng.sample(("data_profiles", "assets", "lineage_events"), 2)
    command = "db", "partition", *tables, "--parts", str(world.rng.choice((1, 2, 3)))
    await world.kill_command(*command, after_s=2 + world.rng.random() * 8)
    await world.command(*command)


async def replicas_are_given_another_number_of_queues(world: World) -> None:
    """One after the other, as in a rolling change: for a while they differ."""
    queues = str(world.rng.choice((1, 2, 3)))
    for replica in world.replicas:
        await _ended(replica)
        await replica.start_with(AMQP__QUEUES=queues)
        await asyncio.sleep(world.rng.random() * 3)


#: Every kind; a day goes through all of them, in a new order each time.
TROUBLES: tuple[Trouble, ...] = (
    a_replica_is_killed, all_replicas_are_killed, a_replica_is_replaced, a_replica_is_away_for_long,
    a_replica_stands_still, a_link_to_the_broker_breaks, a_replica_is_cut_off_from_the_broker,
    a_replica_is_cut_off_from_the_store, the_broker_is_killed, the_broker_is_restarted, the_database_is_killed,
    the_database_fails_over, a_clock_steps_forwards, a_clock_steps_backwards, the_catalog_fails_half_of_the_time,
    the_catalog_is_slow, a_receiver_of_changes_fails, a_receiver_of_lineage_fails,
    a_receiver_of_lineage_answers_pages_for_people, somebody_pauses_consuming, somebody_pauses_a_target,
    somebody_derives_rows_again, somebody_cuts_tables_into_parts, replicas_are_given_another_number_of_queues,
)  # fmt: skip
