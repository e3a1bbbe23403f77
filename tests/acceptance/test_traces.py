"""Traces as a collector gets them: over the wire, of a service with a real broker and database."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.process import free_port
from service.http.sites import site

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
#: What other systems on the way say of themselves: it goes on as it came.
STATE = 'vendor="a 1",other@v=2'
PATIENCE_S = 30.0


class Collector:
    """Takes spans by OTLP over HTTP, as `status` says: refuses them, or, where it is None, never answers."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.status: int | None = 200
        self.calls = 0
        self.url = ""
        self.headers: dict[str, str] = {}

    async def take(self, request: web.Request) -> web.Response:
        self.calls += 1
        self.headers = dict(request.headers)
        if self.status is None:
            await asyncio.Event().wait()
        if self.status == 200:
            told = ExportTraceServiceRequest.FromString(await request.read())
            self.spans += [span for one in told.resource_spans for kind in one.scope_spans for span in kind.spans]
        return web.Response(status=self.status or 500)

    async def until(self, trace: str, *names: str) -> dict[str, Span]:
        """Wait until spans of these names, of one trace, are there; answers the first of each name."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            found = {span.name: span for span in reversed(self.spans) if span.trace_id.hex() == trace}
            if found.keys() >= set(names):
                return found
            assert asyncio.get_running_loop().time() < deadline, (sorted(found), names)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    async with site(app, "127.0.0.1", 0, shutdown_timeout=0.1) as port:
        collector.url = f"http://127.0.0.1:{port}"
        yield collector


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector


def about(span: Span) -> dict[str, Any]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


async def publish(catalog: Any, event: tuple[str, bytes], traceparent: str | None) -> None:
    headers: Any = {"traceparent": traceparent, "tracestate": STATE} if traceparent else None
    await catalog.exchange.publish(aio_pika.Message(event[1], headers=headers), event[0])


async def came_back(catalog: Any) -> aio_pika.abc.AbstractIncomingMessage:
    """The next lineage event that the catalog got."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while (message := await catalog.sink.get(fail=False, no_ack=True)) is None:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    return message  # type: ignore[no-any-return]


async def test_one_trace_goes_from_the_catalogs_message_to_what_the_catalog_gets_back(
    catalog: Any,
    collector: Collector,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    postgres_url: str,
    mirror_process: Callable[..., MirrorProcess],
) -> None:
    settings = {"AMQP__URL": amqp_url, "STORE__URL": postgres_url, "TRACES__ENDPOINT": collector.url}
    async with mirror_process(**settings, TRACES__SAMPLED="0", TRACES__HEADERS="api-key=s3cret") as service:
        await service.wait_ready()
        await publish(catalog, profile_event(1), TRACEPARENT)
        message = await came_back(catalog)
        found = await collector.until(TRACE, "process", "decode", "handle", "commit", "deliver catalog_lineage")

        process, decode, commit = found["process"], found["decode"], found["commit"]
        assert process.parent_span_id.hex() == CALLER
        assert process.kind == Span.SPAN_KIND_CONSUMER
        assert decode.parent_span_id == commit.parent_span_id == process.span_id
        assert found["handle"].parent_span_id == decode.span_id
        assert [link.span_id for link in commit.links] == [process.span_id]
        assert found["INSERT data_profiles"].parent_span_id == commit.span_id
        delivery = found["deliver catalog_lineage"]
        assert delivery.parent_span_id == process.span_id
        assert message.headers["traceparent"] == f"00-{TRACE}-{delivery.span_id.hex()}-01"
        assert message.headers["tracestate"] == STATE
        assert process.start_time_unix_nano <= decode.start_time_unix_nano <= commit.start_time_unix_nano
        assert commit.end_time_unix_nano <= process.end_time_unix_nano <= delivery.end_time_unix_nano

        key, _ = profile_event(1)
        assert about(process)["messaging.rabbitmq.destination.routing_key"] == key
        assert about(process)["messaging.destination.template"] == "v2.data_profiles.*.PATCH"
        assert about(delivery)["catalog_mirror.target"] == "catalog_lineage"
        told = str(collector.spans)
        assert not [word for word in ("finished", "2026-05-10", "s3cret", "catalog_id") if word in told]
        assert collector.headers["api-key"] == "s3cret"

        openmetrics = await metrics_of(service)
        assert f'trace_id="{TRACE}"' in next(
            line for line in openmetrics if "event_age_seconds_bucket" in line and "#" in line
        )
        assert f'trace_id="{TRACE}"' in next(
            line for line in openmetrics if "delivery_age_seconds_bucket" in line and "#" in line
        )

        # Whoever began it does not want it recorded: it goes on all the same; of what begins here, no share is traced.
        unwanted = TRACEPARENT.replace(TRACE, "1" * 32).removesuffix("01") + "00"
        await publish(catalog, profile_event(2), unwanted)
        assert (await came_back(catalog)).headers["traceparent"] == unwanted
        await publish(catalog, profile_event(3), None)
        assert "traceparent" not in ((await came_back(catalog)).headers or {})
        assert {span.trace_id.hex() for span in collector.spans} == {TRACE}


async def metrics_of(service: MirrorProcess) -> list[str]:
    """The lines of /metrics in the format that has exemplars."""
    wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with aiohttp.ClientSession() as session, session.get(f"{service.url}/metrics", headers=wanted) as answer:
        return (await answer.text()).splitlines()


async def test_a_batch_is_linked_with_each_event_and_each_delivery_with_its_own(
    catalog: Any,
    collector: Collector,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
) -> None:
    await catalog.bind_mirror_queue()
    ids = [f"{number:032x}" for number in range(1, 6)]
    for number, trace in enumerate(ids):
        await publish(catalog, profile_event(number), TRACEPARENT.replace(TRACE, trace))
    settings = {"AMQP__URL": amqp_url, "STORE__URL": sqlite_url, "TRACES__ENDPOINT": collector.url}
    async with mirror_process(**settings) as service:
        await service.wait_ready()
        backs = [await came_back(catalog) for _ in ids]
        found = [await collector.until(trace, "process", "deliver catalog_lineage") for trace in ids]

    sent = {message.headers["traceparent"] for message in backs}
    assert sent == {
        f"00-{trace}-{f['deliver catalog_lineage'].span_id.hex()}-01" for trace, f in zip(ids, found, strict=True)
    }
    commits = {span.span_id: span for span in collector.spans if span.name == "commit"}
    linked = {link.span_id for span in commits.values() for link in span.links}
    assert linked == {spans["process"].span_id for spans in found}
    for spans in found:
        process = spans["process"]
        parents = {commit.parent_span_id for commit in commits.values()}
        assert process.span_id in parents or {link.span_id for link in process.links} <= commits.keys()


async def test_a_delivery_that_waited_in_the_store_goes_on_in_the_same_trace(
    catalog: Any,
    collector: Collector,
    profile_event: Callable[..., tuple[str, bytes]],
    rows_of: Callable[[str], Any],
    amqp_url: str,
    postgres_url: str,
    mirror_process: Callable[..., MirrorProcess],
) -> None:
    await catalog.sink.unbind(catalog.exchange, "v2.lineage_events.*.MIRROR")
    settings = {"AMQP__URL": amqp_url, "STORE__URL": postgres_url, "RELAY__RETRY_MAX_S": "0.3"}
    rows = rows_of(postgres_url)
    async with mirror_process(**settings, TRACES__ENDPOINT=collector.url) as service:
        await service.wait_ready()
        await publish(catalog, profile_event(1), TRACEPARENT)
        found = await collector.until(TRACE, "deliver catalog_lineage")
        assert about(found["deliver catalog_lineage"])["error.type"] == "unroutable"
        await rows.until("SELECT count(*) FROM deliveries WHERE attempts > 0 AND trace IS NOT NULL", 1)
        assert await service.terminate() == 0
    process, collector.spans = found["process"], []

    await catalog.sink.bind(catalog.exchange, "v2.lineage_events.*.MIRROR")
    async with mirror_process(**settings, TRACES__ENDPOINT=collector.url) as service:
        message = await came_back(catalog)
        delivery = (await collector.until(TRACE, "deliver catalog_lineage"))["deliver catalog_lineage"]
    assert delivery.parent_span_id == process.span_id
    assert about(delivery)["catalog_mirror.attempt"] > 1
    assert "error.type" not in about(delivery)
    assert message.headers["traceparent"] == f"00-{TRACE}-{delivery.span_id.hex()}-01"
    assert message.headers["tracestate"] == STATE


async def test_a_call_has_its_statements_and_what_it_posts_goes_on_in_its_trace(
    collector: Collector, postgres_url: str, mirror_process: Callable[..., MirrorProcess], tmp_path: Any
) -> None:
    port, targets = free_port(), free_port()
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text("dag: {token: dag-0123456789abcdef, scopes: [read, ingest]}\n")
    received: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        received.put_nowait((request.headers.get("traceparent", ""), request.headers.get("tracestate", "")))
        return web.Response(status=201)

    app = web.Application()
    app.router.add_post("/api/v1/lineage", take)
    service = mirror_process(
        STORE__URL=postgres_url,
        HTTP__API_PORT=str(port),
        HTTP__TOKENS_FILE=str(tokens),
        TARGETS__OPENLINEAGE__URL=f"http://127.0.0.1:{targets}",
        TRACES__ENDPOINT=collector.url,
        TRACES__SAMPLED="0",
    )
    async with (
        site(app, "127.0.0.1", targets, shutdown_timeout=0.1),
        service,
        aiohttp.ClientSession() as session,
    ):
        await service.wait_ready()
        base, told = f"http://127.0.0.1:{port}", {"Authorization": "Bearer dag-0123456789abcdef"}
        parent = told | {"traceparent": TRACEPARENT}
        asked = f"{base}/api/assets?q=Jane-Doe"
        async with session.get(asked, headers=told) as answer:  # of nobody's trace
            assert answer.status == 200
        async with session.get(asked, headers=parent) as answer:
            assert answer.status == 200
        found = await collector.until(TRACE, "GET /api/assets")
        call = found["GET /api/assets"]
        assert (call.parent_span_id.hex(), call.kind) == (CALLER, Span.SPAN_KIND_SERVER)
        assert about(call) == {
            "http.request.method": "GET",
            "http.route": "/api/assets",
            "http.response.status_code": 200,
        }
        statements = [span for span in collector.spans if span.parent_span_id == call.span_id]
        assert statements
        assert {about(span)["db.operation.name"] for span in statements} <= {"SELECT", "WITH"}
        assert {about(span)["db.system.name"] for span in statements} == {"postgresql"}
        assert [span for span in collector.spans if span.name == "GET /api/assets"] == [call]
        assert "Jane" not in str(collector.spans)

        async with session.get(f"{base}/nowhere/Jane-Doe", headers=parent | {"traceparent": TRACEPARENT}) as answer:
            assert answer.status == 404
        run = {"runId": "3f5e83fa-3480-44ff-99c5-ff943904e5e8"}
        body = {
            "eventTime": "2026-05-10T15:04:15Z",
            "eventType": "COMPLETE",
            "producer": "urn:test",
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
            "run": run,
            "job": {"namespace": "n", "name": "j"},
            "inputs": [{"namespace": "s3://lake", "name": "raw"}],
        }
        posted = parent | {"traceparent": TRACEPARENT.replace(TRACE, "2" * 32), "tracestate": STATE}
        async with session.post(f"{base}/api/v1/lineage", json=body, headers=posted) as answer:
            assert answer.status == 201
        names = ("POST /api/v1/lineage", "process", "decode", "handle", "commit", "deliver openlineage")
        found = await collector.until("2" * 32, *names)
        assert found["process"].parent_span_id == found["POST /api/v1/lineage"].span_id
        assert await received.get() == (f"00-{'2' * 32}-{found['deliver openlineage'].span_id.hex()}-01", STATE)
        assert (await collector.until(TRACE, "GET"))["GET"].name == "GET"
        assert "Jane" not in str(collector.spans)


@pytest.mark.parametrize("status", ["away", 500, None], ids=["away", "refuses", "never answers"])
async def test_a_collector_that_does_not_take_spans_costs_no_event(
    status: int | str | None,
    catalog: Any,
    collector: Collector,
    profile_event: Callable[..., tuple[str, bytes]],
    rows_of: Callable[[str], Any],
    amqp_url: str,
    postgres_url: str,
    mirror_process: Callable[..., MirrorProcess],
) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}" if status == "away" else collector.url
    collector.status = status if isinstance(status, int) else None
    settings = {"AMQP__URL": amqp_url, "STORE__URL": postgres_url, "PIPELINE__DRAIN_S": "3"}
    async with mirror_process(
        **settings, TRACES__ENDPOINT=endpoint, TRACES__SAMPLED="1", TRACES__TIMEOUT_S="0.4"
    ) as service:
        await service.wait_ready()
        await catalog.publish(profile_event(number) for number in range(50))
        await rows_of(postgres_url).until("SELECT count(*) FROM v1_data_profiles", 50)
        assert len([await came_back(catalog) for _ in range(50)]) == 50
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not await lost(service):
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.05)
        assert await service.terminate() == 0
    assert collector.spans == []
    said = [json.loads(line)["event"] for line in service.log_text().splitlines() if line.startswith("{")]
    assert "traces_not_taken" in said
    assert "drain_deadline" not in said
    assert said[-1] == "stopped"


async def lost(service: MirrorProcess) -> float:
    _, text = await service.get("/metrics")
    name = 'catalog_mirror_traces_dropped_total{reason="not_taken"}'
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


_LIFE = """
import asyncio, sys
from service.process.app import Service
from service.settings.model import load

async def live():
    service = Service(load())
    running = asyncio.create_task(service.run())
    await service.api_port
    service.stop()
    await running

asyncio.run(live())
print("\\n".join(name for name in sys.modules if name.split(".")[0] == "opentelemetry"))
"""
#: The rest is the interface, which does nothing by itself: the SDK of MCP, which `/mcp` needs, brings it along.
_LIBRARIES = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto")


def imported(code: str, **settings: str) -> set[str]:
    """What a process of its own has of OpenTelemetry at its end."""
    environment = os.environ | {f"CATALOG_MIRROR_{name}": value for name, value in settings.items()}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return {line for line in done.stdout.splitlines() if line.startswith("opentelemetry")}


def test_where_traces_are_off_nothing_of_opentelemetry_is_imported(sqlite_url: str, tmp_path: Any) -> None:
    """Of a service that lived."""
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text("dag: {token: dag-0123456789abcdef, scopes: [ingest]}\n")
    settings = {
        "STORE__URL": sqlite_url,
        "HTTP__TOKENS_FILE": str(tokens),
        "HTTP__PORT": "0",
        "HTTP__API_PORT": "0",
        "HTTP__HOST": "127.0.0.1",
    }
    assert not {name for name in imported(_LIFE, **settings) if name.startswith(_LIBRARIES)}
    on = imported(_LIFE, **settings, TRACES__ENDPOINT="http://127.0.0.1:1")
    assert {"opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"} <= on  # so this would see it
