"""What tests found of data sets, as producers tell it: read where it can be, left out and named where it cannot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openlineage.client.event_v2 import InputDataset, Job, Run, RunEvent, RunState
from openlineage.client.facet_v2 import data_quality_assertions_dataset as theirs
from openlineage.client.serde import Serde

from service.changes import AssertionMade
from service.openlineage import assertions, reading, schema, tolerance
from service.text import documents

RUN = "3f5e83fa-3480-44ff-99c5-ff943904e5e8"
FACET = {"_producer": "urn:x", "_schemaURL": "urn:y"}
NOT_NULL = {"assertion": "not_null", "column": "id", "success": True}
UNIQUE = {"assertion": "unique", "column": "id", "success": False, "severity": "warn", "actual": "3"}


def facet(*told: Any, **more: Any) -> dict[str, Any]:
    return {assertions.FACET: {**FACET, "assertions": list(told), **more}}


def event(dataset: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "eventType": "COMPLETE", "eventTime": "2026-05-10T15:04:15Z", "producer": "urn:x", "run": {"runId": RUN},
        "job": {"namespace": "dbt", "name": "tests"}, "inputs": [{"namespace": "n", "name": "t", **(dataset or {})}],
        **more,
    }  # fmt: skip


def read(told: dict[str, Any]) -> tuple[AssertionMade, ...]:
    return reading.recorded(reading.envelope(told, []), "dbt").assertions


def test_what_the_python_client_sends_is_read() -> None:
    told = theirs.DataQualityAssertionsDatasetFacet(
        [theirs.Assertion("accepted_values", False, "state", "error", "states", None, "open,closed", "4")]
    )
    dataset = InputDataset("n", "t", inputFacets={assertions.FACET: told}, facets={assertions.FACET: told})  # type: ignore[dict-item]
    run = RunEvent(
        eventTime="2026-05-10T15:04:15Z",
        run=Run(RUN),
        job=Job("dbt", "tests"),
        eventType=RunState.START,
        inputs=[dataset],
    )
    (found,) = read(schema.check(documents.read(Serde.to_json(run).encode(), 50)))

    assert found[3:] == (
        "n", "t", "n/t", "state", "accepted_values", "states", False, "error", "open,closed", "4"
    )  # fmt: skip


@pytest.mark.parametrize("place", assertions.PLACES)
@pytest.mark.parametrize("role", ["inputs", "outputs"])
def test_they_are_read_wherever_they_stand(place: str, role: str) -> None:
    told: dict[str, Any] = event() | {"inputs": []} | {role: [{"namespace": "n", "name": "t", place: facet(NOT_NULL)}]}
    assert [(one.column, one.assertion, one.success) for one in read(told)] == [("id", "not_null", True)]


def test_what_two_places_tell_is_told_once_and_the_richer_counts() -> None:
    told = event({"facets": facet(UNIQUE), "inputFacets": facet({**UNIQUE, "expected": "0"}, NOT_NULL)})
    found = {one.assertion: one for one in read(told)}
    assert found.keys() == {"not_null", "unique"}
    assert found["unique"].expected == "0"


def test_tests_that_nothing_tells_apart_are_numbered_and_ids_are_the_same_each_time() -> None:
    told = event({"inputFacets": facet(NOT_NULL, NOT_NULL, UNIQUE)})
    assert len({one.assertion_id for one in read(told)}) == 3
    later = read({**told, "eventTime": "2026-05-10T15:04:16Z"})
    assert {one.assertion_id for one in later} == {one.assertion_id for one in read(told)}
    assert later[0].version > read(told)[0].version
    other = read(event({"inputFacets": facet(NOT_NULL)}, run={"runId": "00000000-0000-0000-0000-000000000001"}))
    assert other[0].assertion_id not in {one.assertion_id for one in later}


def test_of_one_moment_the_facet_that_says_more_counts_and_none_is_told_as_such() -> None:
    some, more, none = (read(event({"inputFacets": facet(*told)})) for told in ((UNIQUE,), (UNIQUE, NOT_NULL), ()))
    assert more[0].version > some[0].version > none[0].version
    assert (none[0].assertion, none[0].facet_id) == (None, some[0].facet_id)
    assert read(event({"inputFacets": {assertions.FACET: {**FACET, "_deleted": True}}}))[0].assertion is None
    assert read(event()) == ()


_PLACE = "inputs.0.inputFacets.dataQualityAssertions"


@pytest.mark.parametrize(
    ("told", "found", "named"),
    [
        (facet({**NOT_NULL, "column": None, "name": None}), [("not_null", None)], []),
        (facet({**UNIQUE, "expected": 0, "severity": ["x"]}, NOT_NULL), [("unique", "0"), ("not_null", None)],
         [f"{_PLACE}.assertions.0.expected", f"{_PLACE}.assertions.0.severity"]),
        (facet(None, 7, NOT_NULL, {"assertion": "x"}, {"assertion": "x", "success": "yes"}, {**UNIQUE, "column": 7}),
         [("not_null", None)], [f"{_PLACE}.assertions.{place}" for place in (0, 1, 3, 4, 5)]),
        (facet({"success": True}), [], [f"{_PLACE}.assertions.0"]),
        ({assertions.FACET: {**FACET, "assertions": "x"}}, [], [_PLACE]),
        ({assertions.FACET: {**FACET, "assertions": None}}, [], [_PLACE]),
        ({assertions.FACET: []}, [], [_PLACE]),
        (facet(*[{}] * 30, NOT_NULL), [("not_null", None)],
         [*(f"{_PLACE}.assertions.{place}" for place in range(10)), f"{_PLACE}.assertions"]),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_left_out_and_named_and_nothing_else_is_lost(
    told: dict[str, Any], found: list[Any], named: list[str]
) -> None:
    sent = event({"inputFacets": {**told, "mine": FACET}})
    mended, warnings = tolerance.mended(sent)

    assert [warning.partition(":")[0] for warning in warnings] == named
    assert schema.is_valid(mended)
    assert [(one.assertion, one.expected) for one in read(mended)] == found
    assert mended["inputs"][0]["inputFacets"]["mine"] == FACET


def test_of_a_huge_list_so_many_are_mirrored_and_all_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assertions, "MAX_OF_FACET", 3)
    sent = event({"inputFacets": facet(*[{**NOT_NULL, "column": f"c{number}"} for number in range(5)])})
    mended, warnings = tolerance.mended(sent)

    assert (mended, len(read(mended))) == (sent, 3)
    assert warnings == [f"{_PLACE}: of 5 assertions the first 3 are mirrored"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["\ud800", "x" * 3000, "\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["assertion", "success", "column", "name", "expected", "_deleted", "assertions"]), inner),
    max_leaves=12,
)  # fmt: skip


@given(_JSON, st.sampled_from(assertions.PLACES))
def test_whatever_stands_there_costs_only_itself(odd: Any, place: str) -> None:
    told = {"namespace": "n", "name": "t", place: {assertions.FACET: odd}}
    mended, _ = tolerance.mended(event(inputs=[told, {"namespace": "n", "name": "u", "inputFacets": facet(NOT_NULL)}]))

    assert [one.assertion for one in read(mended) if one.name == "u"] == ["not_null"]
    assert schema.is_valid(mended)
