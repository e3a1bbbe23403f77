"""Changed settings of queue and bindings: what is no longer named goes, what has to be moved is moved without loss."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from typing import Any

import aio_pika
import pytest

from sandbox.parts.mirror import MirrorProcess, environment_of

EVENTS = 2000
OLD, NEW = {"AMQP__QUEUE_MAX_BYTES": "300000000"}, {"AMQP__QUEUE_MAX_BYTES": "200000000"}


async def test_a_binding_that_settings_no_longer_name_is_removed(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    both = {"AMQP__BINDINGS": '["v2.data_profiles.*.PATCH", "v2.lineage_events.*.POST"]'}
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url, **both) as service:
        await service.wait_ready()
        await catalog.publish([profile_event(0)])
        await rows.until("SELECT count(*) FROM data_profiles", 1)
        await service.terminate()
    one = {"AMQP__BINDINGS": '["v2.lineage_events.*.POST"]'}
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url, **one) as service:
        await service.wait_ready()
        await catalog.publish([profile_event(1)])
        queue = await catalog.channel.declare_queue("catalog-mirror", passive=True)
        assert queue.declaration_result.message_count == 0
        await service.terminate()
    assert await rows.one("SELECT count(*) FROM data_profiles") == 1


async def test_other_queue_arguments_are_told_and_the_old_queue_stays_in_use(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
) -> None:
    await run_command("topology", "apply", AMQP__URL=amqp_url, STORE__URL=sqlite_url, **OLD)
    said = await run_command("topology", "apply", AMQP__URL=amqp_url, STORE__URL=sqlite_url, **NEW)
    assert "topology apply --migrate" in said
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url, **NEW) as service:
        await service.wait_ready()
        assert "queue_arguments_differ" in service.log_text()
        await catalog.publish([profile_event(1)])
        await rows_of(sqlite_url).until("SELECT count(*) FROM data_profiles", 1)


@pytest.mark.timeout(180)
async def test_a_queue_is_moved_under_load_and_over_kills_of_the_command_without_loss(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    broker: Any,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
) -> None:
    new = {**NEW, "AMQP__MANAGEMENT_URL": broker.management_url}  # without it 4.3 does not tell what it holds
    events = [profile_event(number, at_s=number) for number in range(EVENTS)]
    await run_command("topology", "apply", AMQP__URL=amqp_url, STORE__URL=sqlite_url, **OLD)
    await catalog.publish(events[: EVENTS // 2])  # a backlog
    publishing = asyncio.create_task(_publish_slowly(catalog, events[EVENTS // 2 :]))
    for after_s in (0.0, 0.2, 0.5):
        await _kill_migration(catalog, after_s, AMQP__URL=amqp_url, STORE__URL=sqlite_url, **new)
    assert await _is_there(catalog, "catalog-mirror.migrating"), "it was killed in the midst of it"
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url, **new) as service:
        said = await run_command("topology", "apply", "--migrate", AMQP__URL=amqp_url, STORE__URL=sqlite_url, **new)
        assert "was made anew" in said or "nothing was moved" in said
        await publishing
        await rows_of(sqlite_url).until("SELECT count(*) FROM data_profiles", EVENTS)
        await service.wait_ready()
    said = await run_command("topology", "apply", "--migrate", AMQP__URL=amqp_url, STORE__URL=sqlite_url, **new)
    assert "nothing was moved" in said
    assert await rows_of(sqlite_url).one("SELECT count(*) FROM dead_letters") == 0


async def _kill_migration(catalog: Any, after_s: float, **settings: str) -> None:
    """Kill it so long after its second queue is there; when it goes on from there, so long after it has connected."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "topology", "apply", "--migrate", stdout=PIPE, env=environment_of(settings)
    )
    assert process.stdout is not None
    await process.stdout.readline()  # what `apply` says before it moves
    while not await _is_there(catalog, "catalog-mirror.migrating"):
        await asyncio.sleep(0.02)
    await asyncio.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def _is_there(catalog: Any, queue: str) -> bool:
    async with await aio_pika.connect(catalog.url) as connection:
        channel = await connection.channel()
        try:
            await channel.declare_queue(queue, passive=True)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return False
        return True


async def _publish_slowly(catalog: Any, events: list[tuple[str, bytes]]) -> None:
    for start in range(0, len(events), 20):
        await catalog.publish(events[start : start + 20])
        await asyncio.sleep(0.15)
