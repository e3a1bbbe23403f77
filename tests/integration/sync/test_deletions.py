"""What is gone is deleted, what cannot be seen is not, and a lot waits for a person."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.model import PocketCatalog
from service.catalog import listings
from service.errors import CatalogFailed, MassDeletion, TransientError
from service.kinds import Kind
from service.mirror.tables import metadata
from tests.integration.sync.kinds import on_one_store, only
from tests.integration.sync.truth import differences

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Reader, Reading

TOMBSTONES = " UNION ALL ".join(
    f"SELECT count(*) FROM {name} WHERE deleted_at IS NOT NULL" for name in metadata.tables
    if "deleted_at" in metadata.tables[name].c
)  # fmt: skip


async def tombstones(reader: Reader) -> int:
    return sum(number for (number,) in await reader.mirror.all(TOMBSTONES))


def living(catalog: PocketCatalog, container_id: str) -> list[str]:
    return [card["metadata"]["asset_id"] for _, place, card in catalog.true_assets() if place == container_id]


def pocket(assets: int = 40, **knobs: Any) -> PocketCatalog:
    return PocketCatalog(seed=5, assets=assets, clock=SteppingClock(), knobs=Knobs(**knobs))


@on_one_store
async def test_a_lost_role_tombstones_nothing_and_when_it_comes_back_all_is_as_before(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog) as reader:
        await reader.snapshot()
        where = reader.container("project")
        before = await reader.mirror.content()
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        catalog.set_caller_role(where.id, None)

        report = await reader.reconcile()

        assert await tombstones(reader) == 0
        assert any(where.id in problem for problem in report.problems)
        assert await reader.mirror.one("SELECT state FROM v1_containers WHERE container_id = :id", id=where.id) == (
            "forbidden"
        )
        assert await reader.mirror.one(
            "SELECT count(*) FROM v1_freshness WHERE container_id = :id AND problem IS NULL", id=where.id
        ) == 0  # fmt: skip
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        catalog.set_caller_role(where.id, "viewer")
        await reader.reconcile()
        assert await differences(reader.mirror, catalog) == {}
        after = await reader.mirror.content()
        assert after["assets"] == before["assets"]
        assert await reader.mirror.one("SELECT count(*) FROM v1_freshness WHERE problem IS NOT NULL") == 0
        assert await reader.mirror.one("SELECT count(*) FROM v1_containers WHERE state <> 'active'") == 0


@on_one_store
@pytest.mark.parametrize(("kind", "status"), [("project", 410), ("catalog", 403)])
async def test_an_archived_container_tombstones_nothing_and_when_it_is_restored_all_is_as_before(
    reading: Reading, kind: str, status: int
) -> None:
    catalog = pocket(archived_status=status)
    async with reading(catalog) as reader:
        await reader.snapshot()
        where = reader.container(kind)
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        catalog.archive_container(where.id)

        await reader.reconcile()

        assert await tombstones(reader) == 0
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE container_id = :id", id=where.id) > 0
        catalog.restore_container(where.id)
        await reader.reconcile()
        assert await differences(reader.mirror, catalog) == {}


@on_one_store
@pytest.mark.parametrize("status", [403, 404])
async def test_an_asset_that_is_hidden_from_us_is_not_shown_and_is_back_when_it_is_shown_again(
    reading: Reading, status: int
) -> None:
    """403 for one of a bulk answer is a lost role; a catalog that says 404 instead cannot be told from a deletion."""
    catalog = pocket(hidden_status=status)
    async with reading(catalog, only("asset")) as reader:
        await reader.snapshot()
        chosen = living(catalog, reader.container("catalog").id)[0]
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        catalog.patch_asset(chosen, rov_mode=16, member_roles={"IBMid-1": ["OWNER"]})
        await reader.reconcile()
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE asset_id = :id", id=chosen) == 0
        assert await tombstones(reader) == (0 if status == 403 else 1)

        catalog.clock.advance(60)  # type: ignore[attr-defined]
        catalog.patch_asset(chosen, rov_mode=0)
        await reader.reconcile()
        assert "assets" not in await differences(reader.mirror, catalog)


async def test_a_deleted_container_waits_for_a_person_and_then_goes_with_all_that_is_in_it(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, only("asset", "member")) as reader:
        await reader.snapshot()
        where = reader.container("catalog")
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        catalog.delete_container(where.id)
        for _ in range(2):  # it does not get used to it
            with pytest.raises(MassDeletion):
                await reader.reconcile()
            assert await tombstones(reader) == 0

        await reader.reconcile(accept_deletions=True)

        for view in ("v1_containers", "v1_assets", "v1_asset_columns", "v1_members"):
            assert await reader.mirror.one(f"SELECT count(*) FROM {view} WHERE container_id = :id", id=where.id) == 0
        assert (await reader.reconcile()).braked == []


async def test_a_lot_of_deletions_brakes_and_nothing_there_is_written_until_a_person_accepts(reading: Reading) -> None:
    """21 of about 210 assets, with the profiles and relationships that went with them."""
    catalog = pocket(400)
    async with reading(catalog, only("asset", "relationship")) as reader:
        await reader.snapshot()
        where = reader.container("catalog")
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        for chosen in living(catalog, where.id)[:21]:
            catalog.delete_asset(chosen)
        with pytest.raises(MassDeletion) as raised:
            await reader.reconcile()
        assert where.id in str(raised.value)
        assert await reader.mirror.all(
            "SELECT 1 FROM assets WHERE deleted_at IS NOT NULL AND container_id = :id"
            " UNION ALL SELECT 1 FROM data_profiles WHERE deleted_at IS NOT NULL AND container_id = :id"
            " UNION ALL SELECT 1 FROM relationships WHERE deleted_at IS NOT NULL AND container_id = :id",
            id=where.id,
        ) == []  # fmt: skip
        report = await reader.reconcile(repair=False)
        assert report.kinds["asset"]["orphaned"] >= 21
        assert report.braked == []

        await reader.reconcile(accept_deletions=True)
        left = await differences(reader.mirror, catalog)
        assert not {"assets", "relationships", "profiles"} & set(left)


@on_one_store
@pytest.mark.parametrize(("number", "brakes"), [(19, False), (20, True)])
async def test_few_deletions_never_wait_whatever_their_share(reading: Reading, number: int, brakes: bool) -> None:
    catalog = pocket(60)
    async with reading(catalog, only("asset")) as reader:
        await reader.snapshot()
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        # Purged, and read as unrelated ones: a relationship would take others along.
        gone = [one for one in living(catalog, reader.container("catalog").id) if _stands_alone(catalog, one)][:number]
        assert len(gone) == number
        for chosen in gone:
            catalog.delete_asset(chosen, purge=True)
        if brakes:
            with pytest.raises(MassDeletion):
                await reader.reconcile()
        else:
            await reader.reconcile()
            assert "assets" not in await differences(reader.mirror, catalog)


@on_one_store
async def test_four_percent_go_without_a_person(reading: Reading) -> None:
    catalog = pocket(400)
    async with reading(catalog, only("asset", brake_rows=5)) as reader:
        await reader.snapshot()
        where = reader.container("catalog")
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        all_of_them = living(catalog, where.id)
        gone = [one for one in all_of_them if _stands_alone(catalog, one)][: len(all_of_them) * 4 // 100]
        assert len(gone) >= 5
        for chosen in gone:
            catalog.delete_asset(chosen)
        await reader.reconcile()
        assert await tombstones(reader) >= len(gone)
        assert "assets" not in await differences(reader.mirror, catalog)


def _stands_alone(catalog: PocketCatalog, asset_id: str) -> bool:
    return not catalog.relationships.targets(asset_id, on="delete")


@on_one_store
async def test_what_hung_below_the_last_parent_goes_with_it(reading: Reading) -> None:
    """Runs are listed job by job; without any job left there is no page that tells from when it is."""
    catalog = pocket()
    async with reading(catalog, only("job", "job_run", "asset_list", "asset_list_item")) as reader:
        await reader.snapshot()
        assert await reader.mirror.one("SELECT count(*) FROM v1_job_runs") > 0
        assert await reader.mirror.one("SELECT count(*) FROM v1_asset_list_items") > 0
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        for job in list(catalog.jobs.of(reader.container("project").id)):
            catalog.jobs.delete(job.id)
        for one in catalog.lists.all():
            catalog.lists.delete(one["id"])
        await reader.reconcile()
        for view in ("v1_jobs", "v1_job_runs", "v1_asset_lists", "v1_asset_list_items"):
            assert await reader.mirror.one(f"SELECT count(*) FROM {view}") == 0, view


@on_one_store
async def test_an_artifact_is_gone_only_where_a_list_and_a_reading_by_its_type_say_so(reading: Reading) -> None:
    """The list may lack what is there: a status that is another's, a filter that is the default."""
    catalog = pocket()
    async with reading(catalog, only("artifact")) as reader:
        await reader.snapshot()
        there, gone = (one.id for one in [*catalog.true_artifacts()][:2])
        catalog.knobs.unlisted_artifacts = frozenset({there, gone})
        catalog.glossary.delete(gone)
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        await reader.reconcile(accept_deletions=True)
        query = "SELECT deleted_at IS NOT NULL FROM artifacts WHERE artifact_id = :id"
        assert [bool(await reader.mirror.one(query, id=one)) for one in (there, gone)] == [False, True]


@on_one_store
@pytest.mark.parametrize("form", ["larger_totals", "odd_items"])
async def test_a_listing_that_had_not_all_that_it_should_deletes_nothing_and_says_so(
    reading: Reading, form: str
) -> None:
    catalog = pocket()
    async with reading(catalog) as reader:
        await reader.snapshot()
        where = reader.container("catalog").id
        member = next(one for _, place, one in catalog.true_members() if place == where)
        catalog.containers.remove_member(where, member.principal)
        setattr(catalog.knobs.forms, form, True)
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        await reader.reconcile(accept_deletions=True)
        assert await tombstones(reader) == 0
        told = "SELECT count(*) FROM v1_freshness WHERE kind = 'member' AND problem IS NOT NULL AND unreadable > 0"
        assert await reader.mirror.one(told) > 0
        setattr(catalog.knobs.forms, form, False)
        await reader.reconcile(accept_deletions=True)
        assert await tombstones(reader) == 1
        assert await reader.mirror.one("SELECT count(*) FROM v1_freshness WHERE problem IS NOT NULL") == 0


@on_one_store
async def test_an_item_that_cannot_be_read_keeps_what_it_may_be_from_being_deleted(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = pocket()
    async with reading(catalog, only("asset_list")) as reader:
        await reader.snapshot()
        some = catalog.lists.all()
        documents = [{**one, "id": "x" * 2000} if number == 0 else one for number, one in enumerate(some)]
        monkeypatch.setattr(type(catalog.lists), "all", lambda _: documents)
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        report = await reader.reconcile(accept_deletions=True)
        assert report.kinds["asset_list"]["unreadable"] == 1
        assert await reader.mirror.one("SELECT count(*) FROM v1_asset_lists") == len(some)


@on_one_store
async def test_a_listing_that_fails_half_way_deletes_nothing(reading: Reading) -> None:
    catalog = pocket(300)
    async with reading(catalog, only("asset", "relationship")) as reader:
        await reader.snapshot()
        answered = catalog.calls.total()
        catalog.knobs.failure_rate, catalog.knobs.html_failures = 0.3, True
        for _ in range(4):
            with suppress(TransientError):
                await reader.reconcile()
        assert catalog.calls.total() > answered
        assert await tombstones(reader) == 0
        catalog.knobs.failure_rate = 0.0
        await reader.reconcile()
        assert "assets" not in await differences(reader.mirror, catalog)


@on_one_store
async def test_one_service_that_is_out_of_order_keeps_no_run_from_reading_the_rest(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_order(client: Any, kind: Kind, *given: Any, **options: Any) -> Any:
        if kind.name == "quality_check":
            raise CatalogFailed(call="GET /data_quality/v4/checks", problem="status 500", status=500)
        return pages(client, kind, *given, **options)

    pages = listings.pages

    catalog = pocket()
    async with reading(catalog, only("quality_check", "job")) as reader:
        monkeypatch.setattr(listings, "pages", out_of_order)
        times = 0
        report = None
        while report is None:
            times += 1
            try:
                report = await reader.snapshot()
            except CatalogFailed:
                assert times < 10
        assert times == 1 + 2 * 3  # three containers have checks; each is tried three times
        assert await reader.mirror.one("SELECT count(*) FROM v1_jobs") > 0
        assert len(report.problems) == 3
