"""SIGTERM in every phase: it ends by itself, in order, within the time for draining, and nothing is lost."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.process import free_port

#: Seconds for draining that the tests set, and what ending may take beyond them.
DRAIN_S, BEYOND_S = 5, 6


async def _ends_in_order(service: MirrorProcess) -> None:
    began = time.monotonic()
    assert await service.terminate() == 0, service.log_text()[-2000:]
    assert time.monotonic() - began < DRAIN_S + BEYOND_S
    assert "Traceback" not in service.log_text()


@pytest.mark.parametrize("after_s", [0.7, 1.2, 1.7, 2.2])
async def test_while_it_starts(amqp_url: str, sqlite_url: str, mirror_process: Any, after_s: float) -> None:
    """Before its signal handler is there SIGTERM ends any process; from then on it drains."""
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url) as service:
        await asyncio.sleep(after_s)
        code = await service.terminate()
        assert code in (0, -15), service.log_text()[-2000:]
        if "http_listening" in service.log_text():
            assert code == 0


async def test_while_it_waits_for_broker_or_store(sqlite_url: str, amqp_url: str, mirror_process: Any) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    no_broker = {"AMQP__URL": f"amqp://guest:guest@{nobody}/", "STORE__URL": sqlite_url}
    no_store = {"AMQP__URL": amqp_url, "STORE__URL": f"postgresql://nobody@{nobody}/none", "STORE__TIMEOUT_S": "3"}
    for settings in (no_broker, no_store):
        async with mirror_process(**settings, PIPELINE__DRAIN_S=str(DRAIN_S)) as service:
            await service.wait_for(lambda status, body: status == 503 and nobody in str(body["reasons"]))
            await _ends_in_order(service)


async def test_while_it_consumes_is_paused_or_its_receiver_is_away(
    catalog: Any, rig: Callable[..., Any], amqp_url: str, sqlite_url: str, run_command: Callable[..., Any]
) -> None:
    async with rig("SIGTERM", amqp_url, sqlite_url, PIPELINE__DRAIN_S=str(DRAIN_S), PIPELINE__BATCH_MAX="20") as world:
        for _ in range(3):  # in the midst of batches
            publishing = asyncio.create_task(world.publish(300))
            await asyncio.sleep(0.25)
            await _ends_in_order(world.service)
            await publishing
            await world.service.start()
            await world.resumed()

        await run_command("pause", STORE__URL=sqlite_url)
        await world.service.wait_for(lambda status, body: "paused by a person" in str(body["reasons"]))
        await world.publish(20)
        await _ends_in_order(world.service)
        await run_command("resume", STORE__URL=sqlite_url)
        await world.service.start()
        await world.resumed()

        await world.catalog.sink.unbind(world.catalog.exchange, "v2.lineage_events.*.MIRROR")
        await world.publish(20)
        await world.service.wait_for(lambda status, body: body["status"] == "degraded")
        await _ends_in_order(world.service)
        await world.catalog.sink.bind(world.catalog.exchange, "v2.lineage_events.*.MIRROR")
        await world.service.start()
        await world.resumed()
