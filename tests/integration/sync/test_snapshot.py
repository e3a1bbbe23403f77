"""A snapshot brings in everything that the catalog has, beside the live stream, and goes on where it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.shapes import CLEAR_SECRET
from service.mirror import controls, progress
from service.mirror.lineage.datasets import located
from service.mirror.progress import SNAPSHOT
from service.mirror.tables import assets, metadata
from service.settings.model import ScopeSettings, SyncSettings
from service.sync import runs
from service.sync.runs import Stopped
from service.sync.sweep import Options
from tests.integration.sync.kinds import only
from tests.integration.sync.truth import differences

if TYPE_CHECKING:
    from service.mirror.progress import Run
    from tests.integration.conftest import Subscriber
    from tests.integration.sync.conftest import Reading

#: Kinds that the snapshot of a furnished catalog has something of.
KINDS = {
    "catalog", "project", "space", "asset", "data_profile", "member", "asset_type", "relationship_type", "relationship",
    "artifact", "artifact_version", "artifact_relationship", "asset_list", "asset_list_item", "quality_asset",
    "quality_check", "quality_issue", "quality_score", "job", "job_run", "metadata_import", "enrichment_area",
    "quality_definition", "quality_rule", "quality_execution", "reference_value", "protection_rule", "category",
    "category_member", "data_contract", "data_contract_test", "datasource_type",
}  # fmt: skip
#: What generated connections carry.
SECRETS = (CLEAR_SECRET, "{wdpaes}", "AKPOCKET")


async def test_a_snapshot_brings_in_every_kind_of_thing(reading: Reading) -> None:
    catalog = PocketCatalog(seed=1, assets=300)
    async with reading(catalog) as reader:
        report = await reader.snapshot()

        assert await differences(reader.mirror, catalog) == {}
        assert {kind for kind, counts in report.kinds.items() if counts["listed"]} | {
            "catalog",
            "project",
            "space",
        } >= KINDS
        assert await reader.mirror.one("SELECT count(*) FROM dead_letters") == 0
        assert await reader.mirror.one("SELECT count(*) FROM v1_freshness WHERE complete_as_of IS NULL") == 0


async def test_a_second_snapshot_and_a_reconcile_find_nothing_to_do(reading: Reading) -> None:
    async with reading(PocketCatalog(seed=2, assets=60)) as reader:
        await reader.snapshot()
        before = await reader.mirror.all("SELECT asset_id, version, mirrored_at FROM assets ORDER BY asset_id")
        report = await reader.reconcile()

        assert await reader.mirror.all("SELECT asset_id, version, mirrored_at FROM assets ORDER BY asset_id") == before
        for counts in report.kinds.values():
            assert {**counts, "listed": 0} == dict.fromkeys(counts, 0)


async def test_a_snapshot_sends_nothing_and_a_poll_does(reading: Reading, subscriber: type[Subscriber]) -> None:
    catalog = PocketCatalog(seed=3, assets=40)
    async with reading(catalog, subscribers=[subscriber()]) as reader:
        await reader.poll()
        await reader.snapshot()
        await reader.reconcile()
        assert await reader.mirror.one("SELECT count(*) FROM deliveries") == 0

        where = catalog.container_ids("catalog")[0]
        asset_id = catalog.create_asset(where, "made while we look")
        await reader.poll()

        assert await reader.mirror.all(
            "SELECT target, event_type FROM deliveries JOIN lineage_events ON entity_id = event_id"
        ) == [("lineage", "DATASET_MIRRORED")]
        assert (
            await reader.mirror.one("SELECT name FROM v1_assets WHERE asset_id = :id", id=asset_id)
            == "made while we look"
        )


async def test_an_interrupted_snapshot_goes_on_where_it_was(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies in the middle of the assets: what was read is not read again but for one page."""
    monkeypatch.setattr(runs, "CHECKPOINT_S", 0.0)
    catalog = PocketCatalog(seed=4, assets=2000)
    async with reading(catalog) as reader:
        run = await reader.runner.begin(SNAPSHOT, "a test", Options())

        async def die(run: Run) -> None:
            if catalog.calls["POST /v2/asset_types/{type}/search"] > 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await reader.runner.carry_out(run, die)
        calls = catalog.calls["POST /v2/asset_types/{type}/search"]
        again = await reader.runner.begin(SNAPSHOT, "a test", Options())
        report = await reader.runner.carry_out(again)

        assert again.run_id == run.run_id
        assert await differences(reader.mirror, catalog) == {}
        # 2,000 assets are 10 full pages and a short one in each of four containers; two pages were read twice at most.
        assert catalog.calls["POST /v2/asset_types/{type}/search"] <= calls + 14
        assert report.kinds["asset"]["listed"] >= 2000


async def test_a_person_holds_a_snapshot_lets_it_go_on_and_ends_it(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "CHECKPOINT_S", 0.0)
    monkeypatch.setattr(runs, "HOLD_LOOK_S", 0.01)
    async with reading(PocketCatalog(seed=5, assets=30)) as reader:

        async def set_held(how: dict[str, bool] | None) -> None:
            async with reader.mirror.store.write() as connection:
                if how is None:
                    await controls.clear_control(connection, progress.HELD)
                else:
                    await controls.set_control(connection, progress.HELD, how)

        run = await reader.runner.begin(SNAPSHOT, "a test", Options())
        await set_held({"stop": False})
        going = asyncio.create_task(reader.runner.carry_out(run))
        while await reader.mirror.one("SELECT state FROM sync_runs") != "paused":
            await asyncio.sleep(0.01)
        step = run.progress["step"]
        await set_held(None)
        while run.progress["step"] == step:
            await asyncio.sleep(0.01)
        await set_held({"stop": True})

        with pytest.raises(Stopped):
            await going
        assert await reader.mirror.one("SELECT state FROM sync_runs") == "stopped"
        assert await reader.mirror.one("SELECT count(*) FROM controls WHERE name = 'sync_held'") == 0


async def test_what_is_out_of_scope_is_not_read(reading: Reading) -> None:
    catalog = PocketCatalog(seed=6, assets=80)
    chosen = catalog.container_ids("catalog")[0]
    scope = ScopeSettings(include=[f"catalog:{chosen}"], exclude=["type:connection"])
    async with reading(catalog, scope=scope) as reader:
        await reader.snapshot()

        places = await reader.mirror.all("SELECT DISTINCT container_id FROM v1_assets WHERE NOT is_stub")
        assert places == [(chosen,)]
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE asset_type = 'connection'") == 0
        assert await reader.mirror.one("SELECT count(*) FROM v1_connections") == 0


async def test_an_estimate_tells_the_calls_before_they_are_made(reading: Reading) -> None:
    catalog = PocketCatalog(seed=7, assets=1000)
    async with reading(catalog, SyncSettings(skip=["asset_statistic", "metadata_import", "enrichment_area"])) as reader:
        estimates = await reader.runner.estimate()
        spent = catalog.calls.total()
        await reader.snapshot()

        told, made = sum(one.calls for one in estimates), catalog.calls.total() - spent
        assert sum(one.things for one in estimates if one.kind == "asset") >= 1000
        assert 0.6 * made < told < 1.2 * made


async def test_no_secret_that_the_catalog_serves_is_anywhere_in_the_store(reading: Reading) -> None:
    catalog = PocketCatalog(seed=8, assets=300)
    async with reading(catalog) as reader:
        await reader.snapshot()
        cards = str(list(catalog.true_assets()))
        assert all(secret in cards for secret in SECRETS)
        for table in metadata.tables:
            rows = str(await reader.mirror.all(f"SELECT * FROM {table}"))
            assert [secret for secret in SECRETS if secret in rows] == [], table


async def test_a_sweep_of_the_search_counts_the_calls_that_it_takes(reading: Reading) -> None:
    """The least possible: a full page per 200 assets, and one more to learn that there is no more."""
    catalog = PocketCatalog(seed=9, assets=1000)
    async with reading(catalog) as reader:
        await reader.snapshot()
        least = sum(
            -(-total // 200) + 1
            for (total,) in await reader.mirror.all("SELECT count(*) FROM assets GROUP BY container_id")
        )
        assert catalog.calls["POST /v2/asset_types/{type}/search"] <= least


async def test_what_a_connection_leads_to_has_a_name(reading: Reading) -> None:
    catalog = PocketCatalog(seed=3, assets=60, clock=SteppingClock())
    async with reading(catalog, only("asset", "datasource_type")) as reader:
        await reader.snapshot()
        assert await reader.mirror.one("SELECT count(*) FROM v1_datasource_types") == 113, "two pages"
        named = await reader.mirror.all(
            "SELECT DISTINCT t.label FROM v1_connections c"
            " JOIN v1_datasource_types t ON t.datasource_type_id = c.datasource_type"
        )
        assert [label for (label,) in named] == ["IBM Db2"]
        async with reader.mirror.store.read() as connection:
            query = sa.select(assets.c.asset_id).where(assets.c.connection_id.is_not(None))
            ids = set((await connection.execute(query)).scalars())
            known = {one.type_name for one in await located(connection, ids) if one.datasource_type}
        assert known == {"db2"}, "so that rules of naming, by the name of a type, fit"
