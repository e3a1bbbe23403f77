"""Versions that meet under load: a newer schema under this code, and an older one that is waited for."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from pydantic import SecretStr

from sandbox.parts.mirror import MirrorProcess
from service.mirror import schema
from service.mirror.store import Store
from service.settings.model import StoreSettings

#: What a later version of this generation may do to a schema: add, never take away (docs/architecture.md).
NEWER = (
    "ALTER TABLE data_profiles ADD COLUMN of_tomorrow text DEFAULT 'x'",
    "CREATE INDEX of_tomorrow ON data_profiles (of_tomorrow)",
    "CREATE TABLE of_tomorrow_too (id integer PRIMARY KEY)",
    "UPDATE alembic_version SET version_num = '0199'",
)


async def test_a_newer_schema_comes_under_load_and_this_version_goes_on_and_starts_again_on_it(
    rig: Callable[..., Any], amqp_url: str, store_url: str
) -> None:
    async with rig("schema upgraded below it", amqp_url, store_url) as world:
        publishing = asyncio.create_task(world.publish(500))
        await asyncio.sleep(0.3)
        await world.rows.execute(*NEWER)
        await publishing
        await world.resumed()
        assert await world.service.terminate() == 0
        await world.publish(50)
        await world.service.start()
        await world.resumed()
        assert await world.rows.one("SELECT version_num FROM alembic_version") == "0199", "it touches nothing newer"


async def test_an_older_schema_is_waited_for_until_somebody_upgrades_it(
    rig: Callable[..., Any],
    amqp_url: str,
    empty_store_url: str,
    mirror_process: Callable[..., MirrorProcess],
    run_command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await _make_older(empty_store_url, monkeypatch)
    settings = {"AMQP__URL": amqp_url, "STORE__URL": empty_store_url, "STORE__MIGRATE": "false"}
    async with mirror_process(**settings) as service:
        body = await service.wait_for(lambda status, body: status == 503 and "revision" in str(body["reasons"]))
        assert "catalog-mirror db upgrade" in str(body["reasons"])
        assert (await service.get("/livez"))[0] == 200
        await run_command("db", "upgrade", STORE__URL=empty_store_url)
        async with rig("schema too old at first", amqp_url, empty_store_url, replicas=0) as world:
            await service.wait_ready()
            await world.resumed()


async def _make_older(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store at the revision before the oldest that this code runs on."""
    older = str(ScriptDirectory.from_config(schema._config()).get_revision(schema.OLDEST).down_revision)
    upgrade = command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda config, _: upgrade(config, older))
        patched.setattr(schema, "describe", lambda _: None)  # it describes what is not there yet
        store = Store(StoreSettings(url=SecretStr(url)))
        await schema.upgrade(store)
        assert await schema.current(store) == older
        await store.close()
