"""OpenLineage and the catalog's lineage: each in the words of the other, without loss of what both can say."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openlineage.client import event_v2
from openlineage.client.facet_v2 import column_lineage_dataset, schema_dataset, symlinks_dataset
from openlineage.client.generated import base
from openlineage.client.naming import dataset as their_naming
from openlineage.client.serde import Serde

from service.changes import AssetColumn, Container, LineageEdge
from service.errors import SettingInvalid
from service.events.lineage import LineageEvent
from service.events.message import Event
from service.mirror.lineage.datasets import Located
from service.openlineage import limits, marks, reading, schema, tolerance, writing
from service.openlineage.naming import Naming, by_place, paths_of, place_of
from service.openlineage.spelling import DatasetName
from service.openlineage.writing import ColumnFlow, Described, Knowledge
from service.text.documents import document

PRODUCER = "urn:catalog-mirror"
RUN_ID = "3f5e83fa-3480-44ff-99c5-ff943904e5e8"


def run_event(state: str = "COMPLETE", **more: Any) -> dict[str, Any]:
    event = {
        "eventType": state, "eventTime": "2026-05-10T15:04:15.123456Z", "producer": "https://example.com/airflow",
        "run": {"runId": RUN_ID}, "job": {"namespace": "airflow://prod", "name": "orders.load"},
        "inputs": [{"namespace": "postgres://db:5432", "name": "shop.public.orders"}],
        "outputs": [{"namespace": "s3://lake", "name": "orders/2026"}],
    }  # fmt: skip
    return event | more


def catalog_event(event_id: str = "sample-1", **details: Any) -> dict[str, Any]:
    return {
        "message_version": "v1", "user_id": "IBMid-1", "account_id": "999",
        "event_details": {
            "event_id": event_id, "event_type": "DATASET_PUBLISHED", "event_category": ["additions"],
            "event_time": "2018-04-03T14:01:08.603Z", "event_source_service": "Watson Knowledge Catalog", **details,
        },
        "uses_assets": [{
            "id": "u", "asset_type": "DataSet", "relation": {"name": "Used"},
            "properties": {"dataset": {"type": "dataset", "value": {"id": "u", "name": "U", "project_id": "p1"}}},
        }],
        "generates_assets": [{
            "id": "g", "asset_type": "DataSet", "relation": {"name": "Created"}, "more": {"kept": 1},
            "properties": {"dataset": {"type": "dataset", "value": {"id": "g", "name": "G", "catalog_id": "c1"}}},
        }],
    }  # fmt: skip


# The schema.


@pytest.mark.parametrize("name", ["RunEvent", "JobEvent", "DatasetEvent", "Run", "Job", "Dataset", "InputDataset"])
def test_our_schema_asks_for_what_the_published_one_asks_for(name: str) -> None:
    theirs = getattr(base, name)
    wanted = {field.name for field in attr.fields(theirs) if field.default is attr.NOTHING}
    definition = schema.schema()["$defs"][name]
    inherited = [schema.schema()["$defs"][one["$ref"].rpartition("/")[2]] for one in definition.get("allOf", ())]
    required = {field for part in (definition, *inherited) for field in part.get("required", ())}
    known = {field for part in (definition, *inherited) for field in part["properties"]}

    assert required == wanted | ({"producer"} if name.endswith("Event") else set())
    assert {field.name for field in attr.fields(theirs)} <= known


def test_events_of_the_python_client_fit() -> None:
    facets = {
        "schema": schema_dataset.SchemaDatasetFacet([schema_dataset.SchemaDatasetFacetFields("id", "int")]),
        "symlinks": symlinks_dataset.SymlinksDatasetFacet([symlinks_dataset.Identifier("n", "t", "TABLE")]),
        "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(
            {"id": column_lineage_dataset.Fields([column_lineage_dataset.InputField("n", "t", "id")])}
        ),
    }
    job, time = event_v2.Job("ns", "job"), "2026-05-10T15:04:15Z"
    out = event_v2.OutputDataset("n", "o", facets=facets)
    events = [
        event_v2.RunEvent(
            eventTime=time, run=event_v2.Run(RUN_ID), job=job, eventType=event_v2.RunState.START, outputs=[out]
        ),
        event_v2.JobEvent(eventTime=time, job=job, inputs=[event_v2.InputDataset("n", "i")]),
        event_v2.DatasetEvent(eventTime=time, dataset=event_v2.StaticDataset("n", "d")),
    ]
    kinds = [schema.kind_of(schema.check(json.loads(Serde.to_json(event)))) for event in events]

    assert kinds == ["RunEvent", "JobEvent", "DatasetEvent"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"run": {"runId": "no uuid"}}, "run.runId"), ({"eventTime": "yesterday"}, "eventTime"),
        ({"eventType": "DONE"}, "eventType"), ({"job": {"name": "n"}}, "job"), ({"producer": "not a uri"}, "producer"),
        ({"inputs": [{"name": "n"}]}, "inputs.0"), ({"inputs": {}}, "inputs"),
        ({"outputs": [{"namespace": "n", "name": "o", "facets": {"x": {}}}]}, "outputs.0.facets.x"),
        ({"outputs": [{"namespace": "n", "name": "o", "facets": {"columnLineage": {
            "_producer": "urn:x", "_schemaURL": "urn:y", "fields": {"c": {}}}}}]},
         "outputs.0.facets.columnLineage.fields.c"),
    ],
)  # fmt: skip
def test_what_is_no_openlineage_is_refused_with_the_path_and_never_the_value(
    change: dict[str, Any], field: str
) -> None:
    with pytest.raises(schema.OpenLineageInvalid) as refused:
        schema.check(run_event(**change))

    assert refused.value.details["field"] == field
    assert "yesterday" not in str(refused.value)


# What producers really send.

_FACET = {"_producer": "urn:x", "_schemaURL": "urn:y"}


def _output(**facets: Any) -> dict[str, Any]:
    return {"outputs": [{"namespace": "n", "name": "o", "facets": facets}]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schemaURL": None, "eventType": None, "inputs": None}, []),  # by hand
        (_output(nominalTime=None), []),  # Spark
        (_output(schema={**_FACET, "fields": None}), []),  # Trino
        (_output(columnLineage={**_FACET, "fields": None}), []),
        ({"outputs": [{"namespace": "n", "name": "o", "facets": None}]}, []),
        ({"inputs": [None]}, []),
        (_output(additionalProperties={}), ["outputs.0.facets.additionalProperties"]),  # Egeria
        (_output(odd="text"), ["outputs.0.facets.odd"]),
        (_output(columnLineage={**_FACET, "fields": {"c": {}}}), ["outputs.0.facets.columnLineage"]),
        ({"outputs": [{"namespace": "n", "name": "o", "facets": ["x"]}]}, ["outputs.0.facets"]),
        ({"run": {"runId": "scheduled__2026-05-10", "facets": {"a": 1}}}, ["run.facets.a", "run.runId"]),
        ({"eventType": "complete"}, ["eventType"]),
        ({"producer": None}, ["producer"]),
        ({"producer": "airflow"}, ["producer"]),
        ({"schemaURL": "no uri"}, ["schemaURL"]),
        (
            {"run": {"runId": RUN_ID, "facets": {marks.MARK: {**_FACET, "id": "no uuid"}}}},
            ["run.facets.catalogMirror_event"],
        ),
        (
            {"job": {"namespace": "airflow://prod", "name": "orders.load", "facets": {marks.MARK: {**_FACET}}}},
            ["job.facets.catalogMirror_event"],
        ),
        (_output(mine={"rows": 7}), []),  # without who says so: that is who sent the event
    ],
)
def test_what_can_be_used_is_taken_and_what_cannot_is_named(change: dict[str, Any], told: list[str]) -> None:
    event, changed = tolerance.mended(run_event(**change))

    assert sorted(one.partition(":")[0] for one in changed) == told
    assert schema.is_valid(event), "and what goes on to others is as the specification has it"
    assert event["job"] | {"facets": {}} == run_event()["job"] | {"facets": {}}


def test_an_event_as_it_should_be_is_taken_as_it_is() -> None:
    event = run_event(**_output(custom={**_FACET, "rows": None}))
    assert tolerance.mended(event) == (event, [])


@pytest.mark.parametrize(
    ("sent", "usual"),
    [
        ("2026-05-10T15:04:15+0000", "2026-05-10T15:04:15+00:00"),
        ("2026-05-10t15:04:15z", "2026-05-10T15:04:15Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
        ("2026-05-10T15:04:15.1234567-05:30", "2026-05-10T15:04:15.1234567-05:30"),
        ("2026-05-10T15:04:15.123456789Z", "2026-05-10T15:04:15.123456789Z"),
    ],
)
def test_a_moment_is_read_in_the_forms_that_producers_give_it(sent: str, usual: str) -> None:
    event, told = tolerance.mended(run_event(eventTime=sent))

    assert (event["eventTime"], told) == (usual, [])
    assert reading.recorded(reading.envelope(event, []), "x").version.at_us is not None


@pytest.mark.parametrize(
    "change",
    [
        {"eventTime": "2026-05-10T15:04:15"}, {"eventTime": None}, {"eventType": "DONE"}, {"job": {"name": "n"}},
        {"job": None, "run": None}, {"inputs": [{"name": "n"}]}, {"run": {"runId": ""}}, {"run": {"runId": 7}},
        {"inputs": {}},
    ],
)  # fmt: skip
def test_what_names_nothing_or_no_moment_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(schema.OpenLineageInvalid):
        tolerance.mended(run_event(**change))


def test_a_run_id_that_is_no_uuid_stands_for_the_same_run_each_time() -> None:
    ids = {tolerance.mended(run_event(state, run={"runId": "r 1"}))[0]["run"]["runId"] for state in ("START", "FAIL")}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (("START", 5), ("RUNNING", 5)),  # of one moment: the later stage
        (("START", 5), ("OTHER", 5)),
        (("RUNNING", 5), ("COMPLETE", 5)),
        (("OTHER", 5), ("FAIL", 5)),
        (("START", 9), ("COMPLETE", 5)),  # what has ended stays ended, whatever a clock says
        (("RUNNING", 9), ("ABORT", 5)),
        (("OTHER", 9), ("COMPLETE", 5)),
        (("START", 5), ("START", 6)),
        (("COMPLETE", 5), ("FAIL", 6)),
    ],
)
def test_a_run_has_the_state_that_is_told_last_of_it(earlier: tuple[str, int], later: tuple[str, int]) -> None:
    one, two = (
        reading.recorded(reading.envelope(run_event(state, eventTime=f"2026-05-10T15:04:{second:02d}Z"), []), "x")
        for state, second in (earlier, later)
    )
    assert one.version.key < two.version.key
    assert type(one.version).from_key(two.version.key) == two.version


# Names.

_BY_DATA = [
    ("postgresql", their_naming.Postgres("db", "5432", "shop", "public", "orders"), "/public/orders"),
    ("db2", their_naming.DB2("db", "50000", "shop", "PUBLIC", "ORDERS"), "/PUBLIC/ORDERS"),
    ("oracle", their_naming.Oracle("db", "1521", "shop", "PUBLIC", "ORDERS"), "PUBLIC/ORDERS"),
    ("mysql", their_naming.MySQL("db", "3306", "shop", "orders"), "/shop/orders"),
    ("hive", their_naming.Hive("db", "10000", "shop", "orders"), "/shop/orders"),
    ("trino", their_naming.Trino("db", "8080", "shop", "public", "orders"), "/public/orders"),
    ("amazons3", their_naming.S3("lake", "orders/2026.csv"), "/lake/orders/2026.csv"),
    ("googlecloudstorage", their_naming.GCS("lake", "orders/2026.csv"), "/lake/orders/2026.csv"),
    ("hdfs", their_naming.HDFS("db", "8020", "/data/orders"), "/data/orders"),
]


@pytest.mark.parametrize(("kind", "theirs", "path"), _BY_DATA, ids=[kind for kind, *_ in _BY_DATA])
def test_names_are_those_of_openlineages_own_rules_and_lead_back_to_the_path(kind: str, theirs: Any, path: str) -> None:
    asset = Located("a1", "Orders", Container("catalog", "c1"), path, kind, "db", None, "shop", None)

    name = Naming().of(asset)

    assert name == DatasetName(theirs.get_namespace(), theirs.get_name())
    assert path in paths_of(name)


def test_what_has_no_rule_is_called_by_its_place_which_leads_back() -> None:
    asset = Located("a1", "Orders", Container("project", "p1"), "/x", "something new", "db")

    name = Naming().of(asset)

    assert name == ("catalog://project/p1", "a1")
    assert place_of(name) == ("a1", Container("project", "p1"))
    assert place_of(by_place("a1", None)) == ("a1", None)
    assert place_of(DatasetName("postgres://db", "a1")) is None


def test_settings_add_rules_and_replace_them() -> None:
    rules = {"8c1a": "db2", "vault": {"namespace": "vault://{host}", "name": "{path}"}}
    naming = Naming(rules)

    assert (
        naming.of(Located("a", path="/s/t", datasource_type="8C1A", host="h", port="1", database="d")).name == "d.s.t"
    )
    assert naming.of(Located("a", path="/s/t", datasource_type="vault", host="h")) == ("vault://h", "s/t")
    for bad in ("nothing", {"namespace": "{host.__class__}", "name": "x"}, {"namespace": "{", "name": "x"}, 7):
        with pytest.raises(SettingInvalid, match="NAMES"):
            Naming({"x": bad}, "OPENLINEAGE__NAMES")


def test_the_name_of_a_type_counts_where_its_id_has_no_rule() -> None:
    where: dict[str, Any] = {"path": "/s/t", "host": "h", "port": "1", "database": "d"}
    asset = Located("a", datasource_type="0c431748-uuid", type_name="PostgreSQL", **where)
    assert Naming().of(asset) == ("postgres://h:1", "d.s.t")
    by_id = Naming({"0c431748-UUID": {"namespace": "mine://{host}", "name": "{path}"}})
    assert by_id.of(asset) == ("mine://h", "s/t")
    assert Naming().by_data(Located("a", datasource_type="0c431748-uuid", **where)) is None


# From OpenLineage to the catalog.


def test_all_events_of_a_run_are_one_lineage_event() -> None:
    start, end = (
        reading.recorded(reading.envelope(run_event(state), []), "airflow") for state in ("START", "COMPLETE")
    )

    assert start.event_id == end.event_id == RUN_ID
    assert (start.event_type, end.event_type) == ("JOB_STARTED", "JOB_COMPLETED")
    assert (start.is_complete, end.is_complete) == (False, True)
    assert end.accumulates
    assert end.came_from == "airflow"
    assert end.source_service == "airflow://prod/orders.load"
    assert [(edge.asset_id, edge.role) for edge in end.edges] == [
        ("postgres://db:5432/shop.public.orders", "uses"), ("s3://lake/orders/2026", "generates"),
    ]  # fmt: skip
    assert start.original
    assert end.original
    assert start.original.openlineage_id != end.original.openlineage_id


def _id(event: dict[str, Any]) -> str:
    original = reading.recorded(reading.envelope(event, []), "airflow").original
    assert original
    return original.openlineage_id


def test_an_event_is_another_one_if_anything_of_it_is_another() -> None:
    sql = {"facets": {"sql": {**_FACET, "query": "SELECT 1"}}}
    others = [
        run_event(), run_event(producer="urn:another"), run_event(eventTime="2026-05-10T15:04:15.123457Z"),
        run_event(job=run_event()["job"] | sql), run_event(outputs=[]), run_event("FAIL"), run_event(odd="\ud800"),
    ]  # fmt: skip

    assert len({_id(event) for event in others}) == len(others)
    for event in others:
        assert _id(dict(reversed(event.items()))) == _id(json.loads(json.dumps(event))) == _id(event)


@pytest.mark.parametrize("holder", ["run", "job", "dataset"])
def test_a_marked_event_is_the_one_that_was_marked(holder: str) -> None:
    event = run_event()
    if holder != "run":
        del event["run"], event["eventType"]
    if holder == "dataset":
        event = {"eventTime": event["eventTime"], "producer": "urn:x", "dataset": {"namespace": "n", "name": "d"}}
    marked = marks.marked(event, _id(event), PRODUCER)

    assert schema.is_valid(marked)
    assert (_id(marked), _id(marked | {"producer": "urn:blanked"})) == (_id(event), _id(event))
    assert marks.mark_of(event) is None, "the event itself is not touched"


def test_a_data_set_becomes_the_asset_that_the_mirror_or_it_itself_says() -> None:
    found = {
        "namespace": "postgres://db:5432", "name": "shop.public.orders", "asset_id": "a1", "title": "Orders",
        "container_kind": "catalog", "container_id": "c1",
    }  # fmt: skip
    symlinks = {"_producer": "urn:x", "_schemaURL": "urn:y", "identifiers": [
        {"namespace": "catalog://space/s1", "name": "a2", "type": "ASSET"}]}  # fmt: skip
    output = {"namespace": "s3://lake", "name": "orders", "facets": {"symlinks": symlinks}}

    change = reading.recorded(reading.envelope(run_event(outputs=[output]), [found]), "airflow")

    assert change.edges == (
        LineageEdge("a1", "uses", "Used", "DataSet", "Orders", Container("catalog", "c1")),
        LineageEdge("a2", "generates", "Created", "DataSet", "orders", Container("space", "s1")),
    )


def test_job_and_dataset_events_say_what_a_job_does_and_that_a_data_set_is_there() -> None:
    job = run_event()
    del job["run"], job["eventType"]
    dataset = {"eventTime": job["eventTime"], "producer": "urn:x", "dataset": {"namespace": "n", "name": "d"}}

    described = reading.recorded(reading.envelope(job, []), "dbt")
    seen = reading.recorded(reading.envelope(dataset, []), "dbt")

    assert (described.event_type, described.accumulates, described.is_complete) == ("JOB_DESCRIBED", False, True)
    assert (seen.event_type, seen.is_complete) == ("DATASET_DESCRIBED", False)
    assert [(edge.asset_id, edge.role) for edge in seen.edges] == [("n/d", "uses")]


# There and back.


def test_a_catalog_event_is_told_as_start_and_complete_that_fit_the_schema() -> None:
    known = Knowledge(
        {
            "u": Described(DatasetName("postgres://db:5432", "shop.public.u"), (AssetColumn("id", 1, "int"),)),
            "g": Described(DatasetName("s3://lake", "g")),
        },
        (ColumnFlow("u", "id", "g", "key"),),
    )
    start, complete = writing.run_events(catalog_event(RUN_ID), known, PRODUCER)

    assert [event["eventType"] for event in (start, complete)] == ["START", "COMPLETE"]
    for event in (start, complete):
        assert schema.kind_of(schema.check(event)) == "RunEvent"
        assert event["run"]["runId"] == RUN_ID
        assert event["eventTime"] == "2018-04-03T14:01:08.603000Z"
    assert complete["job"] == {"namespace": "Watson Knowledge Catalog", "name": "DATASET_PUBLISHED.g"}
    (used,), (made,) = complete["inputs"], complete["outputs"]
    assert (used["namespace"], used["name"]) == ("postgres://db:5432", "shop.public.u")
    assert used["facets"]["schema"]["fields"] == [{"name": "id", "type": "int"}]
    assert used["facets"]["symlinks"]["identifiers"][0]["name"] == "u"
    assert made["facets"]["columnLineage"]["fields"] == {
        "key": {"inputFields": [{"namespace": "postgres://db:5432", "name": "shop.public.u", "field": "id"}]}
    }


names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)


@given(names, names, st.lists(names, max_size=3), names)
def test_a_catalog_event_comes_back_as_it_was(event_id: str, kind: str, categories: list[str], service: str) -> None:
    body = catalog_event(event_id, event_type=kind, event_category=categories, event_source_service=service)
    there = writing.run_events(body, Knowledge(), PRODUCER)

    for event in there:
        back = reading.recorded(reading.envelope(schema.check(event), []), "other_mirror")
        assert back.document == document(body)
        assert back.event_id == event_id
        assert back.original is None


def test_without_our_facet_comes_back_what_both_can_say() -> None:
    body = catalog_event(RUN_ID)
    for event in (limits.limited(event) for event in writing.run_events(body, Knowledge(), PRODUCER)):
        back = reading.recorded(reading.envelope(event, []), "x")

        told = LineageEvent.read(Event("", (), body))
        assert back.event_id == told.event_id
        assert back.version.at_us == told.at_us
        assert [(edge.asset_id, edge.role, edge.container) for edge in back.edges] == [
            (edge.asset_id, edge.role, edge.container) for edge in told.edges
        ]


def test_a_run_that_went_through_the_catalog_is_the_same_run_again() -> None:
    event = run_event()
    change = reading.recorded(reading.envelope(event, []), "airflow")
    told = json.loads(change.document.text)

    _, again = writing.run_events(told, Knowledge(), PRODUCER)

    assert again["run"]["runId"] == RUN_ID
    assert again["job"] == event["job"]
    assert [(one["namespace"], one["name"]) for one in (*again["inputs"], *again["outputs"])] == [
        (one["namespace"], one["name"]) for one in (*event["inputs"], *event["outputs"])
    ]


def test_ids_of_runs_are_uuids_whatever_the_catalogs_id_is() -> None:
    (start, _) = writing.run_events(catalog_event("no uuid"), Knowledge(), PRODUCER)

    assert UUID(start["run"]["runId"]).version == 5


def test_what_ibms_endpoint_cannot_take_is_left_out() -> None:
    facet = {"_producer": "urn:x", "_schemaURL": "urn:y"}
    output = {"namespace": "n", "name": "o", "facets": {
        "columnLineage": {**facet, "fields": {}, "dataset": []}, "custom_facet": facet}}  # fmt: skip
    event = run_event(
        run={"runId": RUN_ID, "facets": {"parent": facet, "nominalTime": facet, "spark.logicalPlan": facet}},
        job={"namespace": "n", "name": "j", "facets": {"sourceCodeLocation": facet, "sql": facet}},
        outputs=[output],
    )

    taken = limits.limited(event)

    assert set(taken["run"]["facets"]) == {"nominalTime"}
    assert set(taken["job"]["facets"]) == {"sql"}
    assert taken["outputs"][0]["facets"] == {"columnLineage": {**facet, "fields": {}}}
    assert not limits.takes({"dataset": {}})
