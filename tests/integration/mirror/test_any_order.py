"""The promise of the mirror: the same events in any order, repeated, in any batches, on either store, are one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.changes import Origin
from service.events.message import Message
from service.mirror.tables import dead_letters

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

#: Few values, so that they meet: equal moments, equal seconds, no time, and times in other notations.
TIMES: list[Any] = [
    "2026-05-10T15:04:15Z", "2026-05-10T15:04:15.500Z", "2026-05-10T17:04:15+02:00", "2026-05-10T15:04:16Z",
    1778425455000, 1.778425456e12, "1778425454000", None, 0, "1999-01-01", "not a time", "9999-12-01T00:00:00Z",
]  # fmt: skip
KINDS = ("catalog_id", "project_id", "space_id")


ids = st.sampled_from(["1", "2", "3"])
places = st.dictionaries(st.sampled_from(KINDS), st.sampled_from(["c1", "c2"]), max_size=2)
numbers = st.sampled_from([1, 1.0, 1.5, 2**70])


#: Few states, so that equal ones come with other details: nothing, volatile, or more than that differs.
METADATA: list[Any] = [None, {}, {"accessed_at": "x"}, {"accessed_at": "y"}, {"dataset_id": "a1", "project_id": "c1"}]


@st.composite
def states(draw: st.DrawFn) -> dict[str, Any]:
    profile = {"columns": [], "rows": draw(numbers), "execution": {"status": "finished"}}
    hostile = draw(st.sampled_from([{}, {}, {"nul": "\x00", "half": "\ud800"}]))
    return {"metadata": draw(st.sampled_from(METADATA)), "entity": {"data_profile": profile}, **hostile}


@st.composite
def profile_messages(draw: st.DrawFn) -> Message:
    profile = "p" + draw(ids)
    verb = draw(st.sampled_from(["POST", "PATCH", "PATCH", "DELETE"]))
    body: dict[str, Any] = {"event": verb, "published": draw(st.sampled_from(TIMES))}
    if draw(st.booleans()) or verb != "DELETE":
        details = draw(places) | ({"dataset_id": "a" + draw(ids)} if draw(st.booleans()) else {})
        body["details"] = draw(st.sampled_from([details, details, details | {"profile_id": profile}, None]))
    body["state"] = draw(st.one_of(st.none(), states(), states(), states()))
    return Message(f"v2.data_profiles.{profile}.{verb}", json.dumps(body).encode())


@st.composite
def lineage_messages(draw: st.DrawFn) -> Message:
    event = "e" + draw(ids)

    def assets() -> list[Any]:
        value = {"name": draw(ids), **draw(places)}
        return [
            {"id": "a" + draw(ids), "asset_type": "DataSet", "properties": {"dataset": {"value": value}}}
            for _ in range(draw(st.integers(0, 2)))
        ]

    body: dict[str, Any] = {
        "event_details": {"event_id": event, "event_time": draw(st.sampled_from(TIMES)), "event_type": draw(ids)},
        "uses_assets": assets(),
        "generates_assets": assets(),
    }
    wrapped = draw(st.sampled_from([body, body, {"state": body}, {"details": body}]))
    return Message(f"v2.lineage_events.{draw(st.sampled_from([event, 'other']))}.POST", json.dumps(wrapped).encode())


@st.composite
def feed_messages(draw: st.DrawFn) -> Message:
    body = {
        "artifact_guid": draw(st.sampled_from(["a", "p"])) + draw(ids),
        "last_updated_at": draw(st.sampled_from(TIMES)),
        "message_type": draw(st.sampled_from(["DELETE_MESSAGE", "DELETE_MESSAGE", "UPDATE_MESSAGE", None])),
        "provider_type_id_list": draw(st.sampled_from([["cams"], ["glossary"], None])),
    }
    return Message("v3.gss.cams.x.action", json.dumps(body).encode())


@st.composite
def area_messages(draw: st.DrawFn) -> Message:
    body = {"published": draw(st.sampled_from(TIMES)), "anything": draw(numbers)}
    return Message(f"v2.metadata_enrichment.{draw(ids)}.create_enrichment_area", json.dumps(body).encode())


garbage = st.builds(
    Message,
    st.sampled_from(["v2.data_profiles.p1.POST", "v2.lineage_events.e1.POST", "v3.gss.cams.action", "unknown.key", ""]),
    st.one_of(st.binary(max_size=12), st.sampled_from([b"{}", b"[1]", b'{"state":{}}', b'{"state":{"metadata":3}}'])),
)
events = st.one_of(
    profile_messages(), profile_messages(), lineage_messages(), feed_messages(), area_messages(), garbage
)


@st.composite
def batches(draw: st.DrawFn, messages: list[Message]) -> list[list[Message]]:
    cut = []
    while messages:
        size = draw(st.integers(1, len(messages)))
        cut.append(messages[:size])
        messages = messages[size:]
    return cut


#: A history twice: as it happened in batches, and in another order with repetitions in other batches.
Ways = tuple[list[list[Message]], list[list[Message]]]


@st.composite
def in_two_orders(draw: st.DrawFn, history: list[Message]) -> Ways:
    repeated = history + draw(st.lists(st.sampled_from(history), max_size=4))
    return draw(batches(history)), draw(batches(draw(st.permutations(repeated))))


@st.composite
def ways(draw: st.DrawFn) -> Ways:
    return draw(in_two_orders(draw(st.lists(events, min_size=2, max_size=14))))


async def mirrored(mirror: Mirror, way: list[list[Message]], pipeline: Any) -> dict[str, Any]:
    """What an empty mirror holds after these batches."""
    await mirror.clear()
    for batch in way:
        outcome = await pipeline.process(batch, Origin.LIVE)
        assert sum(outcome.fates.values()) == outcome.read == len(batch)
    content = await mirror.content()
    content["dead_letters"] = sorted(await mirror.all(_LETTERS))
    return content


_LETTERS = dead_letters.select().with_only_columns(
    dead_letters.c.dead_letter_id, dead_letters.c.error_class, dead_letters.c.reason, dead_letters.c.body
)


@pytest.mark.partitioned
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(way=ways())
async def test_any_order_repetition_and_batching_ends_in_the_same_mirror_on_either_store(
    both: list[Mirror], subscriber: Any, way: tuple[list[list[Message]], list[list[Message]]]
) -> None:
    sqlite, *others = both
    as_it_happened, otherwise = way
    first = await mirrored(sqlite, as_it_happened, sqlite.pipeline(subscriber()))

    assert await mirrored(sqlite, otherwise, sqlite.pipeline(subscriber())) == first
    for other in others:
        assert await mirrored(other, as_it_happened, other.pipeline(subscriber())) == first
        assert await mirrored(other, otherwise, other.pipeline(subscriber())) == first
