"""A queue that drops what it has no room for: that is on record as a gap. Apart from others, as it takes its time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.parts.mirror import MirrorProcess
from service.amqp.tally import SKEW_S


@pytest.mark.timeout(180)
async def test_a_full_queue_is_recorded_as_a_gap_where_the_management_api_may_be_asked(
    broker: Any,
    amqp_url: str,
    catalog: Any,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    settings = {
        "AMQP__MANAGEMENT_URL": broker.management_url,
        "AMQP__QUEUE_MAX_BYTES": "50000",
        "AMQP__WATCHDOG_INTERVAL_S": "1",
    }
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url, **settings) as service:
        await service.wait_ready()
        await run_command("pause", STORE__URL=sqlite_url)
        await service.wait_for(lambda status, body: "paused" in " ".join(body["reasons"]))
        await catalog.publish([("v2.data_profiles.big.PATCH", b"x" * 5000)])
        await asyncio.sleep(4 * SKEW_S)  # so that there is something to compare with
        await catalog.publish(("v2.data_profiles.big.PATCH", b"x" * 5000) for _ in range(29))
        await rows.until("SELECT count(*) FROM gaps WHERE kind = 'queue_full'", 1, 90)
        lying = (await catalog.channel.declare_queue("catalog-mirror", passive=True)).declaration_result
        assert f'"messages": {30 - lying.message_count}, ' in service.log_text(), "how many were dropped"
