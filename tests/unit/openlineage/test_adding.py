"""Facets add up over the events of a run: later ones replace, of one moment the richer counts, nothing else is lost."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.openlineage import marks, schema
from service.openlineage.adding import added_up

RUN = "3f5e83fa-3480-44ff-99c5-ff943904e5e8"
EARLY, LATE = "2026-05-10T15:04:15Z", "2026-05-10T15:04:16Z"


def facet(value: Any = 1, **more: Any) -> dict[str, Any]:
    return {"_producer": "urn:x", "_schemaURL": "urn:y", "value": value, **more}


def event(at: str = EARLY, state: str = "COMPLETE", job: Any = None, **more: Any) -> dict[str, Any]:
    told = {"eventType": state, "eventTime": at, "producer": "urn:x", "run": {"runId": RUN}, **more}
    return told | {"job": {"namespace": "n", "name": "j", "facets": job or {}}}


def dataset(name: str = "t", **facets: Any) -> dict[str, Any]:
    return {"namespace": "n", "name": name, "facets": facets}


def test_facets_of_all_events_are_there_and_later_ones_replace() -> None:
    start = event(EARLY, "START", {"sql": facet("old"), "doc": facet()}, inputs=[dataset(schema=facet())])
    end = event(LATE, "COMPLETE", {"sql": facet("new")}, outputs=[dataset("o", columns=facet())])
    whole = added_up([end, start], "COMPLETE")

    assert (whole["eventType"], whole["eventTime"]) == ("COMPLETE", LATE)
    assert whole["job"]["facets"] == {"sql": facet("new"), "doc": facet()}
    assert whole["inputs"] == [dataset(schema=facet())]
    assert whole["outputs"] == [dataset("o", columns=facet())]


def test_of_one_moment_the_richer_counts_and_what_was_deleted_is_not_there() -> None:
    bare, rich = event(job={"sql": facet("x")}), event(job={"sql": facet("x" * 9)})
    for order in ([bare, rich], [rich, bare]):
        assert added_up(order, "COMPLETE")["job"]["facets"]["sql"]["value"] == "x" * 9
    gone = event(LATE, job={"sql": facet(_deleted=True)})
    assert added_up([gone, rich], "COMPLETE")["job"] == {"namespace": "n", "name": "j"}


def test_the_state_is_that_of_the_run_and_marks_are_not_passed_off_as_told() -> None:
    late_start = marks.marked(event(LATE, "START"), RUN, "urn:m")
    whole = added_up([event(EARLY, "FAIL"), late_start], "FAIL")
    assert (whole["eventType"], whole["eventTime"], whole["run"]) == ("FAIL", EARLY, {"runId": RUN})


def test_spellings_of_a_data_set_are_one_and_events_without_run_add_up() -> None:
    one = {"namespace": "s3a://lake", "name": "t", "inputFacets": {"a": facet()}}
    other = {"namespace": "s3://lake", "name": "t", "inputFacets": {"b": facet()}}
    (found,) = added_up([event(inputs=[one]), event(LATE, inputs=[other])], "COMPLETE")["inputs"]
    assert found["inputFacets"] == {"a": facet(), "b": facet()}
    seen = [
        {"eventTime": at, "producer": "urn:x", "dataset": dataset("t", **{at[-2]: facet()})} for at in (EARLY, LATE)
    ]
    assert added_up(seen, None)["dataset"]["facets"] == {"5": facet(), "6": facet()}


_FACETS = st.dictionaries(st.sampled_from("ab"), st.builds(facet, st.integers(0, 12)), max_size=2)
_EVENTS = st.builds(
    event, st.sampled_from([EARLY, LATE]), st.sampled_from(["START", "COMPLETE"]), _FACETS,
    inputs=st.lists(st.builds(dataset, st.sampled_from("tu"), a=st.builds(facet, st.integers(0, 12))), max_size=2),
)  # fmt: skip


@given(st.lists(_EVENTS, min_size=1, max_size=6).flatmap(lambda told: st.tuples(st.just(told), st.permutations(told))))
def test_any_order_and_repetition_adds_up_to_the_same(orders: tuple[list[Any], list[Any]]) -> None:
    told, otherwise = orders
    whole = added_up(told, "COMPLETE")
    assert added_up([*otherwise, told[0]], "COMPLETE") == whole
    assert added_up([whole], "COMPLETE") == whole
    assert schema.is_valid(whole)
