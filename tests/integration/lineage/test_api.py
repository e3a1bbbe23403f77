"""The API: the catalog's parameters and shapes, who may do what, limits, and what comes in."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import jwt
import pytest
import yaml
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from prometheus_client import generate_latest

from service.changes import AssetSaved, Change, ConnectionDetails, Container, Origin, Rank, Version
from service.errors import SettingInvalid
from service.http import openapi
from service.http.access import Access
from service.http.api import Api
from service.http.console.app import Console
from service.http.probes import listening
from service.mirror import writer
from service.mirror.lineage.graph import graph
from service.mirror.retention import prune
from service.pipeline.building import pipeline_of
from service.settings.model import HttpSettings, PipelineSettings, RetentionSettings, Settings
from service.telemetry.metrics import Metrics
from service.text.documents import document
from tests.integration.lineage.conftest import Client

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror
    from tests.integration.lineage.conftest import Served

PUBLISHED: dict[str, Any] = {
    "message_version": "v1", "user_id": "IBMid-1", "account_id": "999",
    "event_details": {
        "event_id": "sample 1/2", "event_type": "DATASET_PUBLISHED", "event_category": ["additions"],
        "event_time": "2026-04-03T14:01:08.603Z", "event_source_service": "Watson Knowledge Catalog",
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


def run_event(state: str = "COMPLETE", run: str = "3f5e83fa-3480-44ff-99c5-ff943904e5e8", **more: Any) -> Any:
    return {
        "eventType": state, "eventTime": "2026-05-10T15:04:15Z", "producer": "https://example.com/airflow",
        "run": {"runId": run}, "job": {"namespace": "airflow", "name": "orders.load"}, **more,
    }  # fmt: skip


def dataset(name: str, namespace: str = "s3://lake") -> dict[str, str]:
    return {"namespace": namespace, "name": name}


# The catalog's form.


async def test_what_is_published_is_answered_in_the_catalogs_shape(api: Client) -> None:
    status, accepted = await api.post("/v2/lineage_events", PUBLISHED, "airflow")
    assert (status, accepted) == (202, {"metadata": {"id": "sample 1/2", "source_event_id": "sample 1/2"}})

    status, answer = await api.get("/v2/asset_lineages/g", "reader")

    (shown,) = answer["resources"]
    assert status == 200
    assert shown["metadata"] == {
        "id": "sample 1/2", "source_event_id": "sample 1/2", "created_at": "2026-04-03T14:01:08.603Z",
        "created_by": "IBMid-1",
    }  # fmt: skip
    assert shown["entity"]["type"] == "DATASET_PUBLISHED"
    generated = dict(PUBLISHED["generates_assets"][0])
    assert shown["entity"]["generates_assets"] == [{"type": generated.pop("asset_type"), **generated}]
    assert shown["entity"]["properties"] == {
        "event_time": "2026-04-03T14:01:08.603Z", "event_category": ["additions"],
        "event_source_service": "Watson Knowledge Catalog",
    }  # fmt: skip
    assert (answer["limit"], answer["offset"]) == (50, 0)
    assert "offset=0&_=" in answer["first"]["href"]
    assert "next" not in answer
    assert (await api.get("/v2/lineage_events/sample%201%2F2", "reader")) == (200, shown)


async def test_an_answer_is_given_after_the_commit_and_twice_is_once(api: Client, mirror: Mirror) -> None:
    for _ in range(2):
        await api.post("/v2/lineage_events", PUBLISHED, "airflow")
        assert await mirror.all("SELECT event_id, came_from FROM lineage_events") == [("sample 1/2", "airflow")]


@pytest.fixture
async def chain(mirror: Mirror, events: Events) -> None:
    """raw → e0 → clean → e1 → report; e2 only looks at clean."""
    drawn = [(["raw"], ["clean"]), (["clean"], ["report"]), (["clean"], [])]
    messages = [
        events.lineage(f"e{number}", f"2026-05-10T15:0{number}:00Z", uses, generates)
        for number, (uses, generates) in enumerate(drawn)
    ]
    await mirror.pipeline().process(messages, Origin.LIVE)


def ids(answer: dict[str, Any]) -> list[str]:
    return [shown["metadata"]["id"] for shown in answer["resources"]]


@pytest.mark.usefixtures("chain")
async def test_every_documented_parameter_holds(api: Client) -> None:
    async def ask(asset: str, **query: Any) -> list[str]:
        status, answer = await api.get(f"/v2/asset_lineages/{asset}", "reader", **query)
        assert status == 200, answer
        return ids(answer)

    assert await ask("clean") == await ask("clean", lineage_type="partial") == ["e2", "e1", "e0"]
    assert await ask("clean", lineage_type="default") == ["e2", "e1", "e0"]
    assert await ask("raw", lineage_type="forward") == ["e1", "e0"]
    assert await ask("raw", lineage_type="forward_hop", hop_count=1, event_count=10) == ["e0"]
    assert await ask("raw", lineage_type="forward_hop", event_count=0) == []
    assert await ask("report", lineage_type="backward") == ["e1", "e0"]
    assert await ask("clean", limit=1, offset=1) == ["e1"]
    assert await ask("clean", after_time="2026-05-10T15:01:00.000Z") == ["e2"]
    assert await ask("clean", after_time="2026-05-10T17:01:00.000+02:00") == ["e2"]
    assert await ask("report", seed_asset_id="raw", asset_type="dataset") == ["e1"]
    _, answer = await api.get("/v2/asset_lineages/raw", "reader", lineage_type="forward", classification="timelines")
    assert [(one["classification"], [event["id"] for event in one["events"]]) for one in answer["timelines"]] == [
        ("generation", []), ("modification", []), ("usage", ["e0", "e1"]),
    ]  # fmt: skip
    _, page = await api.get("/v2/asset_lineages/clean", "reader", limit=2)
    path = page["next"]["href"].removeprefix(api.url)
    assert ids((await api.get(path, "reader"))[1]) == ["e0"]


#: Of no form, of another one, with a moment that is none, with a moment without a zone.
NO_BOOKMARKS = ("", "x", "ä", "bnVsbA", "WyJlMSIsIDEsIDIsIDNd", "WyJlMSIsbnVsbCwiMjAyNi0wMS0wMSIsZmFsc2Vd")


@pytest.mark.usefixtures("chain")
async def test_what_cannot_be_answered_says_why_in_the_catalogs_shape(api: Client, mirror: Mirror) -> None:
    await mirror.execute("UPDATE assets SET visibility_mode = 8 WHERE asset_id = 'report'")
    refusals = [
        ({"limit": "0"}, 400, "limit"), ({"limit": "many"}, 400, "limit"), ({"offset": "-1"}, 400, "offset"),
        ({"lineage_type": "up"}, 400, "forward_hop"), ({"classification": "x"}, 400, "timelines"),
        ({"asset_type": "DataSet"}, 400, "dataset"), ({"after_time": "yesterday"}, 400, "after_time"),
        *(({"bookmark": mark}, 404, "bookmark") for mark in NO_BOOKMARKS),
        ({"depth": "3"}, 400, "hop_count"), ({"seed_asset_id": "unrelated"}, 404, "unrelated"),
    ]  # fmt: skip
    for query, expected, word in refusals:
        status, problem = await api.get("/v2/asset_lineages/raw", "reader", None, **query)
        assert status == expected
        assert word in problem["errors"][0]["message"]
        assert problem["errors"][0]["code"]
        assert problem["trace"]
    for path in ("/v2/asset_lineages/nobody", "/v2/asset_lineages/report", "/v2/lineage_events/none", "/v2/other"):
        assert (await api.get(path, "reader"))[0] == 404
    _, answer = await api.get("/v2/asset_lineages/clean", "reader")
    assert all(
        not shown["entity"]["generates_assets"]
        for shown in answer["resources"]
        if ids({"resources": [shown]}) == ["e1"]
    )


@pytest.mark.usefixtures("chain")
async def test_a_seed_asset_that_is_not_connected_forbids(api: Client, mirror: Mirror, events: Events) -> None:
    await mirror.pipeline().process([events.lineage("far", uses=["x"], generates=["y"])], Origin.LIVE)

    assert (await api.get("/v2/asset_lineages/raw", "reader", seed_asset_id="x"))[0] == 403


@pytest.mark.usefixtures("chain")
async def test_the_summary_has_our_documented_shape(api: Client) -> None:
    status, answer = await api.get("/v2/asset_lineages/clean/summary", "reader")

    assert status == 200
    assert answer["entity"]["upstream"] == {"assets": 1, "events": 1, "depth": 1, "truncated": False}
    assert answer["entity"]["events"] == {"generation": 1, "modification": 1, "usage": 1}
    assert answer["entity"]["last_event_time"] == "2026-05-10T15:02:00.000Z"


# OpenLineage.


async def test_inputs_of_start_and_outputs_of_complete_are_one_event_of_the_run(api: Client) -> None:
    start, end = run_event("START", inputs=[dataset("raw")]), run_event("COMPLETE", outputs=[dataset("clean")])
    assert (await api.post("/api/v1/lineage", end, "airflow"))[0] == 201
    assert (await api.post("/api/v1/lineage", start, "airflow"))[0] == 201

    _, answer = await api.get("/v2/asset_lineages/s3:%2F%2Flake%2Fclean", "reader", lineage_type="backward")

    (shown,) = answer["resources"]
    assert shown["metadata"]["id"] == start["run"]["runId"]
    assert [asset["id"] for asset in shown["entity"]["uses_assets"]] == ["s3://lake/raw"]
    assert [asset["id"] for asset in shown["entity"]["generates_assets"]] == ["s3://lake/clean"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_a_run_that_has_ended_stays_ended_in_any_order_and_whatever_the_clock_says(
    api: Client, mirror: Mirror, order: tuple[int, ...]
) -> None:
    told = [
        run_event("COMPLETE", eventTime="2026-05-10T15:04:15Z", outputs=[dataset("orders")]),
        run_event("START", eventTime="2026-05-10T15:04:16Z"),  # the scheduler's clock is ahead of the worker's
        run_event("RUNNING", eventTime="2026-05-10T15:04:17Z"),
    ]
    for place in order:
        assert (await api.post("/api/v1/lineage", told[place], "airflow"))[0] == 201
    assert await mirror.all("SELECT event_type FROM lineage_events") == [("JOB_COMPLETED",)]


async def test_what_is_left_out_is_told_and_the_rest_is_in_the_graph(api: Client, mirror: Mirror) -> None:
    odd = run_event(outputs=[dataset("orders") | {"facets": {"additionalProperties": {}, "schema": None}}])
    status, body = await api.post("/api/v1/lineage", [run_event("START"), odd], "airflow")
    assert status == 201
    assert body["warnings"] == [
        {"index": 1, "told": ["outputs.0.facets.additionalProperties: it cannot be used and was left out"]}
    ]
    assert await mirror.all("SELECT asset_id FROM lineage_edges") == [("s3://lake/orders",)]
    assert api.metrics is not None
    assert api.metrics.registry.get_sample_value("catalog_mirror_openlineage_mended_total") == 1


async def test_paths_that_differ_in_a_word_that_looks_secret_are_two_data_sets(api: Client, mirror: Mirror) -> None:
    names = ["events/token_type=access/day=1", "events/token_type=refresh/day=1"]
    event = run_event(inputs=[dataset(name) for name in names])
    assert (await api.post("/api/v1/lineage", event, "airflow"))[0] == 201
    found = await mirror.all("SELECT asset_id FROM lineage_edges ORDER BY asset_id")
    assert found == [(f"s3://lake/{name}",) for name in names]


@pytest.mark.parametrize("name", ["orders/{date}", "{{orders}}", "a b/{x}#?&%7B", "größe {}"])
async def test_a_name_with_braces_and_other_marks_can_be_asked_for(api: Client, name: str) -> None:
    assert (await api.post("/api/v1/lineage", run_event(outputs=[dataset(name)]), "airflow"))[0] == 201
    for path in ("", "/summary"):
        asked = f"/v2/asset_lineages/{quote(f's3://lake/{name}', safe='')}{path}"
        assert (await api.get(asked, "reader"))[0] == 200


async def test_an_array_is_taken_as_a_whole_and_gzip_is_understood(api: Client, mirror: Mirror) -> None:
    job = {name: value for name, value in run_event().items() if name not in ("run", "eventType")}
    seen = {"eventTime": "2026-05-10T15:04:15Z", "producer": "urn:x", "dataset": dataset("seen")}
    body = gzip.compress(json.dumps([run_event(), job | {"inputs": [dataset("raw")]}, seen]).encode())

    status, answer = await api.post("/api/v1/lineage/batch", body, "airflow", headers={"Content-Encoding": "gzip"})

    assert (status, answer["summary"]["successful"]) == (201, 3)
    types = await mirror.all("SELECT event_type FROM lineage_events ORDER BY event_type")
    assert types == [("DATASET_DESCRIBED",), ("JOB_COMPLETED",), ("JOB_DESCRIBED",)]
    status, problem = await api.post("/api/v1/lineage", [run_event(), {"run": {}}], "airflow")
    assert (status, await mirror.one("SELECT count(*) FROM openlineage_events")) == (400, 3)
    assert "1: " in problem["errors"][0]["message"]


async def test_a_data_set_of_a_known_connection_is_the_catalogs_asset(api: Client, mirror: Mirror) -> None:
    version = Version(1, Rank.READ)
    place = Container("catalog", "c1")
    link = ConnectionDetails("postgresql", None, "db", "5432", "shop")
    states: list[Change] = [
        AssetSaved("k", version, document({}), place, connection=link),
        AssetSaved("a1", version, document({}), place, "Orders", connection_id="k", connection_path="/public/orders"),
    ]
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate(states))

    await api.post(
        "/api/v1/lineage", run_event(inputs=[dataset("shop.public.orders", "postgres://db:5432")]), "airflow"
    )

    assert await mirror.one("SELECT asset_id, name, container_id FROM lineage_edges") == ("a1", "Orders", "c1")


@pytest.mark.parametrize("end", ["FAIL", "ABORT"])
async def test_what_failed_made_nothing_and_is_there_for_who_asks(api: Client, mirror: Mirror, end: str) -> None:
    """`dbt-ol build` with a model that fails tells its output with START; it was never written."""
    runs = [f"3f5e83fa-3480-44ff-99c5-ff943904e5e{number}" for number in range(2)]
    ends: dict[str, Any] = {"inputs": [dataset("raw")], "outputs": [dataset("model")]}
    read: dict[str, Any] = {"inputs": [dataset("model")], "outputs": [dataset("report")]}
    told = (run_event("START", runs[0], **ends), run_event(end, runs[0]), run_event("COMPLETE", runs[1], **read))
    for event in told:
        assert (await api.post("/api/v1/lineage", event, "airflow"))[0] == 201

    async def ask(name: str, lineage_type: str, **more: Any) -> list[str]:
        path = f"/v2/asset_lineages/{quote(f's3://lake/{name}', safe='')}"
        return ids((await api.get(path, "reader", lineage_type=lineage_type, **more))[1])

    assert await ask("report", "backward") == [runs[1]]
    assert sorted(await ask("report", "backward", failed="true")) == sorted(runs)
    assert await ask("raw", "forward") == []
    assert sorted(await ask("raw", "forward", failed="true")) == sorted(runs)
    assert await ask("raw", "forward_hop") == []
    assert await ask("raw", "partial") == [runs[0]]
    _, event = await api.get(f"/v2/lineage_events/{runs[0]}", "reader")
    assert event["entity"]["type"] == {"FAIL": "JOB_FAILED", "ABORT": "JOB_ABORTED"}[end]
    async with mirror.store.read() as connection:
        assert (await graph(connection, "s3://lake/report", 4)).events.keys() == {runs[1]}
        assert (await graph(connection, "s3://lake/report", 4, failed=True)).events.keys() == set(runs)
    assert (await api.get("/v2/asset_lineages/s3:%2F%2Flake%2Fraw", "reader", failed="yes"))[0] == 400


async def test_a_data_set_is_one_in_whatever_spelling_it_is_told_and_asked_for(api: Client, mirror: Mirror) -> None:
    """An asset by its connection, and one that the catalog does not know."""
    version, place = Version(1, Rank.READ), Container("catalog", "c1")
    link = ConnectionDetails("snowflake", None, "ACME-sales", None, "shop")
    states: list[Change] = [
        AssetSaved("k", version, document({}), place, connection=link),
        AssetSaved("a1", version, document({}), place, "Orders", connection_id="k", connection_path="/public/orders"),
    ]
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate(states))
    told = [
        ("snowflake://acme-sales.snowflakecomputing.com", '"SHOP"."PUBLIC"."ORDERS"', "s3a://lake"),
        ("snowflake://acme-sales", "shop.public.orders", "s3://lake"),
    ]

    for number, (namespace, name, lake) in enumerate(told):
        ends: dict[str, Any] = {"inputs": [dataset(name, namespace)], "outputs": [dataset("orders", lake)]}
        event = run_event(run=f"3f5e83fa-3480-44ff-99c5-ff943904e5e{number}", **ends)
        assert (await api.post("/api/v1/lineage", event, "airflow"))[0] == 201

    assert await mirror.all("SELECT DISTINCT asset_id FROM lineage_edges ORDER BY asset_id") == [
        ("a1",), ("s3://lake/orders",),
    ]  # fmt: skip
    for asked in ("s3://lake/orders", "s3a://lake/orders", "S3N://lake/orders"):
        status, answer = await api.get(f"/v2/asset_lineages/{quote(asked, safe='')}", "reader")
        assert (status, len(answer["resources"])) == (200, 2)
        assert (await api.get(f"/v2/asset_lineages/{quote(asked, safe='')}/summary", "reader"))[0] == 200


async def test_bad_input_is_refused_with_what_is_wrong_and_nothing_is_written(api: Client, mirror: Mirror) -> None:
    for path in ("/api/v1/lineage", "/v2/lineage_events"):
        for body in (b"", b"{", b"7", b"\xff", b"{}", b'{"a":' * 500 + b"1" + b"}" * 500, b'{"event_details": 7}'):
            status, problem = await api.post(path, body, "airflow")
            assert (status, bool(problem["errors"][0]["message"])) == (400, True)
    future = PUBLISHED | {"event_details": PUBLISHED["event_details"] | {"event_time": "9998-01-01T00:00:00Z"}}
    status, problem = await api.post("/v2/lineage_events", future, "airflow")
    assert status == 409
    assert "clock" in problem["errors"][0]["message"]
    for table in ("lineage_events", "dead_letters"):
        assert await mirror.one(f"SELECT count(*) FROM {table}") == 0


async def test_bodies_batches_and_events_have_limits(served: Served, tokens_file: Path) -> None:
    async with served(tokens_file=tokens_file, max_body_bytes=4096, max_batch=2, max_edges=20) as api:
        assert (await api.post("/api/v1/lineage", b" " * 5000, "airflow"))[0] == 413
        bomb = gzip.compress(b" " * 1_000_000)
        assert (await api.post("/api/v1/lineage", bomb, "airflow", headers={"Content-Encoding": "gzip"}))[0] == 413
        assert (await api.post("/api/v1/lineage", [run_event()] * 3, "airflow"))[0] == 413
        many = [dataset(str(number)) for number in range(3)]
        assert (await api.post("/api/v1/lineage", run_event(inputs=many), "airflow"))[0] == 413
        assert (await api.post("/api/v1/lineage", run_event(inputs=many[:2]), "airflow"))[0] == 201


async def test_an_event_that_the_pipeline_would_refuse_is_refused_with_the_setting_that_does(
    mirror: Mirror, tokens_file: Path
) -> None:
    settings = Settings(http=HttpSettings(tokens_file=tokens_file), pipeline=PipelineSettings(max_body_bytes=2048))
    api = Api(settings, mirror.store, pipeline_of(settings, mirror.store, Metrics()))
    large = run_event(inputs=[dataset(f"orders{number}") for number in range(100)])
    async with listening(api.application(), "127.0.0.1", 0, "") as port, aiohttp.ClientSession() as session:
        client = Client(session, f"http://127.0.0.1:{port}")
        for body, place in ((large, ""), ([run_event(), large], "Event 1: ")):
            status, problem = await client.post("/api/v1/lineage", body, "airflow")
            assert status == 413
            assert problem["errors"][0]["message"].startswith(f"{place}With its assets the event has ")
            assert "PIPELINE__MAX_BODY_BYTES allows 2048" in problem["errors"][0]["message"]
        # As many bytes in an array of small events are fine.
        few = [run_event(run=f"3f5e83fa-3480-44ff-99c5-ff943904e5{number}") for number in range(10, 30)]
        assert (await client.post("/api/v1/lineage", few, "airflow"))[0] == 201

    assert await mirror.one("SELECT count(*) FROM lineage_events") == 20
    assert await mirror.one("SELECT count(*) FROM dead_letters") == 0


async def test_what_is_older_than_lineage_is_kept_is_told(mirror: Mirror, tokens_file: Path) -> None:
    settings = Settings(http=HttpSettings(tokens_file=tokens_file))
    pipeline = pipeline_of(settings, mirror.store, Metrics(), horizon_s=86_400.0)
    api = Api(settings, mirror.store, pipeline)
    now = datetime.now(UTC).isoformat()
    async with listening(api.application(), "127.0.0.1", 0, "") as port, aiohttp.ClientSession() as session:
        client = Client(session, f"http://127.0.0.1:{port}")
        old = PUBLISHED | {"event_details": PUBLISHED["event_details"] | {"event_time": "2018-04-03T14:01:08.603Z"}}
        assert (await client.post("/v2/lineage_events", old, "airflow"))[0] == 409
        body = [run_event(eventTime="2018-04-03T14:01:08Z"), run_event(eventTime=now)]
        status, answer = await client.post("/api/v1/lineage", body, "airflow")

    assert (status, answer["status"], answer["summary"]["failed"]) == (201, "partial_success", 1)
    assert [failure["index"] for failure in answer["failed_events"]] == [0]
    assert await mirror.one("SELECT count(*) FROM lineage_events") == 1


# Who may do what.


async def test_without_tokens_this_machine_reads_and_nobody_writes(served: Served, mirror: Mirror) -> None:
    async with served() as api:
        assert (await api.get("/v2/asset_lineages/x"))[0] == 404
        status, problem = await api.post("/v2/lineage_events", PUBLISHED)
        assert status == 403
        assert "TOKENS_FILE" in problem["errors"][0]["message"]
        assert (await api.get("/v2/asset_lineages/x", headers={"Host": "evil.example"}))[0] == 403
    assert Api(Settings(), mirror.store, mirror.pipeline()).host == "127.0.0.1"


@pytest.mark.parametrize("path", ["/v2/lineage_events", "/api/v1/lineage", "/api/v1/lineage/batch"])
async def test_nobody_without_the_ingest_scope_writes(api: Client, mirror: Mirror, path: str) -> None:
    body = PUBLISHED if path.startswith("/v2") else run_event()
    for token, expected in ((None, 401), ("reader", 403), ("who-is-this-0123456789", 401), ("airflow", 202)):
        status, _ = await api.post(path, body, token)
        assert status in (expected, 201 if expected == 202 else expected)
        assert await mirror.one("SELECT count(*) FROM lineage_events") == (1 if status < 300 else 0)
    assert (await api.get("/v2/asset_lineages/x", "airflow"))[0] == 403
    assert (await api.get("/openapi.json"))[0] == 200


async def test_a_token_may_stand_as_its_hash_and_the_file_is_read_again(
    served: Served, tokens_file: Path, mirror: Mirror
) -> None:
    async with served(tokens_file=tokens_file) as api:
        digest = hashlib.sha256(b"another-0123456789abc").hexdigest()
        tokens_file.write_text(yaml.safe_dump({"another": {"sha256": digest, "scopes": ["read"]}}), encoding="utf-8")
        assert (await api.get("/v2/asset_lineages/x", "another-0123456789abc"))[0] == 404
        assert (await api.get("/v2/asset_lineages/x", "reader"))[0] == 401
        tokens_file.write_text("{half of it", encoding="utf-8")
        assert (await api.get("/v2/asset_lineages/x", "another-0123456789abc"))[0] == 404


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "names of tokens"), ("{", "no YAML"), ("a b: {token: 0123456789abcdef, scopes: [read]}", "letters"),
        ("a: {token: short, scopes: [read]}", "16"), ("a: {token: 0123456789abcdefg, scopes: [write]}", "ingest"),
        ("catalog: {token: 0123456789abcdefg, scopes: [read]}", "taken"),
        ("a: {sha256: xyz, scopes: [read]}", "64"), ("a: {scopes: [read]}", "either"),
    ],
)  # fmt: skip
def test_a_token_file_that_cannot_be_used_is_a_settings_error(tmp_path: Path, content: str, word: str) -> None:
    path = tmp_path / "tokens.yaml"
    path.write_text(content, encoding="utf-8")
    settings = Settings(http=HttpSettings(tokens_file=path))

    with pytest.raises(SettingInvalid, match=word) as refused:
        Api(settings, None, None)  # type: ignore[arg-type]

    assert "0123456789abcdef" not in str(refused.value)


# OpenID Connect.


class Provider:
    """An issuer of tokens."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.url = ""
        self.asked = 0

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/.well-known/openid-configuration", self.configuration), web.get("/keys", self.keys)])
        return app

    async def configuration(self, _: web.Request) -> web.Response:
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

    async def keys(self, _: web.Request) -> web.Response:
        self.asked += 1
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return web.json_response({"keys": [key | {"kid": "k1", "use": "sig", "alg": "RS256"}]})

    def token(self, key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
        told = {"iss": self.url, "aud": "mirror", "exp": time.time() + 60, "azp": "spark/prod", "scope": "m:ingest x"}
        return jwt.encode(told | claims, key or self.key, algorithm, headers={"kid": "k1"})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    async with listening(made.application(), "127.0.0.1", 0, "") as port:
        made.url = f"http://127.0.0.1:{port}"
        yield made


async def test_tokens_of_the_issuer_open_what_their_scopes_say(
    served: Served, provider: Provider, mirror: Mirror
) -> None:
    oidc = {"oidc_issuer": provider.url, "oidc_audience": "mirror", "oidc_scope_prefix": "m:"}
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    async with served(**oidc) as api:
        assert (await api.post("/v2/lineage_events", PUBLISHED, provider.token()))[0] == 202
        assert await mirror.one("SELECT came_from FROM lineage_events") == "spark_prod"
        assert (await api.post("/v2/lineage_events", PUBLISHED, provider.token(scope="m:read")))[0] == 403
        assert (await api.get("/v2/asset_lineages/u", provider.token(scope=["m:read"])))[0] == 200
        for bad in (
            provider.token(aud="another"), provider.token(iss="https://another"), provider.token(exp=time.time() - 60),
            provider.token(key=stranger), jwt.encode({"aud": "mirror"}, "", "none"), "a.b.c",
            provider.token(key="0123456789abcdef0123456789abcdef", algorithm="HS256"),
        ):  # fmt: skip
            assert (await api.post("/v2/lineage_events", PUBLISHED, bad))[0] == 401
    assert provider.asked == 1


async def test_an_issuer_that_cannot_be_reached_is_told(served: Served, provider: Provider) -> None:
    token = provider.token()
    async with served(oidc_issuer="http://127.0.0.1:1", oidc_audience="mirror") as api:
        status, problem = await api.post("/v2/lineage_events", PUBLISHED, token)
        assert status == 503
        assert "OIDC_ISSUER" in problem["errors"][0]["message"]


@pytest.mark.parametrize("half", [{"oidc_issuer": "https://x"}, {"oidc_audience": "x"}])
def test_an_issuer_without_audience_would_open_the_door_to_all_its_tokens(half: dict[str, str]) -> None:
    with pytest.raises(SettingInvalid, match="OIDC"):
        Api(Settings(http=HttpSettings(**half)), None, None)  # type: ignore[arg-type]


async def test_a_run_that_is_over_its_time_goes_with_the_events_that_told_of_it(api: Client, mirror: Mirror) -> None:
    await api.post("/api/v1/lineage", run_event(inputs=[dataset("raw")]), "airflow")

    await prune(mirror.store, RetentionSettings(lineage_s=86_400.0))

    for table in ("lineage_events", "lineage_edges", "openlineage_events"):
        assert await mirror.one(f"SELECT count(*) FROM {table}") == 0


# The description.


async def test_the_description_has_every_route_and_no_other(mirror: Mirror) -> None:
    application, pages = Api(Settings(), mirror.store, mirror.pipeline()).application(), web.Application()
    Console(Settings(), mirror.store, Access(HttpSettings()), acts=False).add_to(pages)
    apart = _routes(pages) | {("post", "/mcp")}  # pages for people, and a protocol that describes itself
    described = {(method, path) for path, methods in openapi.document()["paths"].items() for method in methods}

    assert _routes(application) - apart == described


def _routes(app: web.Application) -> set[tuple[str, str]]:
    return {(route.method.lower(), route.resource.canonical) for route in app.router.routes() if route.resource}


async def test_calls_are_counted_and_timed_by_route_and_by_nothing_that_was_asked(api: Client) -> None:
    secret = "jane.doe@example.com"
    await api.get(f"/api/assets/{secret}", "reader")
    await api.get(f"/api/search?q={secret}", "reader")
    await api.get(f"/{secret}", "reader")
    assert api.metrics
    told = generate_latest(api.metrics.registry).decode()
    for route, status in (("/api/assets/{asset_id}", 404), ("/api/search", 200), ("other", 404)):
        assert f'http_requests_total{{route="{route}",status="{status}"}} 1.0' in told
        assert f'http_request_seconds_count{{route="{route}"}} 1.0' in told
    assert "jane" not in told
