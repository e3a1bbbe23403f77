"""Traps of the catalog's answers, each with what the mirror has to make of it (docs/contract.md)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.relationships import End
from sandbox.catalog.tables import AWKWARD_COLUMN
from service.catalog import listings
from service.changes import RefreshAsked
from service.errors import StoreUnavailable, TransientError
from service.kinds import KINDS
from service.mirror import progress, refreshes
from service.mirror.dead_letters import Filter
from service.mirror.progress import RECONCILE, SNAPSHOT
from service.operations import dead_letters as letters
from service.operations.acting import Act, Way
from service.settings.model import CatalogSettings, Settings, StoreSettings
from service.sync import cleaning, runs
from service.sync.sweep import Options
from tests.integration.sync.kinds import on_one_store, only
from tests.integration.sync.truth import differences

if TYPE_CHECKING:
    from service.mirror.progress import Run
    from tests.integration.sync.conftest import Reader, Reading


def pocket(assets: int = 40, **knobs: Any) -> PocketCatalog:
    return PocketCatalog(seed=6, assets=assets, clock=SteppingClock(), knobs=Knobs(**knobs))


async def refreshed(reader: Reader, kind: str, entity_id: str, where: Any = None) -> None:
    async with reader.mirror.store.write() as connection:
        await refreshes.ask(connection, [RefreshAsked(kind, entity_id, where)])
    await reader.refresh()


async def test_what_is_mapped_of_odd_cards_is_what_the_catalog_holds_on_both_stores(reading: Reading) -> None:
    """Floats, scientific notation, `created: 0`, `dataset: false` with columns, names with / and ~, all forms of
    collaborators, column attributes as list and as map, classifications without a profile, clear-text secrets."""
    catalog = pocket(60)
    async with reading(catalog, only("asset")) as reader:
        await reader.snapshot()
        left = await differences(reader.mirror, catalog)
        assert not {"assets", "columns", "terms", "profiles"} & set(left), left
        assert await reader.mirror.one("SELECT count(*) FROM dead_letters") == 0
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE created_at IS NULL AND NOT is_stub") == 0
        assert "/" in AWKWARD_COLUMN
        assert "~" in AWKWARD_COLUMN
        awkward = await reader.mirror.all(
            "SELECT description FROM v1_asset_columns WHERE name = :name", name=AWKWARD_COLUMN
        )
        assert set(awkward) == {("Its name must be escaped.",)}
        assert await reader.mirror.one("SELECT count(*) FROM v1_asset_classifications WHERE standing = 'manual'") > 0
        assert await reader.mirror.one("SELECT count(*) FROM v1_column_classifications") > 0


@on_one_store
async def test_metadata_of_assets_whose_data_a_rule_denies_is_mirrored_where_it_is_so_set(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, only("asset")) as reader:
        where = reader.container("catalog")
        asset_id = catalog.create_asset(where.id, "denied")
    shown = f"SELECT count(*) FROM v1_assets WHERE asset_id = '{asset_id}' AND NOT is_stub"
    catalog.knobs.denied_assets = frozenset({asset_id})
    for allowed, number in ((False, 0), (True, 1)):
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        async with reading(catalog, only("asset"), allow_metadata_on_dpr_deny=allowed) as reader:
            await reader.snapshot()
            await refreshed(reader, "asset", asset_id, where)
            assert await reader.mirror.one(shown) == number


@on_one_store
async def test_catalogs_with_a_subtype_are_mirrored_where_it_is_so_set(reading: Reading) -> None:
    catalog = pocket()
    shop = catalog.create_container("catalog", "Data products")
    catalog.containers.get(shop).subtype = "data_products"
    known = "SELECT count(*) FROM v1_containers WHERE container_id = :shop AND NOT is_stub"
    for asked, number in ((None, 0), ("ALL_SUBTYPES,NO_SUBTYPES", 1)):
        async with reading(catalog, only("asset_type"), subtypes=asked) as reader:
            await reader.snapshot()
            assert await reader.mirror.one(known, shop=shop) == number
            assert await reader.mirror.one("SELECT count(*) FROM v1_containers WHERE kind = 'catalog'") > number


@on_one_store
async def test_groups_that_member_lists_hide_are_members_all_the_same(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, only("member")) as reader:
        await reader.snapshot()
        places = await reader.mirror.all(
            "SELECT DISTINCT container_kind FROM v1_members WHERE principal_type = 'group'"
        )
        assert sorted(places) == [("catalog",), ("project",), ("space",)]
        assert "members" not in await differences(reader.mirror, catalog)


@on_one_store
async def test_a_next_link_or_bookmark_on_the_last_page_neither_loops_nor_loses_anything(reading: Reading) -> None:
    """25, 50 and 200 are full pages; after each of them comes an empty one."""
    catalog = pocket(bookmark_on_last_page=True)
    where = catalog.container_ids("catalog")[0]
    for number in range(50 - sum(member.kind == "user" for _, one, member in catalog.true_members() if one == where)):
        catalog.add_member(where, f"IBMid-{number}", "viewer")
    for number in range(25 - len(catalog.container_ids("catalog"))):
        catalog.create_container("catalog", f"catalog {number}")
    for number in range(200 - len(list(catalog.true_artifacts()))):
        catalog.create_artifact("glossary_term", f"term {number}")
    async with reading(catalog, only("member", "artifact")) as reader:
        await reader.snapshot()
        left = await differences(reader.mirror, catalog)
        assert not {"containers", "members", "artifacts"} & set(left), left
        assert catalog.calls["GET /v2/catalogs"] < 10


@on_one_store
async def test_a_catalog_that_lists_none_but_readable_containers_has_no_hidden_catalog_of_projects(
    reading: Reading,
) -> None:
    """A card in a project names a private catalog, too; that is no container of ours."""
    catalog = pocket()
    async with reading(catalog, only("asset")) as reader:
        await reader.snapshot()
        known = {one.id for one in catalog.true_containers()}
        assert {row[0] for row in await reader.mirror.all("SELECT container_id FROM containers")} == known


@on_one_store
async def test_trash_that_answers_201_is_read(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, only("asset")) as reader:
        await reader.snapshot()
        await reader.poll()
        gone = next(card["metadata"]["asset_id"] for kind, _, card in catalog.true_assets() if kind == "catalog")
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        catalog.delete_asset(gone)
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        await reader.poll()
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE asset_id = :gone", gone=gone) == 0
        assert catalog.calls["GET /v2/trashed_assets"] >= 4


@on_one_store
async def test_of_a_bulk_answer_each_item_counts_by_its_own_status(reading: Reading) -> None:
    """200 overall; of the items one is 200, one 404, one 403."""
    catalog = pocket()
    async with reading(catalog, only("asset")) as reader:
        await reader.snapshot()
        where = reader.container("catalog")
        here, gone, hidden = [
            card["metadata"]["asset_id"] for _, place, card in catalog.true_assets()
            if place == where.id and card["metadata"]["rov"]["mode"] == 0
        ][:3]  # fmt: skip
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        catalog.patch_asset(here, name="renamed")
        catalog.delete_asset(gone)
        catalog.patch_asset(hidden, rov_mode=16, member_roles={"IBMid-1": ["OWNER"]})
        for one in (here, gone, hidden):
            async with reader.mirror.store.write() as connection:
                await refreshes.ask(connection, [RefreshAsked("asset", one, where)])
        calls = catalog.calls["GET /v2/assets/bulk"]
        await reader.refresh()
        assert catalog.calls["GET /v2/assets/bulk"] == calls + 1
        rows = await reader.mirror.all("SELECT asset_id, name FROM v1_assets")
        assert {key: name for key, name in rows if key in (here, gone, hidden)} == {here: "renamed"}
        assert await reader.mirror.one("SELECT deleted_at IS NULL FROM assets WHERE asset_id = :h", h=hidden)
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0


@on_one_store
async def test_a_profile_that_is_being_made_answers_202_and_one_that_failed_500(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, only("asset", "data_profile")) as reader:
        where = reader.container("catalog")
        asset_id = catalog.create_asset(where.id, "profiled")
        running = catalog.create_profile(asset_id, start=True)
        failed = catalog.create_profile(asset_id, start=True)
        await reader.snapshot()
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        catalog.patch_profile(asset_id, running, status="running")
        catalog.finish_profile(asset_id, failed, failed=True)
        calls = catalog.calls["GET /v2/data_profiles/{profile_id}"]
        for one in (running, failed):
            await refreshed(reader, "data_profile", one)
        assert catalog.calls["GET /v2/data_profiles/{profile_id}"] == calls + 2  # a 500 here is no failure to repeat
        rows = dict(await reader.mirror.all("SELECT profile_id, status FROM v1_data_profiles WHERE asset_id = :a",
                                            a=asset_id))  # fmt: skip
        assert rows == {running: "running", failed: "submitted"}
        await reader.reconcile()
        assert "profiles" not in await differences(reader.mirror, catalog)


@on_one_store
async def test_an_index_that_lags_behind_deletes_nothing_that_is_there_and_keeps_nothing_that_is_gone(
    reading: Reading,
) -> None:
    """What was made is not listed yet, what was deleted still is, what was changed is listed as it was."""
    catalog = pocket(index_lag_s=3600.0)
    async with reading(catalog, only("asset")) as reader:
        await reader.snapshot()
        where = reader.container("catalog")
        made = catalog.create_asset(where.id, "made")
        await refreshed(reader, "asset", made, where)
        changed, gone = [
            card["metadata"]["asset_id"] for _, place, card in catalog.true_assets()
            if place == where.id and card["metadata"]["rov"]["mode"] == 0
        ][:2]  # fmt: skip
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        catalog.patch_asset(changed, name="changed")
        catalog.delete_asset(gone)
        for one in (changed, gone):
            await refreshed(reader, "asset", one, where)
        for _ in range(2):
            await reader.reconcile()
            left = await differences(reader.mirror, catalog)
            assert not {"assets", "columns"} & set(left), left


@on_one_store
async def test_429_in_the_middle_of_a_snapshot_is_waited_out(reading: Reading) -> None:
    catalog = pocket(rate_limit_per_minute=40, rate_limit_window_s=0.05)
    async with reading(catalog, only("asset", "member", "artifact", "artifact_version")) as reader:
        report = await asyncio.wait_for(_insisted(reader), 60)
        assert report.problems == []
        left = await differences(reader.mirror, catalog)
        assert not {"assets", "members", "artifacts", "versions"} & set(left), left


async def _insisted(reader: Reader) -> Any:
    """A snapshot as the service does it: what cannot go on now goes on later where it was."""
    while True:
        try:
            return await reader.snapshot()
        except TransientError:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["expire", "are revoked"])
@on_one_store
async def test_tokens_that_end_in_the_middle_of_a_snapshot_are_renewed(
    reading: Reading, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(runs, "CHECKPOINT_S", 0.0)
    catalog = pocket(300)
    async with reading(catalog, only("asset", "member")) as reader:
        run = await reader.runner.begin(SNAPSHOT, "a test", Options())
        ended = 0

        async def end_tokens(run: Run) -> None:
            nonlocal ended
            ended += 1
            if how == "expire":
                catalog.clock.advance(catalog.knobs.token_life_s + 1)  # type: ignore[attr-defined]
            else:
                catalog.tokens.revoke_all()

        report = await reader.runner.carry_out(run, end_tokens)
        assert ended > 3
        assert report.problems == []
        assert not {"assets", "members"} & set(await differences(reader.mirror, catalog))
        assert catalog.calls["POST /identity/token"] > 3


@on_one_store
async def test_a_private_asset_shows_its_metadata_only_and_is_left_out_of_the_views(reading: Reading) -> None:
    """Mode 8: with entity where we are a member of the asset, without where we are not."""
    catalog = pocket()
    async with reading(catalog, only("asset")) as reader:
        where = reader.container("catalog")
        ours = catalog.create_asset(where.id, "ours")
        theirs = catalog.create_asset(where.id, "theirs")
        catalog.patch_asset(ours, rov_mode=8, member_roles={"iam-ServiceId-0000-mirror": ["VIEWER"]})
        catalog.patch_asset(theirs, rov_mode=8, member_roles={"IBMid-1": ["OWNER"]})
        await reader.snapshot()
        rows = dict(await reader.mirror.all("SELECT asset_id, visibility_mode FROM assets WHERE document IS NOT NULL"))
        assert {rows[ours], rows[theirs]} == {8}
        assert await reader.mirror.all("SELECT name FROM v1_assets WHERE name IN ('ours', 'theirs')") == []
        report = await reader.reconcile()
        assert report.kinds["asset"]["stale"] == 0  # it is not read again and again

        catalog.clock.advance(5)  # type: ignore[attr-defined]
        catalog.patch_asset(theirs, rov_mode=0)
        await reader.reconcile()
        assert await reader.mirror.all("SELECT name FROM v1_assets WHERE name IN ('ours', 'theirs')") == [("theirs",)]


@on_one_store
async def test_two_assets_may_be_the_same_but_for_their_ids(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, only("asset")) as reader:
        where = reader.container("catalog")
        for _ in range(2):
            catalog.create_asset(where.id, "twin", resource_key="h|1|d:/S/T")
        await reader.snapshot()
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE name = 'twin'") == 2


@on_one_store
async def test_copies_keep_where_they_came_from(reading: Reading) -> None:
    catalog = pocket(100)
    async with reading(catalog, only("asset")) as reader:
        place = {kind: reader.container(kind).id for kind in ("catalog", "project", "space")}
        original = catalog.create_asset(place["catalog"], "original")
        clone = catalog.clone(original, place["project"])
        published = catalog.publish(clone, place["catalog"])
        promoted = catalog.promote(clone, place["space"])
        await reader.snapshot()
        rows = await reader.mirror.all(
            "SELECT asset_id, copy_action, source_asset_id, source_container_kind, source_container_id FROM v1_assets"
            " WHERE copy_action IS NOT NULL"
        )
        assert set(rows) == {
            (clone, "clone", original, "catalog", place["catalog"]),
            (published, "publish", clone, "project", place["project"]),
            (promoted, "promote", clone, "project", place["project"]),
        }


@on_one_store
async def test_a_type_of_attributes_only_is_a_type_without_assets(reading: Reading) -> None:
    """The generic search lists every asset once, whatever attributes it carries."""
    catalog = pocket()
    async with reading(catalog, only("asset", "asset_type")) as reader:
        report = await reader.snapshot()
        only_attributes = await reader.mirror.all("SELECT DISTINCT name FROM v1_asset_types WHERE is_attribute_only")
        assert ("column_attribute",) in only_attributes
        types = {row[0] for row in await reader.mirror.all("SELECT DISTINCT asset_type FROM v1_assets")}
        assert not types & {row[0] for row in only_attributes}
        assert report.kinds["asset"]["listed"] == len(list(catalog.true_assets(as_seen=True)))


@on_one_store
async def test_a_relationship_with_itself_that_comes_twice_is_one(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, only("asset", "relationship")) as reader:
        one = catalog.create_asset(reader.container("catalog").id, "self")
        catalog.set_relationship(End(one), "related_to", End(one))
        await reader.snapshot()
        assert await reader.mirror.one("SELECT count(*) FROM v1_relationships WHERE source_id = :one", one=one) == 1
        assert "relationships" not in await differences(reader.mirror, catalog)


@on_one_store
async def test_a_to_one_end_that_was_replaced_is_found_by_comparing(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, only("asset", "relationship")) as reader:
        one, first, second = (catalog.create_asset(reader.container("catalog").id, f"a{n}") for n in range(3))
        catalog.set_relationship(End(one), "parent", End(first))
        await reader.snapshot()
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        catalog.set_relationship(End(one), "parent", End(second))
        await reader.reconcile()
        rows = await reader.mirror.all("SELECT target_id FROM v1_relationships WHERE source_id = :one", one=one)
        assert rows == [(second,)]


@on_one_store
async def test_a_type_that_was_deleted_takes_its_assets_along_in_the_background(reading: Reading) -> None:
    catalog = pocket(background_delay_s=30.0)
    catalog.types.create("season", "A season")
    async with reading(catalog, only("asset", "asset_type")) as reader:
        where = reader.container("catalog").id
        spring = catalog.create_asset(where, "spring", "season")
        other = catalog.create_asset(where, "other")
        catalog.set_attribute(other, "season", {"state": "s"})
        await reader.snapshot()
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        catalog.delete_asset_type("season")
        catalog.clock.advance(31)  # type: ignore[attr-defined]
        await reader.reconcile()
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE asset_id = :s", s=spring) == 0
        assert await reader.mirror.one("SELECT count(*) FROM v1_asset_types WHERE name = 'season'") == 0
        assert "season" not in await reader.mirror.one("SELECT document FROM v1_assets WHERE asset_id = :o", o=other)


@on_one_store
async def test_an_unknown_type_of_asset_is_mirrored_like_any_other(reading: Reading) -> None:
    catalog = pocket()
    catalog.types.create("ibm_unheard_of", "?")
    async with reading(catalog, only("asset")) as reader:
        catalog.create_asset(
            reader.container("catalog").id, "new", "ibm_unheard_of", entity={"ibm_unheard_of": {"x": 1}}
        )
        await reader.snapshot()
        assert await reader.mirror.one("SELECT asset_type FROM v1_assets WHERE name = 'new'") == "ibm_unheard_of"


@on_one_store
async def test_a_listing_whose_bookmark_is_not_known_any_more_is_begun_anew(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was interrupted for long: the catalog has forgotten the place that it had come to."""
    monkeypatch.setattr(runs, "CHECKPOINT_S", 0.0)
    catalog = pocket(1000)
    async with reading(catalog, only("asset")) as reader:
        run = await reader.runner.begin(SNAPSHOT, "a test", Options())

        async def die(run: Run) -> None:
            if run.progress["current"]["cursor"]:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await reader.runner.carry_out(run, die)
        run.progress["current"]["cursor"] = run.progress["current"]["cursor"].replace('"', '"no-such-place-', 1)
        await reader.runner._save(run)
        report = await reader.snapshot()
        assert report.problems == []
        assert "assets" not in await differences(reader.mirror, catalog)


@on_one_store
async def test_what_a_step_found_is_written_down_with_its_end_or_not_at_all(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    freshness = "SELECT count(*) FROM v1_freshness WHERE kind = 'asset' AND things > 0"

    save = progress.save

    async def fail_at_the_end_of_a_step(connection: Any, run: Run, **told: Any) -> None:
        if not run.progress.get("current"):
            raise OSError("the store went away")
        await save(connection, run, **told)

    async with reading(pocket(20), only("asset")) as reader:
        with monkeypatch.context() as broken:
            broken.setattr(progress, "save", fail_at_the_end_of_a_step)
            with pytest.raises(StoreUnavailable):
                await reader.snapshot()
        assert await reader.mirror.one(freshness) == 0
        await reader.snapshot()
        assert await reader.mirror.one(freshness) > 0


@on_one_store
async def test_a_reconcile_that_was_interrupted_finds_what_is_gone_all_the_same(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "CHECKPOINT_S", 0.0)
    catalog = pocket(1000)
    async with reading(catalog, only("asset")) as reader:
        await reader.snapshot()
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        gone = [card["metadata"]["asset_id"] for kind, _, card in catalog.true_assets() if kind == "catalog"][:3]
        for one in gone:
            catalog.delete_asset(one, purge=True)
        options = Options(deletions=True)
        run = await reader.runner.begin(RECONCILE, "a test", options)

        async def die(run: Run) -> None:
            if run.progress["current"]["cursor"]:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await reader.runner.carry_out(run, die)
        again = await reader.runner.begin(RECONCILE, "a test", options)
        assert again.run_id == run.run_id
        await reader.runner.carry_out(again)
        assert "assets" not in await differences(reader.mirror, catalog)


@on_one_store
async def test_an_item_that_nests_too_deep_is_a_dead_letter_and_the_others_are_read(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searching for secrets goes a call per level, so its depth has an end."""
    redact = cleaning.redact  # type: ignore[attr-defined]

    def redact_to_a_depth(value: Any) -> Any:
        if "too deep" in str(value):
            raise RecursionError
        return redact(value)

    monkeypatch.setattr(cleaning, "redact", redact_to_a_depth)
    catalog = pocket(20)
    async with reading(catalog, only("asset")) as reader:
        where, told = reader.container("catalog"), {"password": "x", "this is": "too deep"}
        made = catalog.create_asset(where.id, "deep", entity={"data_asset": told})
        report = await reader.snapshot()
        await refreshed(reader, "asset", made, where)
        assert report.kinds["asset"]["unreadable"] == 1
        assert await reader.mirror.one("SELECT count(*) FROM dead_letters") >= 1
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE NOT is_stub") > 15
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0


async def test_a_parent_that_is_closed_to_us_is_named_and_the_others_are_read(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading one data set's profiles may be forbidden where reading the container is not; nothing is gone for it."""
    catalog = pocket(60)
    async with reading(catalog, only("asset")) as reader:
        where = reader.container("catalog")
        await reader.snapshot()
        data_sets = await reader.mirror.all(
            "SELECT asset_id FROM assets WHERE asset_type = 'data_asset' AND container_id = :id AND deleted_at IS NULL"
            " ORDER BY asset_id", id=where.id,
        )  # fmt: skip
        known = await reader.mirror.one("SELECT count(*) FROM data_profiles WHERE deleted_at IS NULL")
        catalog.knobs.closed_profiles = frozenset({data_sets[0][0]})
        asked: list[str] = []

        def noted(*given: Any, parent: Any, **options: Any) -> Any:
            asked.append(parent.id)
            return pages(*given, parent=parent, **options)

        pages = listings.pages
        monkeypatch.setattr(listings, "pages", noted)

        async def unused(_: Any) -> None:
            return

        options = Options(deletions=True)
        result = await reader.sweeper.sweep(KINDS["data_profile"], where, options, unused)

        assert asked == [data_set for (data_set,) in data_sets]
        assert len(asked) > 1
        assert (result.closed, result.of("data_profile").unreadable, result.of("data_profile").orphaned) == (1, 1, 0)
        assert data_sets[0][0] in (result.problem or "")
        assert await reader.mirror.one("SELECT count(*) FROM data_profiles WHERE deleted_at IS NULL") == known


async def test_a_row_that_the_store_refuses_is_no_complete_mirror(reading: Reading) -> None:
    """`complete_as_of` says that everything is there: a row that was read and not taken is not."""
    catalog = pocket()
    refused = next(iter(catalog.true_artifacts())).id
    async with reading(catalog, only("artifact")) as reader:
        condition = f"artifact_id = '{refused}'"
        await reader.mirror.execute(
            f"ALTER TABLE artifacts ADD CHECK (NOT {condition})"
            if reader.mirror.store.dialect == "postgresql"
            else f"CREATE TRIGGER refuses BEFORE INSERT ON artifacts WHEN NEW.{condition} "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        report = await reader.snapshot()
        assert report.kinds["artifact"]["unreadable"] == 1
        query = "SELECT complete_as_of, unreadable FROM v1_freshness WHERE kind = 'artifact'"
        assert await reader.mirror.all(query) == [(None, 1)]
        (letter,) = await reader.mirror.all(
            "SELECT kind, entity_kind, entity_id, body FROM dead_letters WHERE error_class = 'store_refused'"
        )
        assert letter[:3] == ("reading", "artifact", refused)
        assert json.loads(letter[3])["metadata"]["artifact_id"] == refused, "with what the catalog told"

        await reader.mirror.execute(
            "ALTER TABLE artifacts DROP CONSTRAINT artifacts_artifact_id_check"
            if reader.mirror.store.dialect == "postgresql"
            else "DROP TRIGGER refuses"
        )
        assert await replay(reader, catalog=False) == {"cannot_be_read": 1}
        assert await replay(reader) == {"to_be_read": 1}, "replaying what was read reads it again"
        await reader.refresh()
        assert await reader.mirror.one(f"SELECT count(*) FROM v1_artifacts WHERE {condition}") == 1
        assert await reader.mirror.one("SELECT count(*) FROM dead_letters WHERE state = 'open'") == 0


async def replay(reader: Reader, *, catalog: bool = True) -> dict[str, int]:
    """As `dead-letters replay --all`; answers what is not 0."""
    url = reader.client.settings.url if catalog else None
    settings = Settings(
        store=StoreSettings(url=SecretStr(reader.mirror.store.url.render_as_string(hide_password=False))),
        catalog=CatalogSettings(url=url, api_key=SecretStr("key")),
    )
    counts = await letters.replay(reader.mirror.store, settings, Filter(), Act("a test", Way.COMMAND))
    return {name: number for name, number in asdict(counts).items() if number}


@on_one_store
async def test_items_that_cannot_be_read_are_a_letter_each_which_says_what_they_were(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = pocket()
    async with reading(catalog, only("asset_list")) as reader:
        some = catalog.lists.all()
        documents = [{**one, "id": None, "name": f"list {number}"} for number, one in enumerate(some[:2])]
        monkeypatch.setattr(type(catalog.lists), "all", lambda _: documents)
        await reader.snapshot()
        await reader.reconcile()
        letters = await reader.mirror.all("SELECT entity_kind, entity_id, times, body FROM dead_letters ORDER BY body")
        assert {row[:3] for row in letters} == {("asset_list", "", 2)}
        assert sorted(json.loads(row[3])["name"] for row in letters) == ["list 0", "list 1"]
        monkeypatch.undo()
        assert await replay(reader) == {"to_be_read": 2}, "their listing is read again"
        await reader.mirror.execute("UPDATE refreshes SET due_at = asked_at")
        await reader.refresh()
        assert await reader.mirror.one("SELECT count(*) FROM v1_asset_lists") == len(some)


@on_one_store
@pytest.mark.parametrize("known", [True, False], ids=["in the mirror", "new"])
async def test_an_artifact_is_read_by_its_own_type_and_stays(reading: Reading, known: bool) -> None:
    """`all` is a type of listings only: asked for with it, one that is there would count as gone (404)."""
    catalog = pocket()
    async with reading(catalog, only("artifact")) as reader:
        if known:
            await reader.snapshot()
        artifact_id = catalog.create_artifact("policy", "Retention") if not known else next(
            one.id for one in catalog.true_artifacts() if one.type == "policy"
        )  # fmt: skip
        await refreshed(reader, "artifact", artifact_id)
        assert await reader.mirror.all(
            "SELECT artifact_type, deleted_at FROM artifacts WHERE artifact_id = :id", id=artifact_id
        ) == [("policy", None)]
