"""Lineage events: the published form, bare or inside an envelope."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.lineage_events import lineage_recorded
from service.changes import Container, LineageEdge, LineageRecorded
from service.errors import FieldInvalid
from service.events.message import Event
from service.text.documents import read

KEY = "v2.lineage_events.from-key.POST"
BODY: dict[str, Any] = {
    "message_version": "v1", "user_id": "IAM-Id", "account_id": "999",
    "event_details": {
        "event_id": "e1", "event_type": "DATASET_PUBLISHED", "event_category": ["additions"],
        "event_time": "2018-04-03T14:01:08.603Z", "event_source_service": "Watson Knowledge Catalog",
    },
    "generates_assets": [{
        "id": "g", "asset_type": "DataSet", "relation": {"name": "Created"},
        "properties": {
            "dataset": {"type": "dataset", "value": {"id": "g", "name": "G", "catalog_id": "c1"}},
            "catalog": {"type": "catalog", "value": {"id": "c1"}},
        },
    }],
    "uses_assets": [{
        "id": "u", "asset_type": "DataSet", "relation": {"name": "Used"},
        "properties": {"dataset": {"type": "dataset", "value": {"id": "u", "name": "U", "project_id": "p1"}}},
    }],
}  # fmt: skip


def recorded(body: dict[str, Any], key: str = KEY) -> LineageRecorded:
    (change,) = lineage_recorded.run(Event.of(key, read(json.dumps(body).encode(), 64)))
    assert isinstance(change, LineageRecorded)
    return change


def test_the_documented_event_is_recorded_with_its_edges() -> None:
    change = recorded(BODY)

    assert (change.event_id, change.event_type, change.categories) == ("e1", "DATASET_PUBLISHED", ("additions",))
    assert change.edges == (
        LineageEdge("u", "uses", "Used", "DataSet", "U", Container("project", "p1")),
        LineageEdge("g", "generates", "Created", "DataSet", "G", Container("catalog", "c1")),
    )


@pytest.mark.parametrize(
    "envelope",
    [
        {"event": "X", "state": BODY},
        {"event": "X", "details": BODY},
        {"event": "X", "state": {"other": 1}, "details": BODY},
        {"event": "X", "state": None, "details": BODY},
        {"message_version": "v1", "state": BODY},
        {"message_version": "v1", "details": BODY, "state": "text"},
    ],
)
def test_the_same_event_inside_an_envelope_is_the_same(envelope: dict[str, Any]) -> None:
    assert recorded(envelope) == recorded(BODY)


def test_the_id_comes_from_the_key_where_the_event_has_none() -> None:
    assert recorded({"uses_assets": [], "event_details": {"event_id": ""}}).event_id == "from-key"
    with pytest.raises(FieldInvalid, match="event_id"):
        recorded({"uses_assets": []}, "v2.lineage_events..POST")


@pytest.mark.parametrize("body", [{}, {"state": {}}, {"state": [BODY]}, {"details": "x"}, {"event": "X"}])
def test_what_is_no_lineage_event_says_so(body: dict[str, Any]) -> None:
    with pytest.raises(FieldInvalid, match="neither the body nor its state or details"):
        recorded(body)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"event_details": []}, "event_details"),
        ({"event_details": {"event_id": 3}}, "event_details.event_id"),
        ({"event_details": {"event_time": "soon"}}, "event_details.event_time"),
        ({"event_details": {"event_category": [1]}}, "event_category"),
        ({"uses_assets": {}}, "uses_assets"),
        ({"uses_assets": [{}]}, "uses_assets.0.id"),
        ({"uses_assets": [{"id": "a"}, {"id": ["b"]}]}, "uses_assets.1.id"),
        ({"uses_assets": [{"id": "a\x00"}]}, "uses_assets.0.id"),
        ({"uses_assets": [{"id": "a", "properties": {"dataset": 3}}]}, "uses_assets.0.properties.dataset"),
        ({"generates_assets": [{"properties": {"dataset": {"value": {"id": 3}}}}]}, "dataset.value.id"),
        ({"state": {"uses_assets": 3}}, "state.uses_assets"),
        ({"user_id": 3, "uses_assets": []}, "user_id"),
    ],
)
def test_a_wrong_type_is_a_data_error_that_names_the_field(body: dict[str, Any], where: str) -> None:
    with pytest.raises(FieldInvalid) as caught:
        recorded(body)
    assert where in str(caught.value)


@pytest.mark.parametrize("properties", [{"rows": 5}, {"note": "text"}, {"x": {"value": 3}}, {"x": None}, None, {}])
def test_an_unknown_property_hurts_nobody(properties: Any) -> None:
    (edge,) = recorded({"uses_assets": [{"id": "a", "properties": properties}]}).edges

    assert edge == LineageEdge("a", "uses")


def test_an_assets_own_property_may_have_another_name() -> None:
    properties = {"n": 1, "project": {"value": {"id": "p"}}, "notebook": {"value": {"id": "a", "name": "N"}}}

    (edge,) = recorded({"uses_assets": [{"type": "Notebook", "properties": properties}]}).edges

    assert edge == LineageEdge("a", "uses", None, "Notebook", "N")


def test_an_asset_that_is_named_twice_in_a_role_is_one_edge() -> None:
    change = recorded({"uses_assets": [{"id": "a"}, {"id": "a", "asset_type": "X"}], "generates_assets": [{"id": "a"}]})

    assert [(edge.asset_id, edge.role) for edge in change.edges] == [("a", "uses"), ("a", "generates")]


def test_one_category_may_be_a_text() -> None:
    assert recorded({"event_details": {"event_category": "additions"}}).categories == ("additions",)


@given(st.integers(0, 4_000_000_000_000), st.integers(0, 4_000_000_000_000))
def test_of_two_bodies_the_later_event_time_wins(one: int, other: int) -> None:
    first, second = (recorded({"event_details": {"event_id": "e", "event_time": at, "n": at}}) for at in (one, other))

    if one and other and (one < 100_000_000_000) == (other < 100_000_000_000):
        assert (first.version.key < second.version.key) == (one < other)


def test_unknown_fields_are_kept() -> None:
    assert '"more":{"x":1}' in recorded({**BODY, "more": {"x": 1.0}}).document.text
