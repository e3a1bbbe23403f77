"""What an outage costs in deliveries: brokers drop a message that was given out too often, without a word."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.management import ManagementApi

#: So that a lock is given up within a second, and a message may be given out three times.
STRICT = {"STORE__TIMEOUT_S": "1", "AMQP__DELIVERY_LIMIT": "3"}
#: Seconds that a lock is held: ten times as long as we wait for one.
LOCKED_S = 10.0


#: Somebody writes the row of an event that is to come, and does not commit.
UNCOMMITTED = """
CREATE TEMP TABLE mine AS SELECT * FROM data_profiles WHERE profile_id = 'p0';
UPDATE mine SET profile_id = 'p70';
INSERT INTO data_profiles SELECT * FROM mine
"""


async def test_a_table_lock_that_outlasts_many_timeouts_costs_no_event(
    rig: Callable[..., Any], amqp_url: str, postgres_url: str
) -> None:
    async with rig("table locked for long", amqp_url, postgres_url, **STRICT) as world:
        await _outlast(world, postgres_url, "LOCK TABLE data_profiles IN ACCESS EXCLUSIVE MODE")


async def test_a_row_lock_that_outlasts_many_timeouts_costs_no_event(
    rig: Callable[..., Any], amqp_url: str, postgres_url: str
) -> None:
    async with rig("row locked for long", amqp_url, postgres_url, **STRICT) as world:
        await _outlast(world, postgres_url, UNCOMMITTED)


async def _outlast(world: Any, postgres_url: str, lock: str) -> None:
    """The store answers all the while, and takes nothing; each event may be delivered three times in all."""
    await world.publish(50)
    await world.mirrored()
    somebody = await asyncpg.connect(postgres_url)
    transaction = somebody.transaction()
    await transaction.start()
    await somebody.execute(lock)
    await world.publish(100)
    await world.service.wait_for(lambda status, body: "store cannot be used" in str(body["reasons"]))
    await asyncio.sleep(LOCKED_S)
    assert (await world.service.get("/livez"))[0] == 200
    await transaction.rollback()
    await somebody.close()
    await world.resumed()
    assert await world.rows.one("SELECT count(*) FROM suspects") == 0


async def test_a_queue_that_drops_what_was_delivered_often_is_not_consumed_until_that_is_mended(
    rig: Callable[..., Any], private_broker: PrivateBroker, sqlite_url: str, run_command: Callable[..., Any]
) -> None:
    url = await asyncio.to_thread(private_broker.add_vhost, "limited")
    assert private_broker.management_url is not None
    api = ManagementApi(private_broker.management_url)
    settings = {"AMQP__MANAGEMENT_URL": private_broker.management_url, "AMQP__WATCHDOG_INTERVAL_S": "1"}
    async with rig("delivery limit lowered by a policy", url, sqlite_url, **settings) as world:
        await world.publish(20)
        await world.mirrored()
        await asyncio.to_thread(api.set_policy, "limited", "low", "^catalog-mirror$", delivery_limit=7)
        body = await world.service.wait_for(lambda status, body: "delivery-limit" in str(body["reasons"]))
        assert "after 7 deliveries" in str(body["reasons"])
        told = await run_command("doctor", expect=1, AMQP__URL=url, STORE__URL=sqlite_url, **settings)
        assert "after 7 deliveries" in told
        assert "list_operator_policies" in told
        await world.publish(20)
        await asyncio.to_thread(api.delete_policy, "limited", "low")
        await world.resumed()


async def test_a_queue_of_somebody_elses_has_the_limit_of_its_brokers_version(
    private_broker: PrivateBroker,
    make_catalog: Callable[[str], Any],
    sqlite_url: str,
    mirror_process: Callable[..., Any],
) -> None:
    """RabbitMQ 4 drops after 20 deliveries unless told otherwise; before, never."""
    url = await asyncio.to_thread(private_broker.add_vhost, "theirs")
    limited = int((await asyncio.to_thread(lambda: private_broker.version)).split(".")[0]) >= 4
    settings = {"AMQP__URL": url, "STORE__URL": sqlite_url, "AMQP__DECLARE_QUEUE": "false"}
    async with make_catalog(url) as catalog:
        await catalog.channel.declare_queue("catalog-mirror", durable=True, arguments={"x-queue-type": "quorum"})
        async with mirror_process(**settings, AMQP__MANAGEMENT_URL=private_broker.management_url) as service:
            if limited:
                await service.wait_for(lambda status, body: "after 20 deliveries" in str(body["reasons"]))
            else:
                await service.wait_ready()
            await service.terminate()
        async with mirror_process(**settings) as service:  # nobody to ask: it consumes, and says what it does not know
            await service.wait_ready()
            assert ("delivery_limit_unknown" in service.log_text()) is limited
