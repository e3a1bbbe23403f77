"""The lineage that the catalog holds: read in rotation, and at once for what changed; known as what was published.

`GET /v2/asset_lineages/{asset_id}` is told by IBM, lines 33555 and following of its reference; exactly one container.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.catalog.clock import SteppingClock, iso_millis
from sandbox.catalog.model import PocketCatalog
from service.changes import Origin, RefreshAsked
from service.events.message import Message
from service.kinds import KINDS
from service.mirror import refreshes
from service.sync import sweep
from service.sync.rotation import Rotation
from service.sync.sweep import Options
from service.text import documents
from tests.integration.sync.kinds import on_one_store, only

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Reader, Reading

ASKED = "GET /v2/asset_lineages/{asset_id}"
DAY_S = 86_400.0


def pocket(assets: int = 30) -> PocketCatalog:
    return PocketCatalog(seed=9, assets=assets, clock=SteppingClock())


def published(
    catalog: PocketCatalog, event_id: str, uses: str, generates: str, *, ago_s: float = 0.0, service: str = "etl"
) -> dict[str, Any]:
    """An event that somebody tells the catalog, in the published form."""
    return {
        "message_version": "v1",
        "user_id": "somebody",
        "account_id": "999",
        "event_details": {
            "event_id": event_id,
            "event_type": "JOB_COMPLETED",
            "event_category": ["additions"],
            "event_time": iso_millis(catalog.clock.now() - ago_s),
            "event_source_service": service,
        },
        "uses_assets": [{"id": uses, "asset_type": "DataSet", "relation": {"name": "Used"}, "properties": {}}],
        "generates_assets": [
            {"id": generates, "asset_type": "DataSet", "relation": {"name": "Created"}, "properties": {}}
        ],
    }


def some(catalog: PocketCatalog, where: str, number: int = 3) -> list[str]:
    cards = [card["metadata"] for _, place, card in catalog.true_assets(as_seen=True) if place == where]
    return [told["asset_id"] for told in cards if told["rov"]["mode"] == 0][:number]


async def rotate(reader: Reader) -> None:
    """Everything that rotates comes round once."""
    settings = only("asset", "lineage_event")
    rotation = Rotation(reader.mirror.store, reader.sweeper, settings)
    containers = [reader.container(kind) for kind in ("catalog", "project", "space")]
    while await rotation.once(containers):
        pass


async def test_lineage_that_the_catalog_holds_comes_with_the_rotation(reading: Reading) -> None:
    """Its own copies, and what others told it; on either store, however often."""
    catalog = pocket()
    async with reading(catalog, only("asset", "lineage_event")) as reader:
        where = reader.container("catalog").id
        one, other, third = some(catalog, where)
        for number in range(120):  # more than a page
            catalog.lineage.receive(published(catalog, f"e{number}", one, other, ago_s=100 * DAY_S + number))
        catalog.lineage.receive(published(catalog, "last", other, third, ago_s=5))
        await reader.snapshot()
        assert catalog.calls[ASKED] == 0
        await rotate(reader)

        rows = await reader.mirror.all("SELECT event_id, event_type, came_from FROM lineage_events")
        assert {row[0] for row in rows} == {f"e{number}" for number in range(120)} | {"last"}
        assert {row[1:] for row in rows} == {("JOB_COMPLETED", "catalog")}
        edges = "SELECT asset_id, role FROM lineage_edges WHERE event_id = 'last' ORDER BY role"
        assert await reader.mirror.all(edges) == [(third, "generates"), (other, "uses")]
        assert await reader.mirror.one("SELECT count(*) FROM deliveries") == 0
        before = await reader.mirror.content()
        await reader.mirror.execute("UPDATE sync_states SET polled_at = NULL")
        await rotate(reader)
        assert await reader.mirror.content() == before
        assert await reader.mirror.one("SELECT count(*) FROM v1_freshness WHERE problem IS NOT NULL") == 0


@pytest.mark.parametrize("first", ["topic", "rest"])
async def test_an_event_that_came_by_the_topic_is_the_one_that_the_catalog_answers(
    reading: Reading, first: str
) -> None:
    """`source_event_id` is the id that its publisher gave it; the published form counts, whatever comes first."""
    catalog = pocket()
    async with reading(catalog, only("asset", "lineage_event")) as reader:
        one, other, _ = some(catalog, reader.container("catalog").id)
        body = published(catalog, "e1", one, other, ago_s=60) | {"more": "only the publisher says"}
        catalog.lineage.receive(body)
        await reader.snapshot()
        message = Message("v2.lineage_events.e1.POST", documents.canonical(body))
        ways = {"topic": reader.pipeline.process([message], Origin.LIVE), "rest": rotate(reader)}
        for way in (first, "rest" if first == "topic" else "topic"):
            await ways[way]

        ((document,),) = await reader.mirror.all("SELECT document FROM lineage_events")
        assert "only the publisher says" in document
        assert await reader.mirror.one("SELECT count(*) FROM lineage_edges") == 2


@on_one_store
async def test_our_own_lineage_stays_ours_when_the_catalog_answers_it(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, only("asset", "lineage_event")) as reader:
        one, other, _ = some(catalog, reader.container("catalog").id)
        catalog.lineage.receive(published(catalog, "ours", one, other, ago_s=60))
        await reader.snapshot()
        await rotate(reader)
        await reader.mirror.execute("UPDATE lineage_events SET own = 1, came_from = NULL")
        await reader.mirror.execute("UPDATE sync_states SET polled_at = NULL")
        await rotate(reader)

        assert await reader.mirror.all("SELECT own, came_from FROM lineage_events") == [(1, None)]


@on_one_store
async def test_what_changed_brings_its_lineage_at_once_and_only_what_is_new_goes_to_targets(
    reading: Reading, subscriber: type[Any]
) -> None:
    target = subscriber("backend", forwards=True)
    catalog = pocket()
    async with reading(catalog, only("asset", "lineage_event"), subscribers=[target]) as reader:
        where = reader.container("catalog")
        one, other, third = some(catalog, where.id)
        await reader.snapshot()
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        catalog.lineage.receive(published(catalog, "old", other, one, ago_s=30 * DAY_S))
        catalog.lineage.receive(published(catalog, "new", third, one, ago_s=5))
        async with reader.mirror.store.write() as connection:
            await refreshes.ask(connection, [RefreshAsked("asset", one, where)])
        await reader.refresh()

        assert {row[0] for row in await reader.mirror.all("SELECT event_id FROM lineage_events")} == {"old", "new"}
        assert await reader.mirror.one("SELECT count(*) FROM deliveries") == 1
        assert catalog.calls[ASKED] == 1


@on_one_store
async def test_a_flood_of_changes_is_not_slowed_down_by_their_lineage(reading: Reading) -> None:
    catalog = pocket(60)
    settings = only("asset", "lineage_event", refresh_batch=20)
    async with reading(catalog, settings) as reader:
        where = reader.container("catalog")
        await reader.snapshot()
        wanted = [RefreshAsked("asset", asset_id, where) for asset_id in some(catalog, where.id, 20)]
        assert len(wanted) > 10
        async with reader.mirror.store.write() as connection:
            await refreshes.ask(connection, wanted)
        await reader.refresh()

        assert catalog.calls[ASKED] == 0


@on_one_store
async def test_a_reading_that_stops_between_the_pages_of_one_asset_goes_on_with_that_asset(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_PAGES_BELOW", 1)
    catalog = pocket()
    async with reading(catalog, only("asset", "lineage_event")) as reader:
        where = reader.container("catalog")
        one, other, _ = some(catalog, where.id)
        for number in range(180):
            catalog.lineage.receive(published(catalog, f"e{number}", one, other, ago_s=number))
        await reader.snapshot()
        cursor: str | None = None
        stops = 0
        while True:

            async def stop(result: Any) -> None:
                nonlocal cursor
                if result.cursor and result.cursor != cursor:
                    cursor = result.cursor
                    raise KeyboardInterrupt

            try:
                await reader.sweeper.sweep(KINDS["lineage_event"], where, Options(), stop, cursor)
                break
            except KeyboardInterrupt:
                stops += 1
        assert stops > 5
        assert await reader.mirror.one("SELECT count(*) FROM lineage_events") == 180


@on_one_store
async def test_a_rotation_tells_how_far_it_is_though_there_is_no_lineage_at_all(reading: Reading) -> None:
    """A catalog of a million assets takes a day to ask: others have their turn, and a restart goes on where it was."""
    catalog = pocket(200)
    async with reading(catalog, only("asset", "lineage_event")) as reader:
        where = reader.container("catalog")
        await reader.snapshot()
        told: list[str | None] = []

        async def note(result: Any) -> None:
            told.append(result.cursor)

        await reader.sweeper.sweep(KINDS["lineage_event"], where, Options(), note)
        asked = catalog.calls[ASKED]
        assert asked >= 100
        assert len({cursor for cursor in told if cursor}) >= asked // 50
