"""The service and its commands read a catalog, seen from outside; there is no broker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.catalog import access
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.shapes import CLEAR_SECRET

if TYPE_CHECKING:
    from sandbox.parts.mirror import MirrorProcess
    from tests.fixtures import Rows

RunCommand = Callable[..., Awaitable[str]]
#: What the pocket catalog serves in clear, and what we sign in with.
SECRETS = (CLEAR_SECRET, "{wdpaes}", "AKPOCKET", access.API_KEY)


@pytest.fixture
def pocket() -> PocketCatalog:
    """Two dozen assets, some of them connections with passwords."""
    return PocketCatalog(seed=1, assets=60)


@pytest.fixture
def settings(pocket_settings: dict[str, str], sqlite_url: str) -> dict[str, str]:
    """Settings of a service without a broker that looks often."""
    return {**pocket_settings, "STORE__URL": sqlite_url, "SYNC__POLL": "0.5s"}


async def test_without_a_broker_it_becomes_ready_takes_a_snapshot_by_itself_follows_changes_and_shows_no_secret(
    pocket: PocketCatalog, settings: dict[str, str], sqlite_url: str, run_command: RunCommand,
    mirror_process: Callable[..., MirrorProcess], rows_of: Callable[[str], Rows],
) -> None:  # fmt: skip
    async with mirror_process(**settings, LOG__LEVEL="debug") as service:
        await service.wait_ready()
        rows = rows_of(sqlite_url)
        await rows.until("SELECT state FROM sync_runs WHERE mode = 'snapshot'", "done")
        assert await rows.one("SELECT reason FROM sync_runs") == "the first run"
        pocket.create_asset(pocket.container_ids("catalog")[0], "made while it runs")
        await rows.until("SELECT count(*) FROM v1_assets WHERE name = 'made while it runs'", 1)
        await rows.until("SELECT count(*) FROM search_things WHERE sort_name = 'made while it runs'", 1)

        told = json.loads(await run_command("status", "--json", **settings))
        assert told["leader"] in told["replicas"]
        assert [run["state"] for run in told["runs"]] == ["done"]
        assert told["mirror"]["assets"] > 60
        report = json.loads(await run_command("reconcile", "--json", **settings))
        assert report["state"] == "done"
        assert report["kinds"]["asset"]["listed"] > 60
        # Nothing is running: there is nothing to hold, and nothing that would hold the next run.
        assert "No run" in await run_command("snapshot", "--stop", expect=2, **settings)
        name = pocket.create_asset(pocket.container_ids("catalog")[0], "asked for")
        assert "within seconds" in await run_command("refresh", name, **settings)
        await rows.until("SELECT count(*) FROM v1_assets WHERE name = 'asked for'", 1)

        _, metrics = await service.get("/metrics")
        dump = [str(row) for (table,) in await rows.all("SELECT name FROM sqlite_master WHERE type = 'table'")
                for row in await rows.all(f"SELECT * FROM {table}")]  # fmt: skip
        assert any(secret in str(list(pocket.true_assets())) for secret in SECRETS)
        for place, text in (("store", "\n".join(dump)), ("log", service.log_text()), ("metrics", metrics)):
            assert [secret for secret in SECRETS if secret in text] == [], place
        assert await service.terminate() == 0


async def test_commands_without_a_service_do_the_work_themselves(
    pocket: PocketCatalog, settings: dict[str, str], sqlite_url: str, run_command: RunCommand,
    rows_of: Callable[[str], Rows],
) -> None:  # fmt: skip
    report = json.loads(await run_command("snapshot", "--json", **settings))
    assert (report["mode"], report["state"], report["problems"]) == ("snapshot", "done", [])
    rows = rows_of(sqlite_url)
    assert await rows.one("SELECT count(*) FROM controls WHERE name = 'sync_leader'") == 0

    where = pocket.container_ids("catalog")[0]
    made = pocket.create_asset(where, "made since")
    assert "It was read" in await run_command("refresh", made, "--container", f"catalog:{where}", **settings)
    assert await rows.one("SELECT count(*) FROM v1_assets WHERE name = 'made since'") == 1
    wrong = await run_command("refresh", "no-such-asset", expect=1, **settings)
    assert "not about asset no-such-asset yet" in wrong

    pocket.delete_container(where)
    braked = await run_command("reconcile", "--repair", expect=1, **settings)
    assert "orphaned" in braked  # the report comes first, then why it failed
    assert "--accept-deletions" in braked
    assert await rows.one(f"SELECT count(*) FROM v1_assets WHERE container_id = '{where}'") > 0
    await run_command("reconcile", "--repair", "--accept-deletions", **settings)
    assert await rows.one(f"SELECT count(*) FROM v1_assets WHERE container_id = '{where}'") == 0

    other = pocket.container_ids("catalog")[0]
    look = json.loads(await run_command("scope", "purge", "--json", **settings, SCOPE__EXCLUDE=f"catalog:{other}"))
    assert look["rows"]["assets"] > 0
    assert await rows.one(f"SELECT count(*) FROM v1_assets WHERE container_id = '{other}'") > 0
    await run_command("scope", "purge", "--yes", **settings, SCOPE__EXCLUDE=f"catalog:{other}")
    assert await rows.one(f"SELECT count(*) FROM v1_assets WHERE container_id = '{other}'") == 0
    assert await rows.one("SELECT count(*) FROM deliveries") == 0


async def test_a_command_that_cannot_do_its_work_says_what_to_do(
    pocket: PocketCatalog, settings: dict[str, str], run_command: RunCommand
) -> None:
    assert "no kind 'nothing'" in await run_command("refresh", "x", "--kind", "nothing", expect=2, **settings)
    wrong = await run_command("snapshot", expect=1, **{**settings, "CATALOG__API_KEY": "wrong"})
    assert "CATALOG__API_KEY" in wrong
    assert "wrong" not in wrong.replace("went wrong", "")
    assert pocket.calls.total() > 0


async def test_ctrl_c_ends_a_snapshot_which_goes_on_where_it_was(
    pocket: PocketCatalog, settings: dict[str, str], sqlite_url: str, run_command: RunCommand,
    rows_of: Callable[[str], Rows],
) -> None:  # fmt: skip
    pocket.knobs.latency_s = 0.02
    environment: dict[str, Any] = {**os.environ, **{f"CATALOG_MIRROR_{key}": text for key, text in settings.items()}}
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "snapshot", env=environment, stdout=PIPE, stderr=PIPE,
        # Where the tests themselves run in the background, their children would not hear of it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    rows = rows_of(sqlite_url)
    await rows.until("SELECT count(*) > 0 FROM assets", 1)
    command.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(command.communicate(), 30)
    assert command.returncode == 130
    assert b"Traceback" not in errors
    assert await rows.one("SELECT state FROM sync_runs") == "running"
    assert await rows.one("SELECT count(*) FROM controls WHERE name = 'sync_leader'") == 0

    pocket.knobs.latency_s = 0.0
    report = json.loads(await run_command("snapshot", "--json", **settings))
    assert report["state"] == "done"
    assert await rows.one("SELECT count(*) FROM sync_runs") == 1
