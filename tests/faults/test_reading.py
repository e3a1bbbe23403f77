"""Reading the catalog while catalog, store and replicas come and go."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sandbox.catalog import access
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.server import serve
from sandbox.parts.process import free_port
from service.kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.parts.mirror import MirrorProcess
    from sandbox.parts.postgres import PrivatePostgres
    from tests.fixtures import Rows

RunCommand = Callable[..., Awaitable[str]]


def settings_for(url: str, store: str, **more: str) -> dict[str, str]:
    return {
        "CATALOG__URL": url, "CATALOG__IAM_URL": url, "CATALOG__API_KEY": access.API_KEY, "STORE__URL": store,
        "CATALOG__CALLS_PER_MINUTE": "100000", "SYNC__POLL": "0.5s", **more,
    }  # fmt: skip


async def test_a_catalog_that_is_down_at_start_and_later_is_waited_for_and_told_of(
    sqlite_url: str, mirror_process: Callable[..., MirrorProcess], rows_of: Callable[[str], Rows]
) -> None:
    port, catalog = free_port(), PocketCatalog(seed=1, assets=20)
    settings = settings_for(f"http://127.0.0.1:{port}", sqlite_url)
    async with mirror_process(**settings) as service:
        down = await service.wait_for(lambda status, body: "CATALOG__URL" in str(body) or "127.0.0.1" in str(body))
        assert down["status"] == "starting"
        assert (await service.get("/livez"))[0] == 200
        rows = rows_of(sqlite_url)
        async with serve(catalog, port):
            await service.wait_for(lambda status, body: body["status"] == "ready")
            await rows.until("SELECT state FROM sync_runs", "done")
        await service.wait_for(lambda status, body: status == 200 and body["status"] == "degraded")
        assert (await service.get("/livez"))[0] == 200
        catalog.create_asset(catalog.container_ids("catalog")[0], "made while nobody could look")
        async with serve(catalog, port):
            # By itself, and it says so: nothing of the outage is left over.
            await service.wait_for(lambda status, body: body["status"] == "ready")
            await rows.until("SELECT count(*) FROM v1_assets WHERE name = 'made while nobody could look'", 1)


async def test_of_two_replicas_one_leads_and_the_other_takes_over_when_it_is_killed(
    postgres_url: str, tmp_path: Path, mirror_process: Callable[..., MirrorProcess], rows_of: Callable[[str], Rows]
) -> None:
    catalog = PocketCatalog(seed=1, assets=20)
    async with serve(catalog) as url:
        settings = settings_for(url, postgres_url)
        async with mirror_process(**settings) as first, mirror_process(**settings) as second:
            await asyncio.gather(first.wait_ready(), second.wait_ready())  # one of them stands by
            rows = rows_of(postgres_url)
            await rows.until("SELECT state FROM sync_runs", "done")
            await rows.until("SELECT count(*) FROM replicas WHERE status LIKE '%\"leads\": true%'", 1)
            leads = "SELECT replica_id FROM replicas WHERE status LIKE '%\"leads\": true%'"
            leader = await rows.one(leads)
            killed, left = (first, second) if f"-{first.pid}-" in leader else (second, first)
            await killed.kill()
            began = asyncio.get_running_loop().time()
            await rows.until(
                f"SELECT count(*) FROM controls WHERE name = 'sync_leader' AND value NOT LIKE '%{leader}%'", 1
            )
            assert asyncio.get_running_loop().time() - began < 30
            catalog.create_asset(catalog.container_ids("catalog")[0], "made after")
            await rows.until("SELECT count(*) FROM v1_assets WHERE name = 'made after'", 1)
            assert (await left.get("/readyz"))[0] == 200
            assert await rows.one("SELECT count(*) FROM sync_runs WHERE mode = 'snapshot'") == 1


async def test_a_store_that_goes_away_while_the_catalog_is_read_ends_nothing(
    private_postgres: PrivatePostgres, mirror_process: Callable[..., MirrorProcess], rows_of: Callable[[str], Rows]
) -> None:
    catalog = PocketCatalog(seed=1, assets=60)
    catalog.knobs.latency_s = 0.02
    async with serve(catalog) as url:
        store = await asyncio.to_thread(private_postgres.create_database, "reading")
        async with mirror_process(**settings_for(url, store)) as service:
            rows = rows_of(store)
            await rows.until("SELECT count(*) > 0 FROM assets", True)
            await asyncio.to_thread(private_postgres.kill)
            await asyncio.sleep(2)
            assert (await service.get("/livez"))[0] == 200
            await asyncio.to_thread(private_postgres.start)
            await rows.until("SELECT state FROM sync_runs", "done")
            await service.wait_for(lambda status, body: body["status"] == "ready")
            assert "Traceback" not in service.log_text()
            assert await rows.one("SELECT count(*) FROM sync_runs WHERE mode = 'snapshot'") == 1


async def test_a_snapshot_whose_process_was_killed_goes_on_where_it_was(
    sqlite_url: str, run_command: RunCommand, rows_of: Callable[[str], Rows]
) -> None:
    catalog = PocketCatalog(seed=1, assets=3000)
    others = ",".join(name for name in KINDS if name != "asset")
    async with serve(catalog) as url:
        settings = settings_for(url, sqlite_url, SYNC__SKIP=others)
        catalog.knobs.latency_s = 0.3
        environment: dict[str, Any] = {**os.environ, **{f"CATALOG_MIRROR_{k}": v for k, v in settings.items()}}
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service", "snapshot", env=environment, stdout=DEVNULL, stderr=DEVNULL
        )
        rows = rows_of(sqlite_url)
        await rows.until('SELECT count(*) FROM sync_runs WHERE progress LIKE \'%"cursor": "%\'', 1)
        command.kill()
        await command.wait()
        catalog.knobs.latency_s = 0.0
        async with rows.store.write() as connection:  # as if the lease of the dead one had run out
            await connection.execute(sa.text("DELETE FROM controls WHERE name = 'sync_leader'"))
        read = await rows.one("SELECT count(*) FROM assets")
        calls = catalog.calls["POST /v2/asset_types/{type}/search"]
        report = json.loads(await run_command("snapshot", "--json", **settings))
        assert report["state"] == "done"
        assert await rows.one("SELECT count(*) FROM sync_runs") == 1
        assert await rows.one("SELECT count(*) FROM assets WHERE document IS NOT NULL") >= 3000
        # 19 pages in all four containers; of those that were written none is read again but the last few.
        assert catalog.calls["POST /v2/asset_types/{type}/search"] - calls <= 20 - read // 200 + 4
