"""Lineage between a catalog, an OpenLineage producer and two mirrors that face each other: told once, then rest."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport

from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.process import free_port

RUN = "3f5e83fa-3480-44ff-99c5-ff943904e5e8"
TOKENS = {"airflow": "airflow-0123456789abcdef", "peer": "peer-0123456789abcdef", "people": "people-0123456789abc"}
SCOPES = {"airflow": ["ingest"], "peer": ["ingest"], "people": ["read"]}
BY_CATALOG = {
    "message_version": "v1",
    "event_details": {
        "event_id": "by-catalog",
        "event_time": "2026-05-10T15:04:15Z",
        "event_type": "DATASET_PUBLISHED",
    },
    "uses_assets": [{"id": "a1"}],
    "generates_assets": [{"id": "a2"}],
}


def emit(url: str) -> None:
    """A run as Airflow tells it, with the client that it uses."""
    config = HttpConfig(url, auth=ApiKeyTokenProvider({"api_key": TOKENS["airflow"]}))
    client = OpenLineageClient(transport=HttpTransport(config))
    common: dict[str, Any] = {"run": Run(RUN), "job": Job("airflow", "orders.load")}
    inputs, outputs = [InputDataset("s3://lake", "raw")], [OutputDataset("s3://lake", "clean")]
    client.emit(RunEvent(eventTime="2026-05-10T15:04:15Z", eventType=RunState.START, inputs=inputs, **common))
    client.emit(RunEvent(eventTime="2026-05-10T15:05:15Z", eventType=RunState.COMPLETE, outputs=outputs, **common))
    client.close()


async def sent(*services: MirrorProcess) -> list[float]:
    """How many deliveries each has made so far."""
    texts = [(await service.get("/metrics"))[1] for service in services]
    return [
        sum(float(number) for number in re.findall(r"^catalog_mirror_deliveries_total\{.*?\} (\S+)$", text, re.M))
        for text in texts
    ]


async def test_two_running_mirrors_tell_each_thing_once_and_come_to_rest(
    catalog: Any,
    amqp_url: str,
    tmp_path: Path,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    profile_event: Callable[..., tuple[str, bytes]],
) -> None:
    tokens = tmp_path / "tokens.yaml"
    content = {name: {"token": token, "scopes": SCOPES[name]} for name, token in TOKENS.items()}
    tokens.write_text(yaml.safe_dump(content), encoding="utf-8")
    ports = {"one": free_port(), "two": free_port()}
    urls = {name: f"sqlite:///{tmp_path / f'{name}.db'}" for name in ports}

    def settings(name: str, other: str, **more: str) -> dict[str, str]:
        return {
            "STORE__URL": urls[name],
            "HTTP__API_PORT": str(ports[name]),
            "HTTP__TOKENS_FILE": str(tokens),
            "TARGETS__PEER__KIND": "openlineage",
            "TARGETS__PEER__URL": f"http://127.0.0.1:{ports[other]}",
            "TARGETS__PEER__TOKEN": TOKENS["peer"],
            **more,
        }

    first = mirror_process(**settings("one", "two", AMQP__URL=amqp_url))
    second = mirror_process(**settings("two", "one", TARGETS__CATALOG_LINEAGE__VIA="off"))
    one, two = rows_of(urls["one"]), rows_of(urls["two"])
    async with first, second:
        await asyncio.gather(first.wait_ready(), second.wait_ready())
        await catalog.publish(
            [("v2.lineage_events.by-catalog.POST", json.dumps(BY_CATALOG).encode()), profile_event(1)]
        )
        await asyncio.to_thread(emit, f"http://127.0.0.1:{ports['one']}")
        await two.until("SELECT count(*) FROM openlineage_events", 2)
        await two.until("SELECT count(*) FROM lineage_events WHERE event_id = 'by-catalog'", 1)
        for rows in (one, two):
            await rows.until("SELECT count(*) FROM deliveries", 0)
        settled = await sent(first, second)
        await asyncio.sleep(1.5)
        assert await sent(first, second) == settled
        # Three to the peer as it is, and our answer; the answer and the run to the catalog; nothing from two to one.
        assert settled == [6, 0]
        headers = {"Authorization": f"Bearer {TOKENS['people']}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            path = f"http://127.0.0.1:{ports['two']}/v2/asset_lineages/a2"
            async with session.get(path, params={"lineage_type": "backward"}) as answer:
                assert [one["metadata"]["id"] for one in (await answer.json())["resources"]] == ["by-catalog"]

    own = await one.one("SELECT event_id FROM lineage_events WHERE own")
    assert sorted(await catalog.came_back()) == sorted([own, RUN])
    assert await two.all("SELECT event_id FROM lineage_events ORDER BY 1") == [(RUN,), ("by-catalog",)]
    assert await one.one("SELECT count(*) FROM dead_letters") == await two.one("SELECT count(*) FROM dead_letters") == 0
