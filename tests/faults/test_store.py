"""Outages of the store pause consuming; nothing becomes a dead letter, nothing is lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from sandbox.parts.mirror import MirrorProcess


async def test_a_row_that_the_store_refuses_hurts_only_itself(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    postgres_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows = rows_of(postgres_url)
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=postgres_url) as service:
        await service.wait_ready()
        async with rows.store.write() as connection:
            await connection.execute(sa.text("ALTER TABLE data_profiles ADD CHECK (profile_id <> 'p13')"))
        await catalog.publish(profile_event(number, at_s=number) for number in range(100))
        await rows.until("SELECT count(*) FROM data_profiles", 99)
        assert await rows.all("SELECT routing_key, error_class FROM dead_letters") == [
            ("v2.data_profiles.p13.PATCH", "store_refused")
        ]


async def test_the_service_waits_for_a_database_that_starts_later(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    private_postgres: Any,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    url = await asyncio.to_thread(private_postgres.create_database, "late")
    await asyncio.to_thread(private_postgres.stop)
    await catalog.bind_mirror_queue()
    await catalog.publish([profile_event(1)])
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=url, STORE__TIMEOUT_S="5") as service:
        await service.wait_for(lambda status, body: status == 503 and "store" in " ".join(body["reasons"]))
        await asyncio.to_thread(private_postgres.start)
        await service.wait_ready()
        await rows_of(url).until("SELECT count(*) FROM data_profiles", 1)


async def test_an_event_whose_dead_letter_cannot_be_written_stays_in_the_queue(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    store_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows = rows_of(store_url)
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=store_url) as service:
        await service.wait_ready()
        await rows.execute("ALTER TABLE dead_letters RENAME TO not_dead_letters")
        await catalog.publish([profile_event(1), ("v2.data_profiles.x.POST", b"{"), profile_event(2)])
        await service.wait_for(lambda status, body: "lacks a table or column" in str(body["reasons"]))
        assert await service.terminate() == 0
        queue = await catalog.channel.declare_queue("catalog-mirror", passive=True)
        written = await rows.one("SELECT count(*) FROM data_profiles")
        assert written <= 1, "the first may have gone before the others came; of their batch nothing is written"
        assert queue.declaration_result.message_count == 3 - written, "nor is anything of it acknowledged"
        await rows.execute("ALTER TABLE not_dead_letters RENAME TO dead_letters")
        await service.start()
        await rows.until("SELECT count(*) FROM data_profiles", 2)
        await rows.until("SELECT count(*) FROM dead_letters", 1)
