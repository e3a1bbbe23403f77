"""What each rule asks for, in which order, and what the words of a status mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest

from service.mirror import deliveries
from service.targets.pentaho import ledger
from service.targets.pentaho.links import Link
from service.targets.pentaho.operations import OPERATIONS
from service.targets.pentaho.planning import Planned

if TYPE_CHECKING:
    from sandbox.pentaho.server import PocketPentaho
    from tests.integration.pentaho.conftest import Made
    from tests.integration.pentaho.conftest import Running as Here

Running = Callable[..., AbstractAsyncContextManager["Here"]]
DATA_SOURCE, RULE = "65f0aa11bb22cc33dd44ee55", "65f0aa11bb22cc33dd44ee56"


@pytest.fixture
def store_url(sqlite_url: str) -> str:
    """What rules ask for does not depend on the store."""
    return sqlite_url


async def test_what_is_not_linked_sends_nothing_is_counted_and_what_to_do_is_said(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    async with running() as here:
        await here.change(made.asset("a1"), made.asset("k", asset_type="connection"), made.profile("p", "a1", "none"))
        await here.at_rest()
        assert "links import" in (await here.target.remarks())[0]
        unlinked = here.metrics.unlinked
        assert [unlinked.labels("pentaho", kind)._value.get() for kind in ("asset", "connection")] == [1, 1]
    assert pocket.taken == []


async def test_a_finished_profile_is_profiled_there_and_a_running_one_is_not(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    linked = [Link("asset", f"a{n}", made.uuid(n)) for n in (1, 2)]
    async with running(*linked) as here:
        await here.change(made.profile("p1", "a1", "running"), made.profile("p2", "a2", "Finished"))
        await here.at_rest()
    assert pocket.taken == [("data-profiling", {"scope": [made.uuid(2)]})]


async def test_an_enrichment_area_is_profiled_discovered_and_identified_in_that_order(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    pocket.words_of["data-discovery"] = ["WAITING", "WAITING", "WAITING", "COMPLETED"]
    linked = [Link("enrichment_area", "area", made.uuid(n)) for n in (1, 2)]
    async with running(*linked) as here:
        await here.change(made.thing("enrichment_area", "area"))
        await here.at_rest()
        assert {state for _, state in await here.jobs()} == {"succeeded"}
    paths = [path for path, _ in pocket.taken]
    assert [path for path in paths if path != "pii-detection"] == [
        "data-profiling", "data-discovery", "data-identification",
    ]  # fmt: skip
    assert sorted(paths)[-1] == "pii-detection"
    assert all(body["scope"] == [made.uuid(1), made.uuid(2)] for _, body in pocket.taken)


async def test_a_chain_ends_with_the_operation_that_failed(running: Running, pocket: PocketPentaho, made: Made) -> None:
    pocket.words_of["data-profiling"] = ["RUNNING", "Failed"]
    async with running(Link("enrichment_area", "area", made.uuid(1))) as here:
        await here.change(made.thing("enrichment_area", "area"))
        await here.at_rest()
        assert sorted(await here.jobs()) == [("data_profiling", "failed"), ("pii_detection", "succeeded")]


async def test_a_list_and_its_items_profile_the_collection_then_aggregate_it(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    async with running(Link("list", "l1", made.uuid(9))) as here:
        await here.change(
            made.thing("asset_list", "l1", name="orders"),
            made.thing("asset_list_item", "i1", asset_list_id="l1", asset_id="a1"),
            made.thing("asset_list_item", "i2", asset_list_id="l2", asset_id="a1"),
        )
        await here.at_rest()
    body = {"collectionId": made.uuid(9)}
    assert pocket.taken == [("collections/data-profiling", body), ("collections/data-aggregation", body)]


async def test_a_quality_rule_runs_with_row_counter_where_its_link_has_a_scope(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    plain = Link("rule", "check1", RULE)
    counted = Link("rule", "check2", "65f0aa11bb22cc33dd44ee57", None, (made.uuid(1),))
    async with running(plain, counted) as here:
        await here.change(*(made.thing("quality_check", f"check{n}", name="not null") for n in (1, 2)))
        await here.at_rest()
    assert sorted(pocket.taken, key=str) == [
        ("business-rule", {"ruleId": [RULE, counted.pentaho_id]}),
        ("business-rule/with-row-counter", {"ruleId": [counted.pentaho_id], "scope": [made.uuid(1)]}),
    ]


async def test_a_connection_is_tested_then_ingested_with_credentials_that_are_kept_nowhere(
    running: Running, pocket: PocketPentaho, made: Made, tmp_path: Any
) -> None:
    secret_file = tmp_path / "secret.yaml"
    secret_file.write_text("password: open-sesame\n")
    known = {DATA_SOURCE: {"databaseType": "POSTGRES", "host": "db", "userName": "u", "secret_file": str(secret_file)}}
    async with running(Link("connection", "k", DATA_SOURCE, "77"), data_sources=known) as here:
        await here.change(made.asset("k", asset_type="connection"))
        async with here.mirror.store.read() as connection:
            batch = await deliveries.peek(connection, here.mirror.store, "pentaho", 10)
        (planned,) = await here.target.plan(batch)
        await here.at_rest()
        rows = str(await here.mirror.all("SELECT * FROM pentaho_jobs"))
    assert json.loads(planned.body) == {
        "databaseType": "POSTGRES", "host": "db", "userName": "u", "fqdnId": "77", "resourceId": DATA_SOURCE,
        "password": "***",
    }  # fmt: skip
    assert [path for path, _ in pocket.taken] == ["test-connection", "metadata/ingest"]
    assert all(body["password"] == "open-sesame" for _, body in pocket.taken)
    assert "open-sesame" not in rows


async def test_status_is_free_text_and_what_is_unknown_runs_until_the_deadline(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    cases = {
        "metadata_re_ingest": (["Finished"], "succeeded"),
        "data_profiling": (["success"], "succeeded"),
        "data_discovery": (["CANCELLED"], "failed"),
        "usage_statistics": (["Error"], "failed"),
        "pii_detection": (["who knows", "COMPLETED"], "succeeded"),
        "business_rule": (["who knows"], "overdue"),
        "collection_profiling": ([""], "overdue"),
    }
    pocket.words_of = {OPERATIONS[name].path: words for name, (words, _) in cases.items()}
    async with running(deadline=0.5) as here:
        planned = [Planned(name, OPERATIONS[name].request([made.uuid(1)], {}), (), "test") for name in cases]
        async with here.mirror.store.write() as connection:
            await ledger.insert(connection, "pentaho", planned)
        await here.at_rest()
        assert dict(await here.jobs()) == {name: state for name, (_, state) in cases.items()}
    assert len(pocket.taken) == len(cases)


async def test_words_are_settings(running: Running, pocket: PocketPentaho, made: Made) -> None:
    pocket.words = ["Fertig"]
    async with running(Link("asset", "a1", made.uuid(1)), done_words=["FERTIG"]) as here:
        await here.change(made.asset("a1"))
        await here.at_rest()
        assert await here.jobs() == [("metadata_re_ingest", "succeeded")]
