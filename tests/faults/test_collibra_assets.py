"""From an event to Collibra's asset, with the service as people run it; killed in between, nothing is made twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.collibra.backend import PASSWORD, USERNAME, PocketCollibra, serve

SYSTEM = "catalog-mirror"
MAPPING = {
    "domains": {"*": {"name": "Shop data", "community": "Shop"}},
    "assets": {"data_asset": {"type": "Table", "attributes": {"Description": "description"}}},
    "columns": {"type": "Column", "name": "{asset_name} > {name}"},
}


@pytest.fixture
async def collibra() -> AsyncIterator[tuple[PocketCollibra, str]]:
    made = PocketCollibra()
    async with serve(made) as url:
        yield made, url


@pytest.fixture
def settings(collibra: tuple[PocketCollibra, str], tmp_path: Path) -> Callable[..., dict[str, str]]:
    """A service that is told by a broker, and tells Collibra: `settings(amqp_url, store_url)`."""

    def make(amqp_url: str, store_url: str, **more: str) -> dict[str, str]:
        mapping, password = tmp_path / "mapping.json", tmp_path / "password"
        mapping.write_text(json.dumps(MAPPING))
        password.write_text(PASSWORD)
        return {
            "AMQP__URL": amqp_url, "STORE__URL": store_url, "RELAY__POLL_S": "0.1",
            "TARGETS__CATALOG_LINEAGE__VIA": "off", "TARGETS__COLLIBRA_ASSETS__URL": collibra[1],
            "TARGETS__COLLIBRA_ASSETS__USERNAME": USERNAME, "TARGETS__COLLIBRA_ASSETS__PASSWORD_FILE": str(password),
            "TARGETS__COLLIBRA_ASSETS__OPTIONS": json.dumps({"mapping_file": str(mapping), "poll": 0.05}), **more,
        }  # fmt: skip

    return make


def _asset(asset_id: str, at_s: int, description: str) -> tuple[str, bytes]:
    """An event of an asset with a column."""
    state = {
        "metadata": {"asset_id": asset_id, "asset_type": "data_asset", "name": asset_id, "description": description},
        "entity": {"data_asset": {}, "column_info": {"id": {}}},
    }
    body = {
        "published": f"2026-05-10T15:{at_s // 60:02}:{at_s % 60:02}Z", "details": {"catalog_id": "c1"}, "state": state,
    }  # fmt: skip
    return f"v2.data_assets.{asset_id}.POST", json.dumps(body).encode()


async def test_an_event_becomes_an_asset_there_and_the_next_one_changes_it(
    collibra: tuple[PocketCollibra, str], settings: Any, catalog: Any, amqp_url: str, sqlite_url: str,
    mirror_process: Any, rows_of: Any, run_command: Any,
) -> None:  # fmt: skip
    pocket, rows, chosen = collibra[0].imports, rows_of(sqlite_url), settings(amqp_url, sqlite_url)
    assert "all that they name is there" in await run_command("doctor", expect=None, **chosen)
    async with mirror_process(**chosen) as service:
        await service.wait_ready()
        await catalog.publish([_asset("a1", 1, "Orders of the shop")])
        await rows.until("SELECT count(*) FROM collibra_assets WHERE command LIKE '%Orders of the shop%'", 1)
        await catalog.publish([_asset("a1", 2, "Orders, all of them")])
        await rows.until("SELECT count(*) FROM collibra_assets WHERE command LIKE '%all of them%'", 1)
        await rows.until("SELECT count(*) FROM deliveries", 0)
        assert await service.terminate() == 0

    asset = pocket.of(SYSTEM, "a1")
    assert asset is not None
    assert (asset.type, asset.attributes) == ("Table", {"Description": ["Orders, all of them"]})
    assert len(pocket.assets) == 1 + (await rows.one("SELECT count(*) FROM asset_columns"))
    assert PASSWORD not in service.log_text()


async def test_killed_between_an_import_and_its_answer_it_makes_nothing_twice_and_loses_nothing(
    collibra: tuple[PocketCollibra, str], settings: Any, catalog: Any, amqp_url: str, postgres_url: str,
    mirror_process: Any, rows_of: Any,
) -> None:  # fmt: skip
    pocket, rows = collibra[0].imports, rows_of(postgres_url)
    pocket.answers = asyncio.Event()
    async with mirror_process(**settings(amqp_url, postgres_url, RELAY__LEASE_S="2")) as service:
        await service.wait_ready()
        await catalog.publish([_asset(f"a{number}", number, "first") for number in range(5)])
        async with asyncio.timeout(30):
            await pocket.taken.wait()
        await service.kill()
        assert await rows.one("SELECT count(*) FROM collibra_assets WHERE pending IS NOT NULL AND job_id IS NULL")
        pocket.answers.set()

        await service.start()
        await service.wait_ready()
        await rows.until("SELECT count(*) FROM collibra_assets WHERE pending IS NULL AND entity_id LIKE 'a_'", 5)
        await rows.until("SELECT count(*) FROM deliveries", 0)
        assert await service.terminate() == 0

    names = sorted(asset.name for asset in pocket.assets.values())
    assert names == sorted(set(names))
    assert {f"a{number}" for number in range(5)} <= set(names)
    assert await rows.one("SELECT count(*) FROM dead_letters") == 0
