"""Without a broker the mirror follows the catalog by looking, on the catalog's own clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.catalog.assets import Life
from sandbox.catalog.clock import SteppingClock, iso_seconds
from sandbox.catalog.history import History
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.relationships import End
from service.catalog import endpoints
from service.changes import Origin
from service.errors import CatalogFailed
from service.events.message import Message
from service.mirror import progress
from service.sync.rotation import Rotation
from service.sync.sweep import Options
from tests.integration.sync.kinds import on_one_store, only
from tests.integration.sync.truth import differences, expected_rows, mirrored_rows

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Reader, Reading

LAG_S = 30.0
FOLLOWED = only("asset", "relationship", "artifact", "quality_issue", "job", "job_run")


def pocket(assets: int = 40, **knobs: Any) -> PocketCatalog:
    return PocketCatalog(seed=9, assets=assets, clock=SteppingClock(), knobs=Knobs(index_lag_s=LAG_S, **knobs))


async def look(reader: Reader, times: int = 2, every_s: float = 20.0) -> None:
    """Let time pass for the index, and look."""
    reader.catalog.clock.advance(LAG_S)  # type: ignore[attr-defined]
    for _ in range(times):
        reader.catalog.clock.advance(every_s)  # type: ignore[attr-defined]
        reader.catalog.catch_up()
        await reader.poll()


async def test_a_random_life_followed_by_looking_ends_equal_after_one_reconcile(reading: Reading) -> None:
    """Looking misses what left the search without passing through the trash, and nothing else of assets."""
    catalog = pocket(50)
    async with reading(catalog) as reader:
        await reader.poll()
        await reader.snapshot()
        history = History(catalog, seed=9)
        for number in range(1, 301):
            history.step()
            if number % 100 == 0:
                await reader.poll()
        await look(reader)
        true, found = expected_rows(catalog)["assets"], (await mirrored_rows(reader.mirror))["assets"]
        assert {key: row for key, row in true.items() if found.get(key) != row} == {}
        assert not any(_is_shown(catalog, key) for key in found if key not in true)

        await reader.reconcile(accept_deletions=True)
        left = await differences(reader.mirror, catalog)
        assert left == {}, left


def _is_shown(catalog: PocketCatalog, asset_id: str) -> bool:
    """Whether the asset is in the trash, or live in a container that is there, and not hidden."""
    record = catalog.assets.find(asset_id)
    assert record is not None
    if record.life is Life.PURGED or catalog.containers.get(record.container_id).deleted:
        return False
    return bool(record.card["metadata"]["rov"]["mode"] != 16)


@on_one_store
async def test_changes_of_assets_appear_by_looking_alone(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, FOLLOWED) as reader:
        await reader.snapshot()
        await reader.poll()
        where = reader.container("catalog").id
        patched, deleted, back = [
            card["metadata"]["asset_id"] for _, place, card in catalog.true_assets()
            if place == where and card["metadata"]["asset_type"] == "data_asset"
            and card["metadata"]["rov"]["mode"] == 0
        ][:3]  # fmt: skip
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        made = catalog.create_asset(where, "made")
        catalog.patch_asset(patched, name="patched")
        catalog.delete_asset(deleted)
        catalog.delete_asset(back)
        await look(reader)
        assert await _names(reader, made, patched) == {"made", "patched"}
        assert await _names(reader, deleted, back) == set()

        catalog.restore(back)
        await look(reader)
        assert len(await _names(reader, back)) == 1
        left = await differences(reader.mirror, catalog)
        assert not {"assets", "columns", "terms"} & set(left), left


async def _names(reader: Reader, *ids: str) -> set[str]:
    rows = await reader.mirror.all("SELECT asset_id, name FROM v1_assets WHERE NOT is_stub")
    return {name for asset_id, name in rows if asset_id in ids}


@on_one_store
async def test_relationships_data_classes_issues_and_runs_appear_by_looking_alone(reading: Reading) -> None:
    catalog = pocket(issues_show_updated_at=True)
    async with reading(catalog, FOLLOWED) as reader:
        await reader.snapshot()
        await reader.poll()
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        where = reader.container("catalog").id
        one, other = [card["metadata"]["asset_id"] for _, place, card in catalog.true_assets() if place == where][:2]
        catalog.set_relationship(End(one), "copied_from", End(other))
        made = catalog.create_artifact("data_class", "made")
        check, about = catalog.quality.checks(where)[0], catalog.quality.assets(where, children=True)[0]
        issue = catalog.quality.report(check.id, about.id, 77, 1000)
        job = catalog.jobs.of(reader.container("project").id)[0]
        run = catalog.jobs.run(job.id)
        await look(reader)
        assert await reader.mirror.one(
            "SELECT count(*) FROM v1_relationships WHERE source_id = :a AND relationship_name = 'copied_from'", a=one
        ) == 1  # fmt: skip
        assert await reader.mirror.one("SELECT name FROM v1_artifacts WHERE artifact_id = :made", made=made) == "made"
        assert await reader.mirror.one("SELECT occurrences FROM v1_quality_issues WHERE issue_id = :i", i=issue) == 77
        assert await reader.mirror.one("SELECT state FROM v1_job_runs WHERE run_id = :run", run=run) == "Starting"

        catalog.jobs.set_state(job.id, run, "Failed")
        catalog.quality.set_ignored(issue, True)
        await look(reader)
        assert await reader.mirror.one("SELECT state FROM v1_job_runs WHERE run_id = :run", run=run) == "Failed"
        assert await reader.mirror.one("SELECT is_ignored FROM v1_quality_issues WHERE issue_id = :i", i=issue)


@on_one_store
@pytest.mark.parametrize("tells_deleted", [False, True])
async def test_data_classes_and_relationships_that_were_removed_are_gone_by_looking_alone(
    reading: Reading, tells_deleted: bool
) -> None:
    """24471, 24489, 27478: data classes have a status DELETED, and `since` filters what was deleted, too."""
    catalog = pocket()
    catalog.knobs.forms.tells_deleted = tells_deleted
    async with reading(catalog, only("artifact", "artifact_relationship")) as reader:
        await reader.snapshot()
        await reader.poll()
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        gone = next(one for one in catalog.true_artifacts() if one.type == "data_class")
        edge = catalog.glossary.relationships()[0]
        catalog.glossary.delete(gone.id)
        catalog.glossary.unrelate(edge.source, edge.type, edge.target)
        await look(reader)
        assert await reader.mirror.one("SELECT count(*) FROM v1_artifacts WHERE artifact_id = :id", id=gone.id) == 0
        left = "SELECT count(*) FROM v1_artifact_relationships WHERE source_id = :a AND target_id = :b"
        found = await reader.mirror.one(left, a=edge.source, b=edge.target)
        assert found == (0 if tells_deleted else 1)  # else the next reconcile finds it


@on_one_store
async def test_issues_that_come_in_no_order_are_followed_to_the_end(reading: Reading) -> None:
    catalog = pocket(issues_show_updated_at=True)
    catalog.knobs.forms.unsorted_issues = True
    async with reading(catalog, FOLLOWED) as reader:
        where = reader.container("catalog").id
        check = catalog.quality.checks(where)[0]
        catalog.quality.add_asset(where, "wide", "wide", [f"c{number}" for number in range(450)])
        about = [one for one in catalog.quality.assets(where, children=True) if "/wide/" in one.native_id]
        issues = {catalog.quality.report(check.id, one.id, 1, 9) for one in about}
        await reader.snapshot()
        await reader.poll()
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        for issue in issues:
            catalog.quality.set_ignored(issue, True)
        await look(reader)
        assert await reader.mirror.one("SELECT count(*) FROM v1_quality_issues WHERE is_ignored") >= 450


@on_one_store
async def test_a_look_at_a_catalog_in_which_nothing_changed_reads_no_asset_again(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, only("asset")) as reader:
        await reader.snapshot()
        await reader.poll()
        catalog.create_asset(reader.container("catalog").id, "made")
        await look(reader)
        calls = catalog.calls["GET /v2/assets/bulk"]
        await look(reader, times=5)
        assert catalog.calls["GET /v2/assets/bulk"] == calls


@on_one_store
async def test_a_change_that_the_index_shows_late_is_found(reading: Reading) -> None:
    """Another one, made later, was shown before it: the look goes back as far as the index may lag."""
    catalog = pocket()
    async with reading(catalog, only("asset")) as reader:
        await reader.snapshot()
        await reader.poll()
        where = reader.container("catalog").id
        late = catalog.create_asset(where, "late")
        hidden = catalog.index._waiting.pop()
        catalog.clock.advance(100)  # type: ignore[attr-defined]
        catalog.create_asset(where, "soon")
        await look(reader)
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE name = 'soon'") == 1
        catalog.index._waiting.append(hidden)
        await look(reader)
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE asset_id = :late", late=late) == 1
        assert reader.metrics.poll_lag._sum.get() >= 100


@pytest.mark.parametrize("offset_s", [-300.0, 300.0])
@on_one_store
async def test_a_catalog_whose_clock_is_five_minutes_off_is_followed_all_the_same(
    reading: Reading, offset_s: float
) -> None:
    """Events, looking and comparing: all moments are on the catalog's clock."""
    catalog = PocketCatalog(seed=9, assets=40, clock=SteppingClock(iso_seconds(time.time() + offset_s)))
    events: list[Message] = []
    catalog.sink = lambda key, body: events.append(Message(key, body))
    async with reading(catalog) as reader:
        await reader.snapshot()
        await reader.poll()
        where = reader.container("catalog").id
        made = catalog.create_asset(where, "made")
        profile = catalog.create_profile(made, start=True)
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        catalog.finish_profile(made, profile)
        gone = next(
            card["metadata"]["asset_id"] for _, place, card in catalog.true_assets()
            if place == where and card["metadata"]["asset_id"] != made and "data_profile" in card["entity"]
        )  # fmt: skip
        catalog.delete_asset(gone)
        await reader.pipeline.process(events, Origin.LIVE)
        await look(reader)
        assert await _names(reader, made, gone) == {"made"}
        assert await reader.mirror.one("SELECT status FROM v1_data_profiles WHERE profile_id = :p", p=profile) == (
            "finished"
        )
        await reader.reconcile()
        assert await differences(reader.mirror, catalog) == {}
        report = await reader.reconcile()
        assert {name for counts in report.kinds.values() for name, n in counts.items() if n} == {"listed"}


@on_one_store
async def test_a_service_that_is_out_of_order_keeps_nobody_from_following_the_others(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = pocket()
    async with reading(catalog, FOLLOWED) as reader:
        await reader.snapshot()
        await reader.poll()

        def out_of_order(*_: Any, **__: Any) -> Any:
            raise CatalogFailed(call="POST /v3/search", problem="status 500", status=500)

        with monkeypatch.context() as broken:
            broken.setattr(endpoints, "modified_assets", out_of_order)
            for _ in range(10):
                found = await reader.containers.read(Options(repair=False))
                assert isinstance(await reader.poller.once(found.readable), CatalogFailed)
            assert len(reader.poller._sources) < 20
            told = "SELECT DISTINCT problem FROM v1_freshness WHERE kind = 'asset'"
            ((problem,),) = await reader.mirror.all(told)
            assert problem.startswith("not followed: ")
            assert "POST /v3/search" in problem
            catalog.jobs.run(catalog.jobs.of(reader.container("project").id)[0].id)
            await look(reader)
        assert await reader.mirror.one("SELECT count(*) FROM v1_job_runs") == 3
        await look(reader)
        assert await reader.mirror.all(told) == [(None,)]


@on_one_store
async def test_looking_at_data_classes_keeps_no_other_artifact_from_its_turn_in_the_rotation(reading: Reading) -> None:
    catalog = pocket()
    settings = only("artifact", rotation_s=1e-6)
    async with reading(catalog, settings) as reader:
        await reader.snapshot()
        await reader.poll()
        rotation = Rotation(reader.mirror.store, reader.sweeper, settings)
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        made = catalog.create_artifact("glossary_term", "made")
        await reader.poll()
        assert await rotation.once([])
        assert await reader.mirror.one("SELECT name FROM v1_artifacts WHERE artifact_id = :made", made=made) == "made"
        async with reader.mirror.store.read() as connection:
            states = await progress.states(connection)
        assert states["", "data_class"].watermark is not None


@on_one_store
async def test_what_the_rotation_finds_first_is_no_change_and_later_it_is(
    reading: Reading, subscriber: type[Any]
) -> None:
    catalog = pocket()
    settings = only("data_profile", "asset", rotation_s=1e-6)
    async with reading(catalog, settings, subscribers=[subscriber()]) as reader:
        await reader.snapshot()
        containers = [reader.container("catalog")]
        rotation = Rotation(reader.mirror.store, reader.sweeper, settings)
        await reader.mirror.execute("DELETE FROM data_profiles")
        await rotation.once(containers)
        assert await reader.mirror.one("SELECT count(*) FROM data_profiles") > 0
        assert await reader.mirror.one("SELECT count(*) FROM deliveries") == 0
        chosen = (await reader.mirror.all(
            "SELECT asset_id FROM data_profiles WHERE container_id = :id", id=containers[0].id
        ))[0][0]  # fmt: skip
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        catalog.create_profile(chosen)
        await rotation.once(containers)
        assert await reader.mirror.one("SELECT count(*) FROM deliveries") == 1
