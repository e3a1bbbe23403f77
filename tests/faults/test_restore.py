"""A store that went back to an older backup: it is noticed, and all that goes out is held until a person lets it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.parts.mirror import MirrorProcess


async def test_a_restored_store_is_noticed_reconciled_and_tells_nobody_until_a_person_lets_it(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    pocket_settings: dict[str, str],
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
    tmp_path: Path,
) -> None:
    settings = {
        "AMQP__URL": amqp_url, "STORE__URL": sqlite_url, "TARGETS__CATALOG_LINEAGE__VIA": "amqp", "SYNC__POLL": "1s",
        **pocket_settings,
    }  # fmt: skip
    file, backup = Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "backup"
    async with mirror_process(**settings) as service:
        await service.wait_ready()
        rows = rows_of(sqlite_url)
        await rows.until("SELECT count(*) FROM sync_runs WHERE state = 'done'", 1)
        await run_command("targets", "pause", "catalog_lineage", **settings)
        await service.wait_for(lambda status, body: "paused" in str(body["reasons"]))
        await catalog.publish([profile_event(1)])
        await rows.until("SELECT count(*) FROM deliveries", 1)
        await service.terminate()
        await rows.store.close()
        _copy(file, backup)  # with a delivery that is pending
        rows = rows_of(sqlite_url)
        await run_command("targets", "resume", "catalog_lineage", **settings)
        await service.start()
        await catalog.publish([profile_event(2)])
        await rows.until("SELECT count(*) FROM lineage_events WHERE own", 2)
        await rows.until("SELECT count(*) FROM deliveries", 0)
        await service.terminate()
        assert len(await catalog.came_back()) == 2
        await rows.store.close()

        _copy(backup, file)
        await service.start()
        rows = rows_of(sqlite_url)
        await run_command("targets", "resume", "catalog_lineage", **settings)  # the backup knows it as paused
        await rows.until("SELECT count(*) FROM controls WHERE name = 'deliveries_held'", 1)
        assert json.loads(await run_command("status", "--json", **settings))["held"]
        await rows.until("SELECT count(*) FROM sync_runs WHERE mode = 'reconcile' AND state = 'done'", 1)
        await catalog.publish([profile_event(3)])
        await rows.until("SELECT count(*) FROM lineage_events WHERE own", 2)
        assert await rows.one("SELECT count(*) FROM deliveries") == 2
        assert await catalog.came_back() == [], "one of them was told before the store went back"

        await run_command("deliveries", "release", "--reason", "looked at", **settings)
        await rows.until("SELECT count(*) FROM deliveries", 0)
        assert len(await catalog.came_back()) == 2


def _copy(source: Path, target: Path) -> None:
    """The file of a store that nobody has open; what is not yet in it (its log) belongs to it."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{target}{suffix}").unlink(missing_ok=True)
        if Path(f"{source}{suffix}").exists():
            shutil.copy(f"{source}{suffix}", f"{target}{suffix}")
