"""Killed between request and answer: no job is lost, and none whose answer arrived is asked for again."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.parts.mirror import MirrorProcess
from sandbox.pentaho.server import PASSWORD, USERNAME, PocketPentaho, serve

#: Assets, a job each; and kills while they are asked for.
ASSETS, KILLS = 24, 2
PATIENCE_S = 60.0


def entity(number: int) -> str:
    return str(uuid.UUID(int=number, version=4))


def finished_profile(number: int) -> tuple[str, bytes]:
    """Each of an asset of its own."""
    state = {
        "metadata": {"guid": f"p{number}", "dataset_id": f"a{number}", "catalog_id": "c1"},
        "entity": {"data_profile": {"execution": {"status": "finished"}, "columns": []}},
    }
    details = {"catalog_id": "c1", "dataset_id": f"a{number}", "profile_id": f"p{number}"}
    body = {"event": "UPDATE_DATA_PROFILE", "published": "2026-05-10T15:04:15Z", "state": state, "details": details}
    return f"v2.data_profiles.p{number}.PATCH", json.dumps(body).encode()


async def answered(rows: Any) -> Counter[str]:
    """Jobs whose answer the store holds, by entity."""
    found = await rows.all("SELECT request FROM pentaho_jobs WHERE pentaho_job_id IS NOT NULL")
    return Counter(one for (request,) in found for one in json.loads(request)["scope"])


async def test_a_killed_service_loses_no_job_and_doubles_none_whose_answer_arrived(
    catalog: Any, amqp_url: str, sqlite_url: str, tmp_path: Path, rows_of: Callable[..., Any], run_command: Any
) -> None:
    pocket = PocketPentaho(answer_delay_s=0.15)
    rows = rows_of(sqlite_url)
    links = tmp_path / "links.csv"
    links.write_text(
        "kind,catalog_id,pentaho_id\n" + "".join(f"asset,a{n},{entity(n)}\n" for n in range(ASSETS)), "utf-8"
    )
    async with serve(pocket) as url:
        settings: dict[str, Any] = {
            "AMQP__URL": amqp_url, "STORE__URL": sqlite_url, "RELAY__LEASE_S": "2", "RELAY__RETRY_MAX_S": "1",
            "TARGETS__CATALOG_LINEAGE__VIA": "off", "TARGETS__PENTAHO__URL": url,
            "TARGETS__PENTAHO__USERNAME": USERNAME, "TARGETS__PENTAHO__PASSWORD": PASSWORD,
            "TARGETS__PENTAHO__OPTIONS": json.dumps(
                {"settle": 0.5, "scope_max": 3, "timeout_s": 0.5, "poll": 0.2, "poll_max": 0.5, "concurrency": 2,
                 "rules": {"profile_finished": [["data_profiling"]]}}
            ),
        }  # fmt: skip
        await run_command("links", "import", str(links), **settings)
        seen: Counter[str] = Counter()
        async with MirrorProcess(tmp_path / "service.log", **settings) as service:
            await service.wait_ready()
            await catalog.publish(finished_profile(number) for number in range(ASSETS))
            for _ in range(KILLS):
                await until_some_are_answered_and_others_on_their_way(rows, pocket, len(seen))
                await service.kill()
                kept = await answered(rows)
                seen |= Counter({one: taken_of(pocket)[one] for one in kept})
                await service.start()
            await rows.until("SELECT count(*) FROM deliveries", 0)
            await rows.until("SELECT count(*) FROM pentaho_jobs WHERE state <> 'succeeded'", 0)
            _, metrics = await service.get("/metrics")
            assert await service.terminate() == 0
        times = taken_of(pocket)
        assert sorted(times) == sorted(entity(number) for number in range(ASSETS)), "none is lost"
        assert {one: times[one] for one in seen} == dict(seen), "whose answer arrived is not asked for again"
        assert await answered(rows) == Counter(dict.fromkeys(times, 1))
        assert await rows.all("SELECT reason FROM dead_letters") == []
        stored = b"".join(file.read_bytes() for file in tmp_path.glob("mirror.db*")).decode("latin-1")
        assert [PASSWORD in text for text in (service.log_text(), metrics, stored)] == [False] * 3


async def until_some_are_answered_and_others_on_their_way(rows: Any, pocket: PocketPentaho, before: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not before < (await answered(rows)).total() < len(taken_of(pocket)):
            await asyncio.sleep(0.01)


def taken_of(pocket: PocketPentaho) -> Counter[str]:
    """How often each entity was in a job that Pentaho took."""
    return Counter(one for scope in pocket.scopes("data-profiling") for one in scope)
