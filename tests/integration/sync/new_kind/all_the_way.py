"""Run in a copy of the project that has gadgets: everything works that works for every kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.catalog import server
from sandbox.catalog.calls import Answer, Call
from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.model import PocketCatalog
from service.changes import Origin
from service.events.message import Message
from service.mirror.described import VIEWS
from service.mirror.rebuild import rebuild
from service.pipeline.committing import Fate
from tests.integration.sync.kinds import only

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Reading

#: What the catalog has, by container.
GADGETS: dict[str, list[dict[str, Any]]] = {}
ROWS = "SELECT gadget_id, name, size, container_id FROM v1_gadgets ORDER BY gadget_id"


def list_gadgets(call: Call) -> Answer:
    """`GET /v2/gadgets`: of one container."""
    place = call.container()
    offset, limit = int(call.query["offset"]), int(call.query["limit"])
    there = GADGETS.get(place.id, [])
    return Answer({"gadgets": there[offset : offset + limit], "count": len(there)})


server.ROUTES = (*server.ROUTES, ("GET", "/v2/gadgets", list_gadgets))


def gadget(number: int, size: int, asset_id: str) -> dict[str, Any]:
    entity = {"name": f"gadget {number}", "size": size, "asset": {"id": asset_id}}
    return {"id": f"g{number:03d}", "entity": entity, "metadata": {"made_at": "2026-05-10T12:00:00Z"}}


async def test_a_kind_that_was_declared_is_taken_all_the_way(reading: Reading) -> None:
    clock = SteppingClock()
    catalog = PocketCatalog(seed=4, assets=30, clock=clock)
    async with reading(catalog, only("asset", "gadget")) as reader:
        where = reader.container("project")
        assets = [card["metadata"]["asset_id"] for _, place, card in catalog.true_assets(as_seen=True)
                  if place == where.id]  # fmt: skip
        GADGETS[where.id] = there = [gadget(number, 10, assets[number % len(assets)]) for number in range(120)]

        await reader.snapshot()
        shown = await reader.mirror.all(ROWS)
        assert len(shown) == 120
        assert shown[0] == ("g000", "gadget 0", 10, where.id)

        clock.advance(60)
        there[0]["entity"]["size"] = 11
        told = json.dumps({"details": {f"{where.kind}_id": where.id}}).encode()
        outcome = await reader.pipeline.process([Message("v2.gadgets.g000.PATCH", told)], Origin.LIVE)
        assert dict(outcome.topics) == {("v2.gadgets.*.#", Fate.UNCHANGED): 1}, "its topic has a route"
        assert await reader.mirror.all("SELECT kind FROM refreshes") == [("gadget",)]
        await reader.mirror.execute("UPDATE refreshes SET due_at = asked_at")
        await reader.refresh()
        assert (await reader.mirror.all(ROWS))[0][2] == 11

        clock.advance(60)
        del there[5:]
        report = await reader.reconcile(accept_deletions=True)
        assert report.kinds["gadget"]["orphaned"] == 115
        assert [row[0] for row in await reader.mirror.all(ROWS)] == [f"g{n:03d}" for n in range(5)]

        (fresh,) = await reader.mirror.all(
            f"SELECT kind, things, orphaned FROM v1_freshness WHERE kind = 'gadget' AND container_id = '{where.id}'"
        )
        assert fresh == ("gadget", 5, 0)

        await reader.mirror.execute("UPDATE gadgets SET size = NULL")
        assert dict([pair async for pair in rebuild(reader.mirror.store, everything=True)])["gadget"] == 5
        assert (await reader.mirror.all(ROWS))[0][2] == 11

        await reader.mirror.execute(f"UPDATE assets SET deleted_at = mirrored_at WHERE asset_id = '{assets[0]}'")
        assert "g000" not in {row[0] for row in await reader.mirror.all(ROWS)}, "it is shown only while its asset is"
        assert await reader.mirror.all("SELECT gadget_id FROM v1_gadgets_history") == []
    assert VIEWS["v1_gadgets"].columns["size"] == "In pixels"
