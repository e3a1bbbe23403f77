"""Lineage back: confirmed, once per event, waiting while nobody is bound, and never an answer to itself."""

import json
from collections.abc import Callable
from typing import Any

from sandbox.parts.mirror import MirrorProcess


async def test_unroutable_lineage_waits_and_goes_out_once_somebody_binds(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    await catalog.sink.unbind(catalog.exchange, "v2.lineage_events.*.MIRROR")
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url, RELAY__RETRY_MAX_S="1") as service:
        await service.wait_ready()
        await catalog.publish(profile_event(number, at_s=number) for number in range(5))
        body = await service.wait_for(lambda status, body: body["status"] == "degraded")
        assert "v2.lineage_events.*.MIRROR" in " ".join(body["reasons"]), "it says who must bind what"
        await rows.until("SELECT count(*) FROM deliveries", 5)
        await catalog.sink.bind(catalog.exchange, "v2.lineage_events.*.MIRROR")
        await rows.until("SELECT count(*) FROM deliveries", 0)
        await service.wait_for(lambda status, body: body["status"] == "ready")
    assert len(await catalog.came_back()) == 5
    assert await rows.one("SELECT count(*) FROM dead_letters") == 0


async def test_our_own_lineage_that_comes_back_is_ignored_and_not_answered(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url) as service:
        await service.wait_ready()
        await catalog.publish([profile_event(1)])
        await rows.until("SELECT count(*) FROM lineage_events WHERE own", 1)
        document = json.loads(await rows.one("SELECT document FROM lineage_events WHERE own"))
        event_id = document["event_details"]["event_id"]
        relayed = json.loads(json.dumps(document))
        relayed["event_details"]["event_source_service"] = "Another Relay"
        key = f"v2.lineage_events.{event_id}.POST"
        await catalog.publish([(key, json.dumps(document).encode()), (key, json.dumps(relayed).encode())])
        await catalog.publish([profile_event(2)])
        await rows.until("SELECT count(*) FROM data_profiles", 2)
        assert await rows.one("SELECT count(*) FROM lineage_events") == 2
        _, metrics = await service.get("/metrics")
        ignored = 'catalog_mirror_events_total{outcome="ignored",topic="v2.lineage_events.*.POST"} 2.0'
        assert ignored in metrics


async def test_a_target_that_is_turned_off_is_not_told_and_the_mirror_goes_on(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    settings = {"TARGETS__CATALOG_LINEAGE__VIA": "off"}
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url, **settings) as service:
        await service.wait_ready()
        await catalog.publish(profile_event(number) for number in range(10))
        await rows.until("SELECT count(*) FROM data_profiles", 10)
        assert await rows.one("SELECT count(*) FROM lineage_events") == 0
        assert await rows.one("SELECT count(*) FROM deliveries") == 0
        assert await service.terminate() == 0


async def test_a_paused_target_gets_nothing_until_it_is_resumed(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url) as service:
        await service.wait_ready()
        await run_command("targets", "pause", "catalog_lineage", STORE__URL=sqlite_url)
        await service.wait_for(lambda status, body: "paused" in " ".join(body["reasons"]))
        await catalog.publish([profile_event(1)])
        await rows.until("SELECT count(*) FROM deliveries", 1)
        assert await catalog.came_back() == []
        await run_command("targets", "resume", "catalog_lineage", STORE__URL=sqlite_url)
        await rows.until("SELECT count(*) FROM deliveries", 0)
    assert len(await catalog.came_back()) == 1


async def test_pause_gives_everything_back_and_resume_goes_on(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url) as service:
        await service.wait_ready()
        await run_command("pause", "--reason", "maintenance", STORE__URL=sqlite_url)
        await service.wait_for(lambda status, body: "maintenance" in " ".join(body["reasons"]))
        await catalog.publish(profile_event(number) for number in range(10))
        queue = await catalog.channel.declare_queue("catalog-mirror", passive=True)
        assert queue.declaration_result.consumer_count == 0
        await run_command("resume", STORE__URL=sqlite_url)
        await rows.until("SELECT count(*) FROM data_profiles", 10)
