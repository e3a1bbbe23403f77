"""Receivers of lineage: what we send on, read back by DataHub's own parser and Marquez's own client."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.openlineage.backend import PocketBackend, serve
from tests.neighbours.conftest import Started
from tests.neighbours.environments import Environment
from tests.neighbours.whole import TOKENS

READ = Path(__file__).parent / "projects" / "receivers" / "read.py"
RECORDED = Path(__file__).parents[1] / "recorded"


async def read_back(started: Started, receivers: Environment, place: Path, *names: str) -> Any:
    """What the receivers understood of what a mirror sends on when these producers tell it something."""
    backend = PocketBackend()
    lines = [line for name in names for line in (RECORDED / f"{name}.ndjson").read_text("utf-8").splitlines()]
    async with serve(backend) as url:
        target = {"TARGETS__BACKEND__KIND": "openlineage", "TARGETS__BACKEND__URL": url}
        async with (
            started(**target) as mirror,
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKENS['ingest']}"}) as session,
        ):
            async with session.post(f"{mirror.url}/api/v1/lineage", data=f"[{','.join(lines)}]") as answer:
                assert answer.status == 201, await answer.text()
            await mirror.rows.until("SELECT count(*) FROM deliveries", 0)
    sent = place / "sent.ndjson"
    sent.write_text("".join(f"{json.dumps(event)}\n" for event in backend.events), encoding="utf-8")
    assert len(backend.events) == len(lines)
    return json.loads(await receivers.run("python", READ, sent, cwd=place))


@pytest.mark.neighbour("DataHub", "its OpenLineage parser reads what we send on of dbt and Airflow")
async def test_datahub_reads_tables_and_columns(
    started: Started, tmp_path: Path, installed: Callable[[str], Environment], tried: Callable[[str], None]
) -> None:
    receivers = installed("receivers")
    tried(receivers.version("acryl-datahub"))
    told = (await read_back(started, receivers, tmp_path, "dbt-ol-1.54.0", "airflow-3.3.2"))["datahub"]
    made_of = {aspect["of"]: {one["dataset"] for one in aspect["upstreams"]} for aspect in told}
    assert made_of["postgres:shop.shop.customers"] == {table("shop.shop.stg_orders"), table("shop.till.payments")}
    assert made_of["postgres:shop.public.north"] == {table("shop.public.orders")}
    customers, *_ = [aspect for aspect in told if aspect["of"] == "postgres:shop.shop.customers"]
    columns = {
        column: set(one["upstreams"]) for one in customers["fineGrainedLineages"] for column in one["downstreams"]
    }
    paid = field(table("shop.shop.customers"), "paid")
    assert columns[paid] == {field(table("shop.till.payments"), "paid")}


def table(name: str) -> str:
    return f"urn:li:dataset:(urn:li:dataPlatform:postgres,{name},PROD)"


def field(dataset: str, name: str) -> str:
    return f"urn:li:schemaField:({dataset},{name})"


@pytest.mark.neighbour("marquez-python", "its ids and rules take the names that we send on")
async def test_marquez_takes_every_name(
    started: Started, tmp_path: Path, installed: Callable[[str], Environment], tried: Callable[[str], None]
) -> None:
    receivers = installed("receivers")
    tried(receivers.version("marquez-python"))
    told = (await read_back(started, receivers, tmp_path, "dbt-ol-1.54.0", "dlt-openlineage-0.1.1"))["marquez"]
    assert ["postgres://db:5432", "shop.shop.customers"] in told
    assert ["shop", "shop.shop.shop.customers.build.run"] in told
