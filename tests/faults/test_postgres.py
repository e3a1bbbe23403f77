"""Outages of PostgreSQL under load: consuming pauses, nothing becomes a dead letter, and it goes on by itself."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from sandbox.parts.postgres import PrivatePostgres
from sandbox.parts.process import off_loop
from sandbox.parts.proxy import TcpProxy

#: So that a store that does not answer is given up within seconds.
IMPATIENT = {"STORE__TIMEOUT_S": "3"}


async def test_a_database_that_is_killed_and_restarted_under_load(
    rig: Callable[..., Any], amqp_url: str, private_postgres: PrivatePostgres
) -> None:
    url = await asyncio.to_thread(private_postgres.create_database, "killed")
    async with rig("database killed", amqp_url, url, **IMPATIENT) as world:
        for outage in (private_postgres.kill, private_postgres.stop):
            publishing = asyncio.create_task(world.publish(300))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(outage)
            await publishing
            await world.service.wait_for(lambda status, body: "store cannot be used" in str(body["reasons"]))
            assert (await world.service.get("/livez"))[0] == 200
            await asyncio.to_thread(private_postgres.start)
            await world.resumed()


async def test_a_database_that_has_no_connection_left(
    rig: Callable[..., Any], amqp_url: str, private_postgres: PrivatePostgres
) -> None:
    admin = await asyncpg.connect(private_postgres.url)
    await admin.execute("CREATE ROLE tenant LOGIN")
    await admin.execute("CREATE DATABASE crowded OWNER tenant TEMPLATE template0")
    url = private_postgres.database_url("crowded").replace("mirror@", "tenant@")
    async with rig("database out of connections", amqp_url, url, **IMPATIENT) as world:
        await world.publish(50)
        await world.mirrored()
        await admin.execute("ALTER ROLE tenant CONNECTION LIMIT 0")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tenant'")
        await world.publish(100)
        body = await world.service.wait_for(lambda status, body: "store cannot be used" in str(body["reasons"]))
        assert "too many connections" in str(body["reasons"])
        await admin.execute("ALTER ROLE tenant CONNECTION LIMIT -1")
        await world.resumed()
    await admin.close()


async def test_a_database_whose_disk_is_full(
    rig: Callable[..., Any],
    amqp_url: str,
    private_postgres: PrivatePostgres,
    small_disk: Path,
    fill_up: Callable[[Path], None],
) -> None:
    place = small_disk / "tablespace"
    place.mkdir()
    place.chmod(0o777)
    if private_postgres.user:
        shutil.chown(place, private_postgres.user)
    # A server of another system (CATALOG_MIRROR_TEST_ROOT) sees the file systems that were there when it started.
    await asyncio.to_thread(private_postgres.restart)
    admin = await asyncpg.connect(private_postgres.url)
    await admin.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    await admin.execute("CREATE DATABASE small TABLESPACE small TEMPLATE template0")
    await admin.close()
    filler = small_disk / "filler"
    async with rig("database disk full", amqp_url, private_postgres.database_url("small"), **IMPATIENT) as world:
        await world.publish(50)
        await world.mirrored()
        fill_up(filler)
        await world.publish(500)
        body = await world.service.wait_for(lambda status, body: "store cannot be used" in str(body["reasons"]))
        assert "No space left" in str(body["reasons"])
        filler.unlink()
        await world.resumed()


async def test_a_lock_that_somebody_holds_for_longer_than_we_wait(
    rig: Callable[..., Any], amqp_url: str, postgres_url: str
) -> None:
    async with rig("table locked", amqp_url, postgres_url, **IMPATIENT) as world:
        await world.publish(50)
        await world.mirrored()
        somebody = await asyncpg.connect(postgres_url)
        async with somebody.transaction():
            await somebody.execute("LOCK TABLE data_profiles IN ACCESS EXCLUSIVE MODE")
            await world.publish(100)
            await world.service.wait_for(lambda status, body: "store cannot be used" in str(body["reasons"]))
            assert (await world.service.get("/livez"))[0] == 200
        await somebody.close()
        await world.resumed()


@pytest.mark.timeout(180)
async def test_two_replicas_at_the_strictest_isolation_try_again_what_could_not_be_serialised(
    rig: Callable[..., Any], amqp_url: str, postgres_url: str
) -> None:
    admin = await asyncpg.connect(postgres_url)
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    await admin.close()
    small = {"AMQP__PREFETCH": "40", "PIPELINE__BATCH_MAX": "10"}
    async with rig("serialisation failures", amqp_url, postgres_url, replicas=2, **small) as world:
        await world.publish(800)
        await world.resumed()


@pytest.mark.timeout(180)
async def test_sessions_with_a_server_that_only_reads_are_left_once_the_way_leads_to_the_primary(
    rig: Callable[..., Any], amqp_url: str
) -> None:
    """A switch-over may leave sessions open with the standby: they answer every question, and write nothing."""
    async with off_loop(PrivatePostgres()) as primary:
        url = await asyncio.to_thread(primary.create_database, "mirrored")
        async with off_loop(PrivatePostgres(follows=primary)) as standby, TcpProxy.before(url) as proxy:
            async with rig("sessions left on a standby", amqp_url, proxy.through(url), **IMPATIENT) as world:
                await world.publish(50)
                await world.mirrored()
                proxy.lead_to(standby.url)
                proxy.cut()
                await world.publish(100)
                await world.service.wait_for(lambda status, body: "read-only" in str(body["reasons"]))
                proxy.lead_to(primary.url)  # for new connections: nobody closes those that are open
                await world.resumed()


@pytest.mark.timeout(180)
async def test_a_fail_over_to_a_standby_that_has_all_that_was_committed(rig: Callable[..., Any], amqp_url: str) -> None:
    async with off_loop(PrivatePostgres()) as primary:
        url = await asyncio.to_thread(primary.create_database, "mirrored")
        async with off_loop(PrivatePostgres(follows=primary)) as standby, TcpProxy.before(url) as proxy:
            await asyncio.to_thread(primary.wait_for_standby)  # from now on what is committed is there too
            async with rig("database failed over", amqp_url, proxy.through(url), **IMPATIENT) as world:
                publishing = asyncio.create_task(world.publish(400))
                await asyncio.sleep(0.5)
                await asyncio.to_thread(primary.kill)
                await asyncio.to_thread(standby.promote)
                proxy.lead_to(standby.url)
                proxy.cut()
                await publishing
                await world.resumed()
