"""Switches of targets: they hold on every replica within seconds; what waits can be looked at, and told again."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from sandbox.parts.mirror import MirrorProcess

#: Seconds within which a switch holds on every replica.
SWITCHED_S = 5.0
EVENTS = 20


async def test_pausing_a_target_holds_on_every_replica_within_five_seconds_and_loses_nothing(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    postgres_url: str,
    tmp_path: Path,
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
) -> None:
    rows = rows_of(postgres_url)
    settings: dict[str, Any] = {"AMQP__URL": amqp_url, "STORE__URL": postgres_url}
    async with AsyncExitStack() as stack:
        services = [MirrorProcess(tmp_path / f"service{n}.log", **settings) for n in range(2)]
        for service in services:
            await stack.enter_async_context(service)
        await asyncio.gather(*(service.wait_ready() for service in services))

        await run_command("targets", "pause", "catalog_lineage", "--reason", "maintenance", **settings)
        async with asyncio.timeout(SWITCHED_S):
            await asyncio.gather(*(service.wait_for(_says_paused) for service in services))
        await catalog.publish(profile_event(number, at_s=number) for number in range(EVENTS))
        await rows.until("SELECT count(*) FROM data_profiles", EVENTS)
        assert await rows.one("SELECT count(*) FROM deliveries") == EVENTS
        assert await catalog.came_back() == []

        planned = json.loads(await run_command("targets", "plan", "catalog_lineage", "--json", **settings))
        shown = await run_command("targets", "plan", "catalog_lineage", "--limit", "1", **settings)
        assert "paused: maintenance" in shown
        assert "v2.lineage_events." in shown

        await run_command("targets", "resume", "catalog_lineage", **settings)
        await rows.until("SELECT count(*) FROM deliveries", 0, patience_s=SWITCHED_S)
        came_back = await catalog.came_back()
        assert sorted(came_back) == sorted(one["body"]["event_details"]["event_id"] for one in planned)
        assert len(came_back) == EVENTS

        counted = json.loads(await run_command("targets", "backfill", "catalog_lineage", "--json", **settings))
        assert counted == {"dry_run": False, "deliveries": {"lineage_event": EVENTS}}
        await rows.until("SELECT count(*) FROM deliveries", 0)
        assert sorted(await catalog.came_back()) == sorted(came_back), "told again: the same events"
    actions = await rows.all("SELECT action FROM audit_log ORDER BY seq")
    assert [action for (action,) in actions] == ["target.pause", "target.resume", "target.backfill"]


def _says_paused(status: int, body: dict[str, Any]) -> bool:
    return "target catalog_lineage is paused" in body["reasons"]
