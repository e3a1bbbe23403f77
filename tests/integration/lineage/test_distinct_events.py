"""Events of one run that differ in their facets alone: each is kept and goes on, once, and nothing else does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.changes import LineageRecorded, Origin
from service.events.message import Message
from service.openlineage import marks, reading
from tests.integration.conftest import Subscriber
from tests.integration.mirror.test_any_order import Ways, in_two_orders

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror
    from tests.integration.lineage.conftest import Client

RUN = "3f5e83fa-3480-44ff-99c5-ff943904e5e8"
FACET = {"_producer": "urn:x", "_schemaURL": "urn:y"}
COLUMNS = {**FACET, "fields": {"id": {"inputFields": [{"namespace": "n", "name": "raw", "field": "id"}]}}}


def run_event(state: str = "COMPLETE", **more: Any) -> dict[str, Any]:
    return {
        "eventType": state, "eventTime": "2026-05-10T15:04:15Z", "producer": "urn:x", "run": {"runId": RUN},
        "job": {"namespace": "airflow", "name": "orders.load"}, "inputs": [{"namespace": "n", "name": "raw"}],
        "outputs": [{"namespace": "n", "name": "clean"}], **more,
    }  # fmt: skip


#: As Airflow tells them: the second says what the first does, and how.
BARE = run_event()
RICH = run_event(
    job={"namespace": "airflow", "name": "orders.load", "facets": {"sql": {**FACET, "query": "SELECT id FROM raw"}}},
    outputs=[{"namespace": "n", "name": "clean", "facets": {"columnLineage": COLUMNS}}],
)


def message(event: dict[str, Any]) -> Message:
    return Message("api.airflow.openlineage.POST", json.dumps(reading.envelope(event, [])).encode())


def backend() -> Subscriber:
    return Subscriber("marquez", forwards=True, takes_originals=True)


def catalog() -> Subscriber:
    return Subscriber("catalog", forwards=True)


async def take(mirror: Mirror, *events: dict[str, Any]) -> Any:
    pipeline = mirror.pipeline(backend(), catalog())
    return await pipeline.process([message(event) for event in events], Origin.LIVE)


async def kept(mirror: Mirror) -> list[Any]:
    return [json.loads(row[0]) for row in await mirror.all("SELECT document FROM openlineage_events")]


async def waiting(mirror: Mirror, target: str = "marquez") -> int:
    number: int = await mirror.one("SELECT count(*) FROM deliveries WHERE target = :target", target=target)
    return number


@pytest.mark.parametrize("order", [(BARE, RICH), (RICH, BARE)])
@pytest.mark.parametrize("together", [True, False])
async def test_two_ends_of_a_run_that_differ_in_facets_are_both_kept_and_both_go_on(
    mirror: Mirror, order: tuple[Any, Any], together: bool
) -> None:
    for events in [order] if together else [[order[0]], [order[1]]]:
        await take(mirror, *events)
    found = await kept(mirror)
    assert (BARE in found, RICH in found, len(found), await waiting(mirror)) == (True, True, 2, 2)

    # The same again, byte for byte and with other keys first, writes nothing and goes nowhere.
    await mirror.execute("DELETE FROM deliveries")
    rows = await mirror.all("SELECT * FROM openlineage_events ORDER BY 1")
    turned = dict(reversed(RICH.items()))
    outcome = await take(mirror, BARE, RICH, turned)
    assert await mirror.all("SELECT * FROM openlineage_events ORDER BY 1") == rows
    assert await mirror.one("SELECT count(*) FROM deliveries") == 0
    assert outcome.fates[next(iter(outcome.fates))] == 3


async def test_facets_of_all_events_of_a_run_are_answered_as_one(api: Client, mirror: Mirror) -> None:
    for event in (
        RICH,
        BARE,
        run_event("START", eventTime="2026-05-10T15:04:10Z", inputs=[{"namespace": "n", "name": "more"}]),
    ):
        assert (await api.post("/api/v1/lineage", event, "airflow"))[0] == 201
    path = f"/v2/lineage_events/{RUN}/openlineage"

    status, whole = await api.get(path, "operator")

    assert (status, whole["eventType"], whole["eventTime"]) == (200, "COMPLETE", BARE["eventTime"])
    assert [one["name"] for one in whole["inputs"]] == ["more", "raw"]
    assert whole["job"] == RICH["job"]
    assert whole["outputs"] == RICH["outputs"]
    assert (await api.get(path, "reader"))[0] == 403
    assert (await api.get("/v2/lineage_events/other/openlineage", "operator"))[0] == 404


async def test_the_catalog_is_told_of_a_run_once_however_many_events_say_that_it_is_complete(mirror: Mirror) -> None:
    await take(mirror, run_event("START"), BARE)
    assert await waiting(mirror, "catalog") == 1
    await mirror.execute("DELETE FROM deliveries")  # it was delivered

    for event in (RICH, run_event(eventTime="2026-05-10T15:04:17Z")):
        await take(mirror, event)
    assert (await waiting(mirror, "catalog"), await waiting(mirror)) == (0, 2)


async def test_a_run_that_failed_and_then_succeeded_is_told(mirror: Mirror) -> None:
    await take(mirror, run_event("FAIL"))
    assert await waiting(mirror, "catalog") == 0
    await take(mirror, run_event(eventTime="2026-05-10T15:04:17Z"))
    assert await waiting(mirror, "catalog") == 1


async def test_what_comes_back_with_our_mark_is_known_in_whatever_words_it_comes(mirror: Mirror) -> None:
    await take(mirror, RICH)
    (delivery_id,) = [row[0] for row in await mirror.all("SELECT delivery_id FROM deliveries WHERE target = 'marquez'")]
    await mirror.execute("DELETE FROM deliveries")
    sent = marks.marked(RICH, delivery_id.partition(":")[2], "urn:catalog-mirror")
    sent["job"]["facets"]["sql"]["query"] = "(blanked)"

    await take(mirror, sent)

    assert len(await kept(mirror)) == 1
    assert await mirror.one("SELECT count(*) FROM deliveries") == 0


async def test_what_the_version_before_kept_stays_and_is_known_again(mirror: Mirror) -> None:
    """It kept one event of each likeness, under an id made of that; the other one is news."""
    before = reading.recorded(reading.envelope(RICH, []), "airflow")
    assert isinstance(before, LineageRecorded)
    assert before.original
    await take(mirror, RICH)
    await mirror.execute(
        f"UPDATE openlineage_events SET openlineage_id = '{before.original.former_id}'", "DELETE FROM deliveries"
    )

    await take(mirror, RICH)
    assert await mirror.one("SELECT openlineage_id FROM openlineage_events") == before.original.former_id
    assert await waiting(mirror) == 0

    await take(mirror, RICH, BARE)
    assert (len(await kept(mirror)), await waiting(mirror)) == (2, 1)


# Any order.


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    facets = draw(st.sampled_from([{}, {}, {"columnLineage": COLUMNS}, {"custom": {**FACET, "odd": "\ud800\x00"}}]))
    event = run_event(
        draw(st.sampled_from(["START", "RUNNING", "COMPLETE", "FAIL"])),
        eventTime=draw(st.sampled_from(["2026-05-10T15:04:15Z", "2026-05-10T15:04:16+00:00"])),
        outputs=[{"namespace": "n", "name": draw(st.sampled_from(["clean", "clear"])), "facets": facets}],
    )
    if draw(st.booleans()):
        event = marks.marked(event, "00000000-0000-0000-0000-000000000001", "urn:m") | {"eventType": "OTHER"}
        event["outputs"] = []
    return event


@st.composite
def ways(draw: st.DrawFn) -> Ways:
    history = [message(event) for event in draw(st.lists(events(), min_size=2, max_size=8))]
    marked = [one for one in history if b'"OTHER"' in one.body][:1]  # of what has one mark, one is told
    history = [one for one in history if b'"OTHER"' not in one.body or one in marked]
    return draw(in_two_orders(history))


async def mirrored(mirror: Mirror, way: list[list[Message]]) -> dict[str, Any]:
    """What an empty mirror holds, and sends to a backend, after these batches."""
    await mirror.clear()
    pipeline = mirror.pipeline(backend())
    for batch in way:
        await pipeline.process(batch, Origin.LIVE)
    content = await mirror.content()
    content["events"] = await mirror.all(
        "SELECT openlineage_id, event_id, event_time, document FROM openlineage_events ORDER BY openlineage_id"
    )
    sent = await mirror.all("SELECT delivery_id FROM deliveries WHERE target = 'marquez'")
    assert {f"marquez:{row[0]}" for row in content["events"]} == {row[0] for row in sent}
    return content


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(way=ways())
async def test_events_of_a_run_in_any_order_end_in_the_same_mirror(both: list[Mirror], way: Ways) -> None:
    first = await mirrored(both[0], way[0])
    for mirror in both:
        for one in way:
            found = await mirrored(mirror, one)
            found["events"], first["events"] = (_plain(content["events"]) for content in (found, first))
            assert found == first


def _plain(rows: list[Any]) -> list[Any]:
    """Without moments, which the stores give back in forms of their own."""
    return [(row[0], row[1], row[-1]) for row in rows]
