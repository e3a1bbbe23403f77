"""Changes of linked things become jobs at Pentaho: which, how few, in which order, and what is announced."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from service.changes import AssetDeleted, Rank, Version
from service.mirror.tables import controls
from service.targets.pentaho import links
from service.targets.pentaho.links import Link

if TYPE_CHECKING:
    from sandbox.pentaho.server import PocketPentaho
    from tests.integration.pentaho.conftest import Made
    from tests.integration.pentaho.conftest import Running as Here

Running = Callable[..., AbstractAsyncContextManager["Here"]]
DATA_SOURCE, RULE = "65f0aa11bb22cc33dd44ee55", "65f0aa11bb22cc33dd44ee56"


async def test_a_storm_of_changes_becomes_the_fewest_jobs_with_each_id_once(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    linked = [Link("asset", f"a{n}", made.uuid(n)) for n in range(250)]
    async with running(*linked, scope_max=100, settle=600) as here:
        for at in range(1, 4):
            await here.change(*(made.asset(f"a{n}", f"state {at}", at) for n in range(250)))
        # The first has settled: all that wait go with it.
        await here.mirror.execute(
            "UPDATE deliveries SET due_at = created_at WHERE seq = (SELECT min(seq) FROM deliveries)"
        )
        await here.at_rest()
        assert await here.jobs() == [("metadata_re_ingest", "succeeded")] * 3
    scopes = pocket.scopes("metadata/re-ingest")
    assert sorted(len(scope) for scope in scopes) == [50, 100, 100]
    assert sorted(one for scope in scopes for one in scope) == sorted(link.pentaho_id for link in linked)


async def test_links_hold_from_the_next_change_on(running: Running, pocket: PocketPentaho, made: Made) -> None:
    async with running() as here:
        await here.change(made.asset("a1", "before"))
        async with here.mirror.store.write() as connection:
            await links.store(connection, "pentaho", [Link("asset", "a1", made.uuid(1))], replace=False)
        await here.change(made.asset("a1", "after", 2))
        await here.at_rest()
        async with here.mirror.store.write() as connection:
            await links.remove(connection, "pentaho", "asset", "a1")
        await here.change(made.asset("a1", "later", 3))
        await here.at_rest()
    assert pocket.scopes("metadata/re-ingest") == [[made.uuid(1)]]


async def test_a_deleted_connection_removes_the_data_source_only_where_settings_say_so(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    link = Link("connection", "k", DATA_SOURCE, "77")
    async with running(link) as here:
        await here.change(made.asset("k", asset_type="connection"))
        await here.change(AssetDeleted("k", Version(2, Rank.DELETED)))
        await here.at_rest()
    assert pocket.taken == []
    async with running(link, rules={"connection_deleted": [["remove_datasource"]]}) as here:
        await here.change(made.asset("k", "back", 3, asset_type="connection"))
        await here.change(AssetDeleted("k", Version(4, Rank.DELETED), hinted=True))
        await here.at_rest()
        assert pocket.taken == [], "a hint is no deletion"
        await here.change(made.asset("k", "again", 5, asset_type="connection"))
        await here.at_rest()
        await here.change(AssetDeleted("k", Version(6, Rank.DELETED)))
        await here.at_rest()
    assert pocket.taken == [("remove-datasource", {"id": DATA_SOURCE, "fqdnId": "77"})]


async def test_a_finished_job_is_announced_once_in_the_lineage(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    linked = [Link("asset", f"a{n}", made.uuid(n)) for n in (1, 2)]
    async with running(*linked) as here:
        await here.change(made.asset("a1", name="Orders"), made.asset("a2"))
        await here.at_rest()
        (told,) = map(json.loads, here.listener.told)
        assert await here.mirror.one("SELECT count(*) FROM lineage_events WHERE own") == 1
    assert told["event_details"]["event_type"] == "PENTAHO_METADATA_RE_INGEST_SUCCEEDED"
    assert sorted(asset["id"] for asset in told["uses_assets"]) == ["a1", "a2"]


async def test_usage_is_asked_for_once_in_a_while_with_the_days_of_what_was_used(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    linked = [Link("asset", f"a{n}", made.uuid(n)) for n in range(3)]
    async with running(*linked, usage_every="1h") as here:
        await here.until("SELECT count(*) FROM controls WHERE name = 'usage_told_to:pentaho'", 1)
        assert pocket.taken == [], "the first turn only begins to count"
        used = {"a0": "2026-05-03T23:59:00Z", "a1": "2026-05-01T00:00:01Z", "unlinked": "2025-01-01T00:00:00Z"}
        await here.change(*(made.use(asset_id, at) for asset_id, at in used.items()))
        long_ago = sa.update(controls).where(controls.c.name == "usage_told_to:pentaho")
        async with here.mirror.store.write() as connection:
            await connection.execute(long_ago.values(updated_at=here.mirror.store.later(-7200)))
        (planned,) = await here.target.plan([])
        here.target._usage_looked_at = -math.inf
        await here.until("SELECT count(*) FROM pentaho_jobs WHERE state = 'succeeded'", 1)
        assert await here.target.plan([]) == [], "it is told once"
    body = {
        "scope": [made.uuid(0), made.uuid(1)],
        "configs": {"startDate": "2026-05-01", "endDate": "2026-05-03"},
    }
    assert pocket.taken == [("usage-statistics", body)]
    assert json.loads(planned.body) == body
