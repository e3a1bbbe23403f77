"""Refreshing: what was asked for is read once, by one of many, and what cannot be read now is read later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.problems import Problem
from service.changes import Container, Origin, RefreshAsked
from service.errors import CatalogBusy, CatalogRefused, TransientError
from service.events.message import Message
from service.mirror import refreshes
from service.settings.model import SyncSettings
from service.sync import refresh
from service.sync.refresh import Refresher
from service.text.privacy import Privacy
from tests.integration.sync.kinds import on_one_store

if TYPE_CHECKING:
    from tests.integration.conftest import Subscriber
    from tests.integration.sync.conftest import Reader, Reading

BULK = "GET /v2/assets/bulk"


def pocket(assets: int = 20, **knobs: Any) -> PocketCatalog:
    return PocketCatalog(seed=4, assets=assets, clock=SteppingClock(), knobs=Knobs(**knobs))


def some_assets(catalog: PocketCatalog, number: int, kind: str = "catalog") -> list[str]:
    """Ids of assets that everybody may see."""
    cards = [card["metadata"] for place, _, card in catalog.true_assets(as_seen=True) if place == kind]
    return [told["asset_id"] for told in cards if told["rov"]["mode"] == 0][:number]


async def ask(reader: Reader, *requests: RefreshAsked) -> None:
    async with reader.mirror.store.write() as connection:
        await refreshes.ask(connection, requests)


async def make_due(reader: Reader) -> None:
    await reader.mirror.execute("UPDATE refreshes SET due_at = asked_at")


def event(asset_id: str, number: int = 0, *, verb: str = "PATCH", **body: Any) -> Message:
    told = {"published": "2026-05-10T12:00:00Z", "number": number, **body}
    return Message(f"v2.assets.{asset_id}.{verb}", json.dumps(told).encode())


async def test_a_storm_of_events_on_one_asset_is_one_reading(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog) as reader:
        (chosen,) = some_assets(catalog, 1)
        for start in range(0, 500, 100):
            await reader.pipeline.process([event(chosen, start + n) for n in range(100)], Origin.LIVE)
        assert await reader.mirror.one("SELECT count(*), max(times) FROM refreshes") == (1, 5)
        await reader.refresh()
        assert catalog.calls[BULK] == 1
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE NOT is_stub") == 1
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0


@on_one_store
async def test_a_storm_on_many_lists_reads_the_lists_once(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog) as reader:
        await reader.pipeline.process([Message(f"v2.asset_lists.list{n}.PATCH", b"{}") for n in range(50)], Origin.LIVE)
        await reader.refresh()
        assert catalog.calls["GET /v2/asset_lists"] == 1
        assert await reader.mirror.one("SELECT count(*) FROM v1_asset_lists") == len(catalog.lists.all())


@on_one_store
async def test_requests_for_things_of_one_listing_read_it_once(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog) as reader:
        where = reader.container("project")
        await ask(reader, *(RefreshAsked("job", f"job{n}", where) for n in range(50)))
        await reader.refresh()
        assert catalog.calls["GET /v2/jobs"] == 1
        assert await reader.mirror.one("SELECT count(*) FROM v1_jobs") == 2


@on_one_store
async def test_an_asset_of_which_nobody_knows_where_it_lives_is_found_through_the_search(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog) as reader:
        chosen = some_assets(catalog, 1) + some_assets(catalog, 1, "project")
        await reader.pipeline.process([event(one) for one in chosen], Origin.LIVE)
        await reader.refresh()
        assert sorted(await reader.mirror.all("SELECT asset_id FROM v1_assets WHERE NOT is_stub")) == sorted(
            (one,) for one in chosen
        )
        assert catalog.calls["POST /v3/search"] == 2


@on_one_store
async def test_a_new_asset_that_the_search_does_not_show_yet_is_looked_for_again(reading: Reading) -> None:
    catalog = pocket(index_lag_s=30.0)
    async with reading(catalog) as reader:
        made = catalog.create_asset(reader.container("catalog").id, "new")
        await reader.pipeline.process([event(made)], Origin.LIVE)
        await reader.refresh()
        assert await reader.mirror.one("SELECT attempts FROM refreshes") == 1
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        await make_due(reader)
        await reader.refresh()
        assert await reader.mirror.all("SELECT name FROM v1_assets") == [("new",)]
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0


@on_one_store
async def test_a_hint_that_an_unknown_asset_is_gone_is_dropped_at_once(reading: Reading) -> None:
    async with reading(pocket()) as reader:
        await reader.pipeline.process([event("nobody-knows-it", verb="DELETE")], Origin.LIVE)
        await reader.refresh()
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0


@on_one_store
async def test_a_hint_is_verified_so_what_is_there_stays_and_what_is_gone_goes(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog) as reader:
        here, gone = some_assets(catalog, 2)
        await ask(reader, *(RefreshAsked("asset", one, reader.container("catalog")) for one in (here, gone)))
        await reader.refresh()
        catalog.clock.advance(5)  # type: ignore[attr-defined]
        catalog.delete_asset(gone)
        await reader.pipeline.process([event(one, verb="DELETE") for one in (here, gone)], Origin.LIVE)
        await reader.refresh()
        assert await reader.mirror.all("SELECT asset_id FROM v1_assets WHERE NOT is_stub") == [(here,)]


async def test_two_workers_at_once_never_read_one_thing_twice(reading: Reading) -> None:
    catalog = pocket(60)
    async with reading(catalog, SyncSettings(refresh_batch=7)) as reader:
        where = reader.container("catalog")
        chosen = some_assets(catalog, 25)
        await ask(reader, *(RefreshAsked("asset", one, where) for one in chosen))
        settings = SyncSettings(refresh_batch=7)
        others = [Refresher(reader.client, reader.mirror.store, reader.sweeper, settings, Privacy()) for _ in range(3)]

        async def empty(worker: Refresher) -> None:
            while await worker.once():
                await asyncio.sleep(0)

        await asyncio.gather(*map(empty, others))
        assert sum(worker.count.read for worker in others) == len(chosen)
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE NOT is_stub") == len(chosen)
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0


async def test_what_is_asked_for_again_while_it_is_read_is_read_again(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog) as reader:
        where, (chosen,) = reader.container("catalog"), some_assets(catalog, 1)
        await ask(reader, RefreshAsked("asset", chosen, where))
        reread, seen = reader.sweeper.reread, 0

        async def with_an_event_in_between(*arguments: Any) -> Any:
            nonlocal seen
            seen += 1
            reads = await reread(*arguments)
            if seen == 1:
                await ask(reader, RefreshAsked("asset", chosen, where))
            return reads

        reader.sweeper.reread = with_an_event_in_between  # type: ignore[method-assign,assignment]
        await reader.refresh()
        assert seen == 2
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0


async def test_live_wins_over_sync_and_is_read_first(reading: Reading, subscriber: type[Subscriber]) -> None:
    catalog = pocket()
    async with reading(catalog, subscribers=[subscriber()]) as reader:
        where, (first, second) = reader.container("catalog"), some_assets(catalog, 2)
        await ask(reader, RefreshAsked("asset", first, where, origin=Origin.SYNC))
        await ask(reader, RefreshAsked("asset", second, where, origin=Origin.SYNC))
        await ask(reader, RefreshAsked("asset", second, where, origin=Origin.LIVE))
        await ask(reader, RefreshAsked("asset", second, where, origin=Origin.SYNC))
        async with reader.mirror.store.write() as connection:
            claimed = await refreshes.claim(connection, reader.mirror.store, 1, 0.0)
        assert [(one.entity_id, one.origin) for one in claimed] == [(second, Origin.LIVE)]
        await reader.mirror.execute("UPDATE refreshes SET lease_until = NULL")
        await reader.refresh()
        assert await reader.mirror.one("SELECT count(*) FROM deliveries") == 1


@on_one_store
async def test_a_reading_that_fails_is_put_off_with_growing_pauses_and_given_up(reading: Reading) -> None:
    """One asset cannot be read (its own status in the bulk answer is 500); the others are."""
    catalog = pocket()
    async with reading(catalog, SyncSettings(refresh_attempts=3)) as reader:
        where, chosen = reader.container("catalog"), some_assets(catalog, 3)
        fail_alone(catalog, chosen[0])
        await ask(reader, *(RefreshAsked("asset", one, where) for one in chosen))
        pauses = []
        for attempt in (1, 2):
            await reader.refresh()
            assert await reader.mirror.all("SELECT entity_id, attempts FROM refreshes") == [(chosen[0], attempt)]
            pauses.append(await reader_pause(reader))
            await make_due(reader)
        await reader.refresh()
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0
        assert reader.refresher.count.given_up == 1
        assert 4 <= pauses[0] <= 5.1
        assert 9 <= pauses[1] <= 10.1
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE NOT is_stub") == 2
        assert await reader.mirror.one("SELECT count(*) FROM dead_letters") == 0


def fail_alone(catalog: PocketCatalog, asset_id: str) -> None:
    """Make reading this one asset answer 500, alone or among others."""
    live: Callable[[str], Any] = catalog.assets.live

    def refuse(wanted: str) -> Any:
        if wanted == asset_id:
            raise Problem(500, "internal_error", "Something went wrong with this one.")
        return live(wanted)

    catalog.assets.live = refuse  # type: ignore[method-assign,assignment]


async def reader_pause(reader: Reader) -> float:
    async with reader.mirror.store.read() as connection:
        left = await refreshes.next_due_s(connection)
    assert left is not None
    return left


@pytest.mark.parametrize("down", [CatalogBusy, CatalogRefused])
@on_one_store
async def test_while_the_catalog_as_such_is_down_nothing_is_given_up(
    reading: Reading, monkeypatch: pytest.MonkeyPatch, down: type[TransientError]
) -> None:
    catalog = pocket()
    async with reading(catalog, SyncSettings(refresh_attempts=1)) as reader:
        where, chosen = reader.container("catalog"), some_assets(catalog, 5)
        await ask(reader, *(RefreshAsked("asset", one, where) for one in chosen))
        await ask(reader, RefreshAsked("job", "j", reader.container("project")))

        async def refused(*_: Any) -> Any:
            raise down(call="GET", problem="no", setting="S")

        with monkeypatch.context() as broken:
            broken.setattr(reader.client, "call", refused)
            for _ in range(3):
                with pytest.raises(down):
                    await reader.refresher.once()
                await make_due(reader)
        assert await reader.mirror.all("SELECT count(*), max(attempts) FROM refreshes") == [(6, 0)]
        await reader.refresh()
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE NOT is_stub") == 5


@on_one_store
async def test_one_unusable_id_does_not_keep_others_from_being_read(reading: Reading) -> None:
    """A comma in an id makes two of it, and the answer unusable for all that are read with it."""
    catalog = pocket()
    async with reading(catalog) as reader:
        where, chosen = reader.container("catalog"), some_assets(catalog, 4)
        await ask(reader, *(RefreshAsked("asset", one, where) for one in [*chosen, "a,,b"]))
        await reader.refresh()
        assert await reader.mirror.all("SELECT entity_id FROM refreshes") == [("a,,b",)]
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE NOT is_stub") == 4


@pytest.mark.parametrize("change", ["deleted", "archived 403", "archived 410", "role lost"])
@on_one_store
async def test_what_is_asked_for_in_a_container_that_cannot_be_read_deletes_nothing_and_stops_nobody(
    reading: Reading, change: str
) -> None:
    catalog = pocket(60, archived_status=410 if change == "archived 410" else 403)
    async with reading(catalog) as reader:
        await reader.snapshot()
        where = reader.container("project")
        before = await reader.mirror.all("SELECT * FROM enrichment_areas ORDER BY area_id")
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        if change == "deleted":
            catalog.delete_container(where.id)
        elif change == "role lost":
            catalog.set_caller_role(where.id, None)
        else:
            catalog.archive_container(where.id)
        for kind, key, table in (
            ("asset", "asset_id", "assets"), ("data_profile", "profile_id", "data_profiles"),
            ("enrichment_area", "area_id", "enrichment_areas"),
            ("metadata_import", "metadata_import_id", "metadata_imports"), ("job", "job_id", "jobs"),
            ("container", "container_id", "containers"),
        ):  # fmt: skip
            (key,) = (await reader.mirror.all(f"SELECT {key} FROM {table} WHERE container_id = :id LIMIT 1",
                                              id=where.id))[0]  # fmt: skip
            await ask(reader, RefreshAsked(kind, key, where))
        await ask(reader, RefreshAsked("artifact", "no-such-artifact"))
        await ask(reader, RefreshAsked("container", "no-such-catalog", Container("catalog", "no-such-catalog")))
        await reader.refresh()
        for table in ("assets", "data_profiles", "metadata_imports", "jobs", "job_runs"):
            assert await reader.mirror.one(f"SELECT count(*) FROM {table} WHERE deleted_at IS NOT NULL") == 0, table
        assert await reader.mirror.all("SELECT container_id FROM containers WHERE deleted_at IS NOT NULL") == [
            ("no-such-catalog",)
        ]
        assert await reader.mirror.all("SELECT * FROM enrichment_areas ORDER BY area_id") == before


@on_one_store
async def test_a_profile_in_a_space_is_read_from_its_card(reading: Reading) -> None:
    """Profiles of spaces cannot be read by id."""
    catalog = pocket(100)
    async with reading(catalog) as reader:
        await reader.snapshot()
        found = await reader.mirror.all(
            "SELECT profile_id FROM v1_data_profiles WHERE container_kind = 'space' LIMIT 1"
        )
        assert found
        await ask(reader, RefreshAsked("data_profile", found[0][0]))
        await reader.refresh()
        assert await reader.mirror.one("SELECT count(*) FROM refreshes") == 0


@on_one_store
async def test_a_worker_that_meets_what_nobody_foresaw_goes_on(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "IDLE_S", 0.01)
    catalog = pocket()
    async with reading(catalog) as reader:
        claim, times = refreshes.claim, 0

        async def broken(*arguments: Any) -> Any:
            nonlocal times
            times += 1
            if times == 1:
                raise ZeroDivisionError
            return await claim(*arguments)

        monkeypatch.setattr(refreshes, "claim", broken)
        await ask(reader, RefreshAsked("asset", some_assets(catalog, 1)[0], reader.container("catalog")))
        working = asyncio.create_task(reader.refresher.run())
        while not reader.refresher.count.read:
            await asyncio.sleep(0.01)
        reader.refresher.stop()
        await working
        assert reader.refresher.count.problem is None


async def test_a_worker_that_is_told_to_stop_leaves_what_it_has_not_begun_to_others(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease of two minutes would keep them from it after each rolling change."""
    catalog = pocket()
    async with reading(catalog) as reader:
        await ask(reader, *(RefreshAsked("asset_list", f"list{n}", Container("catalog", f"c{n}")) for n in range(5)))
        read = reader.refresher._read

        async def last(requests: Any) -> None:
            await read(requests)
            reader.refresher.stop()

        monkeypatch.setattr(reader.refresher, "_read", last)
        await asyncio.wait_for(reader.refresher.run(), 20)
        assert await reader.mirror.all("SELECT count(*), count(lease_until) FROM refreshes") == [(4, 0)]
