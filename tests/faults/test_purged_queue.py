"""A queue that somebody purges: that is on record as a gap. Apart from other tests, as it takes its time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.parts.mirror import MirrorProcess
from service.amqp.tally import SKEW_S


@pytest.mark.timeout(180)
async def test_a_purged_queue_is_recorded_as_a_gap_where_the_management_api_may_be_asked(
    broker: Any,
    amqp_url: str,
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    settings = {"AMQP__MANAGEMENT_URL": broker.management_url, "AMQP__WATCHDOG_INTERVAL_S": "1"}
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url, **settings) as service:
        await service.wait_ready()
        await catalog.publish(profile_event(number) for number in range(50))
        await rows.until("SELECT count(*) FROM data_profiles", 50)
        await run_command("pause", STORE__URL=sqlite_url)
        await service.wait_for(lambda status, body: "paused" in " ".join(body["reasons"]))
        await catalog.publish(profile_event(number) for number in range(50, 90))
        # Time itself is the condition: figures are compared with those of half a minute ago.
        await asyncio.sleep(2 * SKEW_S + 5)
        assert await rows.one("SELECT count(*) FROM gaps") == 0
        queue = await catalog.channel.declare_queue("catalog-mirror", passive=True)
        await queue.purge()
        await rows.until("SELECT count(*) FROM gaps WHERE kind = 'queue_purged'", 1, 90)
        assert "40 messages are gone" in await rows.one("SELECT detail FROM gaps")
