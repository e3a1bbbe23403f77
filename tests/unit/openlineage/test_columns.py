"""What columns were made of, in every version of the facet, and what runs tell of themselves."""

from __future__ import annotations

from typing import Any

import pytest
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import column_lineage_dataset as theirs
from openlineage.client.facet_v2 import error_message_run, nominal_time_run, parent_run
from openlineage.client.serde import Serde

from service.changes import ColumnEdge, ColumnsTold, RunFact
from service.openlineage import columns, reading, schema, tolerance
from service.openlineage.spelling import DatasetName, column_key
from service.text import documents

RUN, PARENT, ROOT = (f"3f5e83fa-3480-44ff-99c5-ff943904e5e{last}" for last in "890")
FACET = {"_producer": "urn:x", "_schemaURL": "urn:y"}
RAW = {"namespace": "n", "name": "raw", "field": "id"}


def event(
    facet: dict[str, Any] | None = None, name: str = "clean", namespace: str = "n", **more: Any
) -> dict[str, Any]:
    facets = {columns.FACET: {**FACET, **facet}} if facet is not None else {}
    return {
        "eventType": "COMPLETE", "eventTime": "2026-05-10T15:04:15Z", "producer": "urn:x", "run": {"runId": RUN},
        "job": {"namespace": "dbt", "name": "shop"}, "inputs": [{"namespace": "n", "name": "raw"}],
        "outputs": [{"namespace": namespace, "name": name, "facets": facets}], **more,
    }  # fmt: skip


def read(told: dict[str, Any], assets: list[dict[str, Any]] | None = None) -> tuple[ColumnsTold, ...]:
    return reading.recorded(reading.envelope(told, assets or []), "dbt").columns


def edges(facet: dict[str, Any], **more: Any) -> list[ColumnEdge]:
    return [edge for one in read(event(facet, **more)) for edge in one.edges]


def facts(told: dict[str, Any]) -> dict[str, RunFact]:
    return {fact.fact: fact for fact in reading.recorded(reading.envelope(told, []), "dbt").run_facts}


def test_what_the_python_client_sends_is_read() -> None:
    how = theirs.Transformation("INDIRECT", "FILTER", "where", False)
    facet = theirs.ColumnLineageDatasetFacet(
        {
            "total": theirs.Fields(
                [
                    theirs.InputField(
                        "n", "raw", "price", [theirs.Transformation("DIRECT", "AGGREGATION", "sum", True)]
                    ),
                    theirs.InputField("n", "raw", "state", [how]),
                ]
            )
        },
        [theirs.InputField("n", "raw", "day", [theirs.Transformation("INDIRECT", "SORT")])],
    )
    run = RunEvent(
        eventTime="2026-05-10T15:04:15Z", run=Run(RUN), job=Job("dbt", "j"), eventType=RunState.COMPLETE,
        inputs=[InputDataset("n", "raw")], outputs=[OutputDataset("n", "clean", facets={columns.FACET: facet})],
    )  # fmt: skip
    (found,) = read(schema.check(documents.read(Serde.to_json(run).encode(), 50)))

    assert found.to_asset == "n/clean"
    assert [edge[1:] for edge in found.edges] == [
        ("day", "day", "", "", False, "SORT", None, None),
        ("price", "price", "total", "total", True, "AGGREGATION", "sum", True),
        ("state", "state", "total", "total", False, "FILTER", "where", False),
    ]


@pytest.mark.parametrize(
    ("field", "how"),
    [
        ({}, (True, None, None, None)),
        (
            {"transformationType": "IDENTITY", "transformationDescription": "as it is"},
            (True, "IDENTITY", "as it is", None),
        ),
        ({"transformationType": "MASKED"}, (True, "MASKED", None, True)),
    ],
)
def test_older_versions_say_once_how_a_field_was_made(field: dict[str, Any], how: tuple[Any, ...]) -> None:
    (edge,) = edges({"fields": {"id": {"inputFields": [RAW], **field}}})
    assert edge == ColumnEdge("n/raw", "id", "id", "id", "id", *how)


def test_an_edge_is_told_once_and_a_column_without_a_name_not_at_all() -> None:
    fields = {"id": {"inputFields": [RAW, RAW, {**RAW, "field": ""}]}, "": {"inputFields": [RAW]}}
    assert len(edges({"fields": fields})) == 1


@pytest.mark.parametrize(
    "facet", [{"fields": {}}, {"_deleted": True, "fields": {"id": {"inputFields": [RAW]}}}, {}, {"dataset": []}]
)
def test_an_empty_facet_takes_back_and_a_missing_one_does_not(facet: dict[str, Any]) -> None:
    assert [one.edges for one in read(event(facet))] == [()]
    assert read(event(None)) == ()


def test_runs_that_tell_the_same_share_their_edges() -> None:
    fields = {"b": {"inputFields": [RAW, {**RAW, "field": "x"}]}, "a": {"inputFields": [RAW]}}
    turned = {name: {"inputFields": [*reversed(one["inputFields"])]} for name, one in reversed(fields.items())}
    (one,), (other,) = read(event({"fields": fields})), read(event({"fields": turned}, run={"runId": PARENT}))

    assert one.flow_id == other.flow_id
    assert one.facet_id != other.facet_id


def test_more_edges_than_are_mirrored_are_named_in_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MAX_OF_FACET", 3)
    facet = {"fields": {f"c{number}": {"inputFields": [RAW]} for number in range(5)}}

    assert len(edges(facet)) == 3
    _, told = tolerance.mended(event(facet))
    assert told == ["outputs.0.facets.columnLineage: of 5 columns that others were made of the first 3 are mirrored"]


def test_a_data_set_is_the_same_asset_in_the_facet_as_in_the_event() -> None:
    link = {**FACET, "identifiers": [{"namespace": "catalog://catalog/c1", "name": "a1", "type": "ASSET"}]}
    told = event({"fields": {"id": {"inputFields": [RAW, {**RAW, "name": "other"}]}}})
    told["inputs"] = [{"namespace": "n", "name": "raw", "facets": {"symlinks": link}}]
    (found,) = read(told, [{"namespace": "n", "name": "other", "asset_id": "a2", "title": "Other"}])

    assert {edge.from_asset for edge in found.edges} == {"a1", "a2"}
    assert reading.sources_of_columns(told) == {DatasetName("n", "raw"), DatasetName("n", "other")}


@pytest.mark.parametrize("name", ["", "\x00", "x" * 5000])
def test_a_place_that_no_store_could_hold_is_a_name_like_others(name: str) -> None:
    (edge,) = edges(
        {"fields": {"id": {"inputFields": [{"namespace": "catalog://catalog/c1", "name": name, "field": "x"}]}}}
    )
    assert edge.from_asset.startswith(("dataset:", "catalog://catalog/c1/"))


@pytest.mark.parametrize(
    ("namespace", "key"),
    [
        ("postgres://db:5432", "id_ÄÖ"), ("snowflake://acme", "id_ÄÖ"), ("mysql://db:3306", "id_ÄÖ"),
        ("bigquery", "id_ÄÖ"),
        ("catalog://catalog/c1", "id_ÄÖ"), ("kafka://b:9092", "Id_ÄÖ"), ("s3a://lake", "Id_ÄÖ"), ("file", "Id_ÄÖ"),
    ],
)  # fmt: skip
def test_names_of_columns_are_compared_as_the_data_source_does(namespace: str, key: str) -> None:
    assert column_key(DatasetName(namespace, "t"), "Id_ÄÖ") == key


# Runs.


def test_what_the_python_client_tells_of_a_run_is_read() -> None:
    parent = parent_run.ParentRunFacet(
        parent_run.Run(PARENT), parent_run.Job("airflow", "dag.task"),
        parent_run.Root(parent_run.RootRun(ROOT), parent_run.RootJob("airflow", "dag")),
    )  # fmt: skip
    nominal = nominal_time_run.NominalTimeRunFacet("2026-05-10T00:00:00Z", "2026-05-11T00:00:00Z")
    why = error_message_run.ErrorMessageRunFacet("it broke", "python", "Traceback …")
    run = RunEvent(
        eventTime="2026-05-10T15:04:15Z", job=Job("airflow", "dag.task.query"), eventType=RunState.FAIL,
        run=Run(RUN, {"parent": parent, "nominalTime": nominal, "errorMessage": why}),
    )  # fmt: skip
    found = facts(schema.check(documents.read(Serde.to_json(run).encode(), 50)))

    assert set(found) == {"job", "end", "parent", "nominal", "error"}
    assert found["job"][5:7] == ("airflow", "dag.task.query")
    assert found["parent"][4:10] == (PARENT, "airflow", "dag.task", ROOT, "airflow", "dag")
    assert (found["nominal"].until_us or 0) - (found["nominal"].at_us or 0) == 86_400_000_000
    assert found["error"].text == "it broke"


@pytest.mark.parametrize(
    "odd",
    [
        {"parent": {**FACET, "run": {}}}, {"parent": {**FACET, "run": {"runId": 7, "x": 1}, "job": []}},
        {"nominalTime": {**FACET, "nominalStartTime": "soon"}}, {"nominalTime": {**FACET}}, {"errorMessage": {**FACET}},
        {"errorMessage": {**FACET, "message": ["no text"] * 3}},
    ],
)  # fmt: skip
def test_what_of_a_run_cannot_be_read_costs_nothing_else(odd: dict[str, Any]) -> None:
    assert {"job", "end"} <= set(facts(event(run={"runId": RUN, "facets": odd})))


def test_a_parent_that_is_no_uuid_is_the_run_that_was_made_of_it() -> None:
    odd, _ = tolerance.mended(event(run={"runId": "scheduled__1"}))
    child = event(run={"runId": RUN, "facets": {"parent": {**FACET, "run": {"runId": "scheduled__1"}}}})

    assert facts(child)["parent"].run_id == odd["run"]["runId"]


def test_the_first_beginning_and_the_last_end_count() -> None:
    starts = [facts(event(eventType="START", eventTime=f"2026-05-10T15:04:1{n}Z"))["start"] for n in (5, 6)]
    ends = [facts(event(eventTime=f"2026-05-10T15:04:1{n}Z"))["end"] for n in (5, 6)]

    assert starts[0].version > starts[1].version
    assert ends[0].version < ends[1].version
