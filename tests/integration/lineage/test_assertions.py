"""What tests found is told by a view, run by run: in any order, once, as long as its lineage is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.changes import AssetSaved, Change, ConnectionDetails, Container, Origin, Rank, Version
from service.events.message import Message
from service.mirror import writer
from service.mirror.retention import prune
from service.settings.model import RetentionSettings
from service.text.documents import document
from tests.integration.lineage.test_distinct_events import FACET, RUN, message, run_event
from tests.integration.mirror.test_any_order import Ways, in_two_orders

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror
    from tests.integration.lineage.conftest import Client

NOT_NULL = {"assertion": "not_null", "column": "id", "success": True}
UNIQUE = {"assertion": "unique", "column": "id", "success": False, "severity": "warn", "expected": "0", "actual": "3"}
VIEW = "SELECT assertion, column_name, success, actual FROM v1_quality_assertions ORDER BY name, assertion, column_name"


def dbt_test(*told: Any, name: str = "shop.public.orders", **more: Any) -> dict[str, Any]:
    """As dbt tells it: in both places, with START already."""
    facets = {"dataQualityAssertions": {**FACET, "assertions": list(told)}}
    dataset = {"namespace": "postgres://db:5432", "name": name, "facets": facets, "inputFacets": facets}
    return run_event(**{"inputs": [dataset], "outputs": [], **more})


async def test_what_dbt_tested_is_told_with_asset_run_and_job(api: Client, mirror: Mirror) -> None:
    version, place = Version(1, Rank.READ), Container("catalog", "c1")
    link = ConnectionDetails("postgresql", None, "db", "5432", "shop")
    states: list[Change] = [
        AssetSaved("k", version, document({}), place, connection=link),
        AssetSaved("a1", version, document({}), place, "Orders", connection_id="k", connection_path="/public/orders"),
    ]
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate(states))
    start = dbt_test(NOT_NULL, UNIQUE, eventType="START", eventTime="2026-05-10T15:04:10Z")
    for event in (start, dbt_test(NOT_NULL, UNIQUE), dbt_test(UNIQUE, name="other", run={"runId": RUN[:-1] + "9"})):
        assert (await api.post("/api/v1/lineage", event, "airflow"))[0] == 201

    columns = "asset_id, asset_name, container_id, column_name, assertion, success, severity, expected, actual"
    query = (
        f"SELECT {columns}, event_id, run_id, job FROM v1_quality_assertions WHERE asset_id = 'a1' ORDER BY assertion"
    )
    common = (RUN, RUN, "airflow/orders.load")
    found = [(*row[:5], bool(row[5]), *row[6:]) for row in await mirror.all(query)]
    assert found == [
        ("a1", "Orders", "c1", "id", "not_null", True, None, None, None, *common),
        ("a1", "Orders", "c1", "id", "unique", False, "warn", "0", "3", *common),
    ]
    others = await mirror.all("SELECT namespace, name, asset_id FROM v1_quality_assertions WHERE asset_id <> 'a1'")
    assert others == [("postgres://db:5432", "other", "postgres://db:5432/other")]


async def test_what_cannot_be_used_is_named_in_the_answer_and_the_rest_is_there(api: Client, mirror: Mirror) -> None:
    odd = {"assertion": "x" * 5000, "success": False, "column": "c" * 5000, "expected": 7}
    status, answer = await api.post(
        "/api/v1/lineage", dbt_test(None, {"success": 1}, odd, {**NOT_NULL, "name": "\x00"}), "airflow"
    )

    assert status == 201
    named = {one.partition(":")[0].partition("assertions.")[2] for one in answer["warnings"][0]["told"]}
    assert named == {"0", "1", "2.expected"}
    assert await mirror.one("SELECT count(*) FROM v1_lineage_edges") == 1
    rows = await mirror.all("SELECT length(assertion), expected FROM v1_quality_assertions ORDER BY 1")
    assert rows == [(8, None), (5000, "7")]
    assert await mirror.one("SELECT max(length(column_name)) FROM v1_quality_assertions") <= 1024


async def test_half_a_surrogate_pair_anywhere_costs_nothing(api: Client, mirror: Mirror) -> None:
    told = dbt_test({**NOT_NULL, "column": "\ud800"}, name="\udfff", job={"namespace": "\ud800", "name": "j"})
    told["run"]["facets"] = {"odd": {**FACET, "\ud800": ["\ud800"]}}
    told["producer"] = None  # there is something to mend, too
    body = json.dumps(told).encode()

    assert (await api.post("/api/v1/lineage", body, "airflow"))[0] == 201
    assert await mirror.one("SELECT name, column_name FROM v1_quality_assertions") == ("\ufffd", "\ufffd")
    assert await mirror.one("SELECT count(*) FROM v1_lineage_edges") == 1
    status, whole = await api.get(f"/v2/lineage_events/{RUN}/openlineage", "operator")
    assert (status, list(whole["run"]["facets"]["odd"])[-1]) == (200, "\ud800")


async def test_the_newest_word_of_a_run_replaces_what_it_said_before_and_twice_is_once(mirror: Mirror) -> None:
    pipeline = mirror.pipeline()
    start = dbt_test(NOT_NULL, UNIQUE, eventType="START", eventTime="2026-05-10T15:04:10Z")
    end = dbt_test({**UNIQUE, "success": True, "actual": "0"})
    for event in (start, end, run_event("COMPLETE", inputs=[], eventTime="2026-05-10T15:04:16Z")):
        await pipeline.process([message(event)], Origin.LIVE)
    assert [(row[0], row[3]) for row in await mirror.all(VIEW)] == [("unique", "0")]
    rows = await mirror.all("SELECT * FROM quality_assertions")
    assert len(rows) == 1

    await pipeline.process([message(start), message(end)], Origin.LIVE)
    assert await mirror.all("SELECT * FROM quality_assertions") == rows

    await pipeline.process([message(dbt_test(eventTime="2026-05-10T15:04:17Z"))], Origin.LIVE)
    assert await mirror.all(VIEW) == [], "it says now that nothing was tested"


async def test_what_an_interrupted_replica_left_is_not_shown(mirror: Mirror) -> None:
    """Two replicas that write at once may each not see the other's rows: the view counts the newest alone."""
    await mirror.pipeline().process([message(dbt_test(UNIQUE, eventTime="2026-05-10T15:04:10Z"))], Origin.LIVE)
    await mirror.execute("CREATE TABLE aside AS SELECT * FROM quality_assertions")
    await mirror.pipeline().process([message(dbt_test(NOT_NULL))], Origin.LIVE)
    await mirror.execute("INSERT INTO quality_assertions SELECT * FROM aside", "DROP TABLE aside")

    assert [row[0] for row in await mirror.all(VIEW)] == ["not_null"]


async def test_private_data_sets_are_not_shown_and_old_ones_go_with_their_lineage(mirror: Mirror) -> None:
    await mirror.pipeline().process([message(dbt_test(UNIQUE))], Origin.LIVE)
    await mirror.execute("UPDATE assets SET visibility_mode = 8")
    assert await mirror.all(VIEW) == []

    await prune(mirror.store, RetentionSettings(lineage_s=86_400.0))
    assert await mirror.one("SELECT count(*) FROM quality_assertions") == 0


# Any order.


@st.composite
def events(draw: st.DrawFn) -> Message:
    told = draw(
        st.lists(st.sampled_from([NOT_NULL, UNIQUE, {**UNIQUE, "success": True}, {**UNIQUE, "name": "u"}]), max_size=3)
    )
    moment = draw(st.sampled_from(["2026-05-10T15:04:15Z", "2026-05-10T15:04:16Z"]))
    name = draw(st.sampled_from(["orders", "items"]))
    event = dbt_test(*told, name=name, eventType=draw(st.sampled_from(["START", "COMPLETE", "FAIL"])), eventTime=moment)
    event["job"] = {"namespace": "dbt", "name": draw(st.sampled_from(["test", "test", "build"]))}
    if draw(st.booleans()):
        del event["inputs"][0]["facets"]
    if draw(st.booleans()):
        del event["inputs"][0]["inputFacets"]
    return message(event)


@st.composite
def ways(draw: st.DrawFn) -> Ways:
    return draw(in_two_orders(draw(st.lists(events(), min_size=2, max_size=8))))


async def mirrored(mirror: Mirror, way: list[list[Message]]) -> list[Any]:
    await mirror.clear()
    pipeline = mirror.pipeline()
    for batch in way:
        await pipeline.process(batch, Origin.LIVE)
    rows = "SELECT assertion_id, version, asset_id, job, assertion, success FROM quality_assertions ORDER BY 1"
    shown = "SELECT assertion_id FROM v1_quality_assertions ORDER BY 1"
    return [
        [(*row[:5], None if row[5] is None else bool(row[5])) for row in await mirror.all(rows)],
        await mirror.all(shown),
    ]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(way=ways())
async def test_what_tests_found_is_the_same_in_any_order_on_either_store(both: list[Mirror], way: Ways) -> None:
    first = await mirrored(both[0], way[0])
    for mirror in both:
        for one in way:
            assert await mirrored(mirror, one) == first
