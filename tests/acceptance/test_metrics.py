"""What alerts are made of: a service that is well says nothing, one that is stopped says why."""

import asyncio
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from sandbox.parts.mirror import MirrorProcess

PATIENCE_S = 20.0


async def scrape(service: MirrorProcess) -> dict[str, float]:
    """Every sample by name, with the reason where it has one."""
    _, text = await service.get("/metrics")
    return {
        f"{sample.name}:{sample.labels['reason']}" if "reason" in sample.labels else sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def until(service: MirrorProcess, condition: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not condition(found := await scrape(service)):
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.1)
    return found


async def test_a_service_says_how_long_its_queue_is_and_what_stops_it(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    run_command: Callable[..., Any],
) -> None:
    settings = {"AMQP__URL": amqp_url, "STORE__URL": sqlite_url}
    async with mirror_process(AMQP__WATCHDOG_INTERVAL_S="0.2", **settings) as service:
        await service.wait_ready()
        found = await until(service, lambda found: found["catalog_mirror_queue_messages"] == 0)
        assert found["catalog_mirror_consumer_alive"] == 1
        assert {found[f"catalog_mirror_stopped:{reason}"] for reason in ("store", "broker", "brake", "person")} == {0}
        assert found["catalog_mirror_queue_bytes_free"] != found["catalog_mirror_queue_bytes_free"], (
            "nobody looked: NaN"
        )

        await run_command("pause", **settings)
        await until(service, lambda found: found["catalog_mirror_stopped:person"] == 1)
        await catalog.publish([profile_event(1)])
        found = await until(service, lambda found: found["catalog_mirror_queue_messages"] == 1)
        assert found["catalog_mirror_consumer_alive"] == 1, "who is paused is not dead"

        await run_command("resume", **settings)
        await until(service, lambda found: found["catalog_mirror_stopped:person"] == 0)
        assert await service.terminate() == 0
