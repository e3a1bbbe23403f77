"""What is out of scope is not mirrored, whichever way it comes; narrowing the scope tells nobody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.catalog.model import PocketCatalog
from service.changes import AssetSaved, Origin, ProfileSaved, RefreshAsked
from service.errors import SettingInvalid
from service.events.message import Message
from service.mirror import refreshes
from service.mirror.purge import outside, purge
from service.pipeline.answers import Answerer
from service.pipeline.pipeline import Pipeline
from service.settings.model import PipelineSettings, ScopeSettings, TargetSettings
from service.settings.scope import Scope
from service.telemetry.metrics import Metrics
from tests.integration.sync.kinds import on_one_store, only
from tests.integration.sync.truth import differences

if TYPE_CHECKING:
    from tests.integration.conftest import Subscriber
    from tests.integration.sync.conftest import Reader, Reading


def card_event(asset_id: str, container: str, asset_type: str = "data_asset") -> Message:
    metadata = {"asset_id": asset_id, "asset_type": asset_type, "name": asset_id, "catalog_id": container}
    state = {"metadata": metadata, "entity": {asset_type: {}}}
    body = {"published": "2026-05-10T12:00:00Z", "state": state, "details": {"catalog_id": container}}
    return Message(f"v2.assets.{asset_id}.PATCH", json.dumps(body).encode())


def profile_event(profile_id: str, container: str) -> Message:
    state = {"metadata": {"guid": profile_id, "dataset_id": "d", "catalog_id": container}}
    body = {"published": "2026-05-10T12:00:00Z", "state": state, "details": {"catalog_id": container}}
    return Message(f"v2.data_profiles.{profile_id}.PATCH", json.dumps(body).encode())


def pipeline_within(reader: Reader, settings: ScopeSettings, *subscribers: Any) -> Pipeline:
    return Pipeline(
        reader.mirror.store, reader.mirror.router, PipelineSettings(), Metrics(), answerer=Answerer(TargetSettings()),
        subscribers=subscribers, verifies_hints=True, scope=Scope(settings),
    )  # fmt: skip


@on_one_store
async def test_events_of_what_is_out_of_scope_write_nothing_and_tell_nobody(
    reading: Reading, subscriber: type[Subscriber]
) -> None:
    async with reading(PocketCatalog(seed=2, assets=20)) as reader:
        settings = ScopeSettings(include=["catalog:in*", "project:*"], exclude=["type:notebook", "catalog:inner"])
        pipeline = pipeline_within(reader, settings, subscriber(lineage=False, wanted=(AssetSaved, ProfileSaved)))
        outcome = await pipeline.process(
            [
                card_event("a1", "in1"), card_event("a2", "out"), card_event("a3", "inner"),
                card_event("a4", "in1", "notebook"), profile_event("p1", "in1"), profile_event("p2", "out"),
                Message("v2.assets.a5.PATCH", b'{"details": {"catalog_id": "out"}}'),
                Message("v2.catalogs.out.PATCH", b"{}"), Message("v2.catalogs.out.members.POST", b"{}"),
            ],
            Origin.LIVE,
        )  # fmt: skip
        assert outcome.fates.total() == 9
        assert await reader.mirror.all("SELECT asset_id FROM assets WHERE document IS NOT NULL") == [("a1",)]
        assert await reader.mirror.all("SELECT profile_id FROM data_profiles") == [("p1",)]
        assert await reader.mirror.all("SELECT container_id FROM containers") == [("in1",)]
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0
        assert await reader.mirror.one("SELECT count(*) FROM deliveries") == 2


@on_one_store
async def test_what_turns_out_to_be_out_of_scope_when_it_is_read_is_not_kept(reading: Reading) -> None:
    """An event names neither container nor type; the search and the card tell."""
    catalog = PocketCatalog(seed=2, assets=60)
    inside, outer = catalog.container_ids("catalog")
    scope = ScopeSettings(include=[f"catalog:{inside}"], exclude=["type:connection"])
    async with reading(catalog, scope=scope) as reader:
        chosen = [
            card["metadata"]["asset_id"] for _, place, card in catalog.true_assets()
            if place == outer or card["metadata"]["asset_type"] == "connection"
        ]  # fmt: skip
        async with reader.mirror.store.write() as connection:
            await refreshes.ask(connection, [RefreshAsked("asset", one) for one in chosen])
        await reader.refresh()
        assert await reader.mirror.one("SELECT count(*) FROM assets") == 0
        assert await reader.mirror.one("SELECT count(*) FROM data_profiles") == 0
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0


async def test_purging_after_a_look_removes_what_is_out_of_scope_and_nothing_else_and_tells_nobody(
    reading: Reading, subscriber: type[Subscriber]
) -> None:
    catalog = PocketCatalog(seed=2, assets=60)
    kept = catalog.container_ids("catalog")[0]
    narrow = Scope(ScopeSettings(include=[f"catalog:{kept}"], exclude=["type:connection", "type:book"]))
    everything = subscriber(lineage=False, wanted=(object,), origins=frozenset(Origin))
    kinds = only("asset", "member", "job", "job_run", "enrichment_area", "metadata_import")
    async with reading(catalog, kinds) as reader:
        await reader.snapshot()
        before = await reader.mirror.content()
        async with reader.mirror.store.read() as connection:
            counts = await outside(connection, narrow)
        assert counts["assets"] > 0
        assert counts["containers"] == 3
        assert await reader.mirror.content() == before  # only a look

        await purge(reader.mirror.store, narrow)

        places = "SELECT DISTINCT container_id FROM {} WHERE container_id IS NOT NULL"
        for table in ("assets", "data_profiles", "members", "jobs", "job_runs", "containers", "enrichment_areas"):
            assert set(await reader.mirror.all(places.format(table))) <= {(kept,)}, table
        assert set(await reader.mirror.all("SELECT DISTINCT container_id FROM sync_states")) <= {(kept,), ("",)}
        types = {row[0] for row in await reader.mirror.all("SELECT DISTINCT asset_type FROM assets")}
        assert types & {"connection", "book"} == set()
        assert await reader.mirror.one("SELECT count(*) FROM connections") == 0
        assert await reader.mirror.one(
            "SELECT count(*) FROM asset_columns WHERE asset_id NOT IN (SELECT asset_id FROM assets)"
        ) == 0  # fmt: skip
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets") > 0
        assert await reader.mirror.one("SELECT count(*) FROM deliveries") == 0
        async with reader.mirror.store.read() as connection:
            assert await outside(connection, narrow) == {}
    # Widening again brings all of it back; what was purged left no tombstone that would be newer.
    async with reading(catalog, kinds, subscribers=[everything]) as reader:
        await reader.reconcile()
        assert not {"assets", "columns", "members", "jobs", "runs"} & set(await differences(reader.mirror, catalog))


@on_one_store
async def test_a_narrower_scope_deletes_nothing_when_everything_is_compared(
    reading: Reading, subscriber: type[Subscriber]
) -> None:
    catalog = PocketCatalog(seed=2, assets=60)
    async with reading(catalog, only("asset", "member")) as reader:
        await reader.snapshot()
        before = await reader.mirror.one("SELECT count(*) FROM v1_assets")
    narrow = ScopeSettings(include=[f"catalog:{catalog.container_ids('catalog')[0]}"], exclude=["type:connection"])
    told = subscriber(lineage=False, wanted=(object,), origins=frozenset(Origin))
    async with reading(catalog, only("asset", "member"), narrow, [told]) as reader:
        for _ in range(2):
            report = await reader.reconcile()
            assert report.kinds["asset"]["orphaned"] == 0
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets") == before
        assert await reader.mirror.one("SELECT count(*) FROM deliveries") == 0


@pytest.mark.parametrize("rule", ["catalog", "catalog:", "databases:x", ":x", "type"])
def test_a_rule_that_says_nothing_is_refused_with_what_to_write(rule: str) -> None:
    with pytest.raises(SettingInvalid, match="catalog:ID"):
        Scope(ScopeSettings(exclude=[rule]))
