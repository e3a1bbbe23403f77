"""The event of a change: its text, what two of them are together, and which a filter lets through."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from service.changes import Origin, Rank, Version
from service.mirror.effects import Effect, PartRows, shape_of
from service.mirror.writer import INSERTS
from service.targets.changes import event as events
from service.targets.changes.event import ChangeEvent, change_event, merged, traced
from service.targets.changes.expression import Expression, TooLong
from service.targets.changes.filters import Filter
from service.targets.changes.options import ChangeOptions
from service.text.times import to_datetime

SHAPE = shape_of(INSERTS["asset"])


def values(**told: Any) -> list[Any]:
    """The values of an asset's row."""
    return [told.get(name) for name in SHAPE.names]


def change(before: dict[str, Any] | None, after: dict[str, Any] | None, at_s: int = 1, **parts: Any) -> ChangeEvent:
    """The event of an asset that was and is so; `parts` by their names, rows before and after."""
    rows = {name: PartRows(("name",), *told) for name, told in parts.items()}
    was, now = (None if side is None else values(**side) for side in (before, after))
    at_us = at_s * 1_000_000
    effect = Effect(SHAPE, was, now, Version(at_us, Rank.EVENT).key, to_datetime(at_us), rows)
    found = change_event("asset", "a1", effect, Origin.LIVE, "urn:x")
    assert found is not None
    return found


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
states = st.dictionaries(st.sampled_from(["name", "description", "tags", "asset_type"]), texts, max_size=4)
rows = st.sets(st.sampled_from("abcd")).map(lambda names: [(name,) for name in sorted(names)])


@given(states, states, texts)
def test_every_event_is_one_to_the_official_sdk(before: dict[str, str], after: dict[str, str], source: str) -> None:
    context = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 vendor="a\\b,c=d'
    text = traced(change(before, after).text(), context)
    event = JSONFormat().read(CloudEvent, text)
    assert json.loads(text)["specversion"] == "1.0"
    assert event.get_type() == "catalog-mirror.asset.updated"
    assert event.get_extension("traceparent").startswith("00-")
    assert event.get_extension("tracestate") == 'vendor="a\\b,c=d'
    data: Any = event.get_data()
    assert {name for name in SHAPE.names if before.get(name) != after.get(name)} == data["before"].keys()
    assert data["after"] == {name: after.get(name) for name in data["after"]}


@given(st.lists(st.tuples(states, rows), min_size=3, max_size=6))
def test_changes_together_tell_what_differs_between_the_first_and_the_last(told: list[Any]) -> None:
    steps = [
        change(was, now, at_s, columns=(old, new)).text()
        for at_s, ((was, old), (now, new)) in enumerate(itertools.pairwise(told), 1)
    ]
    text = steps[0]
    for step in steps[1:]:
        text = merged(text, step)
    (first, first_rows), (last, last_rows) = told[0], told[-1]
    data = json.loads(text)["data"]
    whole = json.loads(change(first, last, 9, columns=(first_rows, last_rows)).text())["data"]
    for side in ("before", "after"):
        for told_side in (data, whole):
            if "columns" in told_side[side]:
                told_side[side]["columns"].sort(key=str)
        assert data[side] == whole[side]
    assert (data["collapsed"], json.loads(text)["id"]) == (len(steps), json.loads(steps[-1])["id"])


@pytest.mark.parametrize(
    ("first", "then", "what"),
    [
        (({}, {"name": "A"}), ({"name": "A"}, None), "deleted"),
        ((None, {"name": "A"}), ({"name": "A"}, {"name": "B"}), "created"),
        (({"name": "A"}, None), (None, {"name": "B"}), "updated"),
    ],
)
def test_what_happened_together_is_said_in_a_word(first: Any, then: Any, what: str) -> None:
    told = json.loads(merged(change(*first).text(), change(then[0], then[1], 2).text()))
    assert (told["data"]["what"], told["type"]) == (what, f"catalog-mirror.asset.{what}")
    assert ("before" in told["data"], "after" in told["data"]) == (what != "created", what != "deleted")


def test_a_long_text_and_many_rows_are_cut_and_it_is_said_of_how_many_nothing_is_told() -> None:
    many = [(f"c{number}",) for number in range(500)]
    data = json.loads(change({"name": "A"}, {"name": "x" * 100_000}, columns=([], many)).text())["data"]
    assert data["after"]["name"] == "x" * events.MAX_TEXT + "…"
    assert (len(data["after"]["columns"]), data["left_out"]) == (200, {"columns": 300})


def test_the_id_is_that_of_the_change_wherever_it_is_told() -> None:
    assert change(None, {"name": "A"}).id == change(None, {"name": "A"}).id
    others = {change(None, {}, at_s=at_s).id for at_s in range(5)} | {change({}, None).id, change({}, {}).id}
    assert len(others) == 7


@pytest.mark.parametrize(
    ("options", "is_told"),
    [
        ({}, True),
        ({"changes": ["updated"]}, True),
        ({"changes": ["created", "deleted"]}, False),
        ({"containers": ["c1"]}, True),
        ({"containers": ["c2"]}, False),
        ({"asset_types": ["data_asset"]}, True),
        ({"asset_types": ["connection"]}, False),
        ({"fields": ["description"]}, True),
        ({"fields": ["tags"]}, False),
        ({"fields": ["columns"]}, True),
        ({"where": "data.after.description && data.container.id == 'c1'"}, True),
        ({"where": "contains(data.after.description, 'pii')"}, True),
        ({"where": "contains(data.after.tags, 'pii')"}, False),
        ({"where": "data.after.columns[?name == 'ssn']"}, True),
        ({"where": "data.after.columns[?name == 'id']"}, False),
        ({"where": "type == 'catalog-mirror.asset.deleted'"}, False),
    ],
)
def test_a_filter_lets_through_what_it_says(options: dict[str, Any], is_told: bool) -> None:
    place = {"container_kind": "catalog", "container_id": "c1", "asset_type": "data_asset"}
    event = change(
        {**place, "description": "old"}, {**place, "description": "has pii"}, columns=([("id",)], [("id",), ("ssn",)])
    )
    assert Filter("webhook", ChangeOptions(**options)).admits(event) is is_told


def test_an_expression_that_makes_ever_more_is_ended_and_its_change_is_told() -> None:
    grows = "data.after." + "|".join(["[@,@][]"] * 60)
    event = json.loads(change(None, {"name": "A"}).text())
    with pytest.raises(TooLong):
        Expression(grows).admits(event)
    assert Filter("webhook", ChangeOptions(where=grows)).admits(change(None, {"name": "A"}))
