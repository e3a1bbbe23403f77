"""Producers of lineage with the client that they use, openlineage-python: what it does with what we answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import data_quality_metrics_input_dataset as quality_metrics
from openlineage.client.facet_v2 import schema_dataset
from openlineage.client.uuid import generate_new_uuid
from requests.exceptions import HTTPError, RetryError

from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.process import free_port
from sandbox.parts.proxy import TcpProxy
from tests.fixtures import Rows

TOKEN = "producer-0123456789abcdef"
IN, OUT = "postgres://db:5432/shop.public.orders", "postgres://db:5432/shop.public.totals"
COUNT = "SELECT count(*) FROM openlineage_events"


class Running:
    """A mirror that lives on what is posted, its database behind a wire that can be cut."""

    def __init__(self, url: str, rows: Rows, wire: TcpProxy, service: MirrorProcess) -> None:
        self.url, self.rows, self.wire, self.service = url, rows, wire, service
        self.http = {"type": "http", "url": url, "auth": {"type": "api_key", "apiKey": TOKEN}}

    async def emit(self, *events: RunEvent, transport: dict[str, Any] | None = None) -> list[Any]:
        """Emit these, one after the other, by a client with this transport; answers what the transport answered."""
        return await asyncio.to_thread(self._emit, events, transport or self.http)

    @staticmethod
    def _emit(events: tuple[RunEvent, ...], transport: dict[str, Any]) -> list[Any]:
        client = OpenLineageClient(config={"transport": transport})
        try:
            return [client.transport.emit(event) for event in events]
        finally:
            client.close(timeout=30)


@pytest.fixture
async def running(
    tmp_path: Path,
    postgres_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[[str], Rows],
) -> AsyncIterator[Running]:
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(yaml.safe_dump({"producer": {"token": TOKEN, "scopes": ["ingest"]}}), encoding="utf-8")
    async with TcpProxy.before(postgres_url) as wire:
        port = free_port()
        settings = {
            "STORE__URL": wire.through(postgres_url),
            "HTTP__API_PORT": str(port),
            "HTTP__TOKENS_FILE": str(tokens),
        }
        async with mirror_process(**settings) as service:
            await service.wait_ready()
            yield Running(f"http://127.0.0.1:{port}", rows_of(postgres_url), wire, service)


def run_of(job: str, *names: str) -> tuple[RunEvent, RunEvent]:
    """START with what was read, COMPLETE with what was made."""
    run, told = Run(str(generate_new_uuid())), Job("shop", job)
    fields = [schema_dataset.SchemaDatasetFacetFields(name="total", type="numeric")]
    read, made = names or ("shop.public.orders", "shop.public.totals")
    inputs = [InputDataset("postgres://db:5432", read)]
    outputs = [OutputDataset("postgres://db:5432", made, facets={"schema": schema_dataset.SchemaDatasetFacet(fields)})]
    return (
        RunEvent(eventTime="2026-05-10T10:00:00Z", run=run, job=told, eventType=RunState.START, inputs=inputs),
        RunEvent(eventTime="2026-05-10T10:01:00Z", run=run, job=told, eventType=RunState.COMPLETE, outputs=outputs),
    )


def asynchronous(http: dict[str, Any], _: Path) -> dict[str, Any]:
    return {**http, "type": "async_http"}


def compressed(http: dict[str, Any], _: Path) -> dict[str, Any]:
    return {**http, "compression": "gzip"}


def composite(http: dict[str, Any], place: Path) -> dict[str, Any]:
    copy = {"type": "file", "log_file_path": str(place / "copy.ndjson"), "append": True}
    return {"type": "composite", "transports": {"mirror": compressed(http, place), "copy": copy}}


def transformed(http: dict[str, Any], _: Path) -> dict[str, Any]:
    made = "openlineage.client.transport.transform.transformers.job_namespace_replace_transformer"
    return {
        "type": "transform",
        "transport": http,
        "transformer_class": f"{made}.JobNamespaceReplaceTransformer",
        "transformer_properties": {"new_job_namespace": "renamed"},
    }


@pytest.mark.parametrize("transport", [None, asynchronous, compressed, composite, transformed])
async def test_every_transport_of_the_client_tells_the_same_graph(
    running: Running, tmp_path: Path, transport: Callable[[dict[str, Any], Path], dict[str, Any]] | None
) -> None:
    chosen = transport(running.http, tmp_path) if transport else None
    await running.emit(*run_of("totals"), transport=chosen)
    await running.rows.until(COUNT, 2)
    edges = await running.rows.all("SELECT role, asset_id, event_type FROM v1_lineage_edges ORDER BY role DESC")
    assert edges == [("uses", IN, "JOB_COMPLETED"), ("generates", OUT, "JOB_COMPLETED")]
    namespace = "renamed" if transport is transformed else "shop"
    assert await running.rows.one("SELECT source_service FROM v1_lineage_events") == f"{namespace}/totals"


async def test_what_was_left_out_is_told_and_the_client_is_content(running: Running) -> None:
    start, complete = run_of("totals")
    broken = {"schema": {"fields": "none"}}
    odd = RunEvent(
        eventTime=complete.eventTime,
        run=complete.run,
        job=complete.job,
        eventType=RunState.COMPLETE,
        outputs=[OutputDataset("postgres://db:5432", "shop.public.totals", facets=broken)],  # type: ignore[arg-type]
    )
    whole, mended = await running.emit(start, odd)
    assert (whole.status_code, "warnings" in whole.json()) == (201, False)
    assert mended.status_code == 201
    [warned] = mended.json()["warnings"]
    assert warned["index"] == 0
    assert warned["told"] == ["outputs.0.facets.schema: it cannot be used and was left out"]
    assert await running.rows.one("SELECT count(*) FROM v1_lineage_edges") == 2


async def test_what_the_client_cannot_write_costs_that_value_and_not_the_event(running: Running) -> None:
    """A sum as databases answer it, and the mean of no rows: findings/openlineage-python-sends-a-placeholder….sh."""
    start, complete = run_of("totals")
    odd = quality_metrics.ColumnMetrics(sum=Decimal("35.50"), min=float("nan"), max=2.5)  # type: ignore[arg-type]
    facet = quality_metrics.DataQualityMetricsInputDatasetFacet(columnMetrics={"total": odd})
    assert start.inputs
    start.inputs[0].inputFacets = {"dataQualityMetrics": facet}
    told, _ = await running.emit(start, complete)
    assert told.status_code == 201
    [warned] = told.json()["warnings"]
    assert (warned["index"], warned["told"][0][-3:]) == (0, ": 2")
    assert await running.rows.one(COUNT) == 2
    kept = "SELECT document FROM openlineage_events WHERE document LIKE '%dataQualityMetrics%'"
    (document,) = [json.loads(one) for (one,) in await running.rows.all(kept)]
    columns = document["inputs"][0]["inputFacets"]["dataQualityMetrics"]["columnMetrics"]
    assert {name: value for name, value in columns["total"].items() if name in ("sum", "min", "max")} == {"max": 2.5}


async def test_what_nobody_can_use_is_refused_once_and_says_why(running: Running) -> None:
    start, _ = run_of("totals")
    start.eventTime = "2026-05-10T10:00:00"  # nobody knows when that was
    began = time.monotonic()
    with pytest.raises(HTTPError) as refused:
        await running.emit(start)
    assert refused.value.response is not None
    assert refused.value.response.status_code == 400
    assert "eventTime" in refused.value.response.json()["errors"][0]["message"]
    assert time.monotonic() - began < 2  # it was not tried again


async def test_a_store_that_is_away_for_a_moment_costs_a_producer_seconds_and_no_event(running: Running) -> None:
    running.wire.refuse()
    running.wire.cut()
    began = time.monotonic()
    sending = asyncio.create_task(running.emit(*run_of("totals")))
    while "api_waits_for_store" not in running.service.log_text():
        assert not sending.done()
        await asyncio.sleep(0.05)
    running.wire.refuse(False)
    answers = await sending
    assert [answer.status_code for answer in answers] == [201, 201]
    assert time.monotonic() - began < 8
    assert await running.rows.one(COUNT) == 2


async def test_a_store_that_does_not_answer_keeps_a_producer_for_less_than_its_client_would(running: Running) -> None:
    """Without an answer of ours the client waits for 5 seconds, six times, with pauses between them."""
    running.wire.stall()
    began = time.monotonic()
    with pytest.raises(RetryError):
        await running.emit(run_of("totals")[0])
    assert time.monotonic() - began < 20
    assert running.service.log_text().count("api_puts_off") == 6
    running.wire.resume()
    answers = await running.emit(*run_of("totals"))
    assert [answer.status_code for answer in answers] == [201, 201]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_bytes_that_are_not_compressed_as_they_say_are_refused(running: Running, encoding: str) -> None:
    told = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Content-Encoding": encoding}
    async with aiohttp.ClientSession(headers=told) as session:
        async with session.post(f"{running.url}/api/v1/lineage", data=b"nothing of the kind") as answer:
            assert answer.status == 400
            assert encoding in await answer.text()
    assert "api_failed" not in running.service.log_text()


async def test_a_producer_that_dies_while_it_posts_is_no_bug_of_ours(running: Running) -> None:
    host, _, port = running.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/v1/lineage HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n\r\n"
    writer.write(head.encode() + b"{")
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()
    await running.emit(*run_of("totals"))
    assert "api_failed" not in running.service.log_text()
