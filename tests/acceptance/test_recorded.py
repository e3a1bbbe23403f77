"""What real producers sent (tests/recorded): the graph that it makes, and what of it goes on to other backends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from sandbox.openlineage.backend import PocketBackend, serve
from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.process import free_port
from tests.fixtures import Rows
from tests.published import classes, problems_of

RECORDED = Path(__file__).parents[1] / "recorded"
TOKEN = "producer-0123456789abcdef"
DB = "postgres://db:5432/shop"
#: What was made of what by jobs that completed.
GRAPHS = {
    "airflow-3.3.2": {
        (f"{DB}.public.orders", f"{DB}.public.totals"),
        (f"{DB}.public.customers", f"{DB}.public.totals"),
        (f"{DB}.public.orders", f"{DB}.public.north"),
        (f"{DB}.public.orders", f"{DB}.public.south"),
        (f"{DB}.public.orders", "s3://lake/reports/orders.csv"),
        (f"{DB}.public.customers", f"{DB}.public.copies"),
    },
    "dagster-openlineage-0.2.1": set[tuple[str, str]](),
    "dbt-ol-1.54.0": {
        (f"{DB}.shop.stg_orders", f"{DB}.shop.orders_by_day"),
        (f"{DB}.shop.stg_orders", f"{DB}.shop.customers"),
        (f"{DB}.till.payments", f"{DB}.shop.customers"),
        (f"{DB}.shop.stg_orders", f"{DB}.shop.orders_history"),
    },
    "dlt-openlineage-0.1.1": {
        ("shop/orders", f"dlt.destinations.postgres://{{}}/raw.{table}") for table in ("orders", "orders__lines")
    },
    "sqlmesh-openlineage-0.1.0": {("shop/shop.shop.paid", "shop/shop.shop.totals")},
}
EDGES = """
SELECT DISTINCT u.asset_id, g.asset_id FROM v1_lineage_edges u JOIN v1_lineage_edges g ON g.event_id = u.event_id
 WHERE u.role = 'uses' AND g.role = 'generates' AND u.event_type = 'JOB_COMPLETED'
"""


@pytest.mark.parametrize("name", sorted(GRAPHS))
async def test_what_producers_sent_makes_their_graph_and_goes_on_as_the_specification_has_it(
    name: str,
    tmp_path: Path,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[[str], Rows],
) -> None:
    events = [json.loads(line) for line in (RECORDED / f"{name}.ndjson").read_text("utf-8").splitlines()]
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(yaml.safe_dump({"producer": {"token": TOKEN, "scopes": ["ingest"]}}), encoding="utf-8")
    backend, port = PocketBackend(), free_port()
    async with serve(backend) as url:
        settings = {
            "STORE__URL": sqlite_url,
            "HTTP__API_PORT": str(port),
            "HTTP__TOKENS_FILE": str(tokens),
            "TARGETS__MARQUEZ__KIND": "openlineage",
            "TARGETS__MARQUEZ__URL": url,
        }
        rows = rows_of(sqlite_url)
        async with mirror_process(**settings) as service:
            await service.wait_ready()
            answer = await post(f"http://127.0.0.1:{port}/api/v1/lineage", events)
            await rows.until("SELECT count(*) FROM deliveries", 0)
    assert answer["summary"] == {"received": len(events), "successful": len(events), "failed": 0}
    assert "warnings" not in answer
    assert set(await rows.all(EDGES)) == known(GRAPHS[name], events)
    assert len(backend.events) == len(events)
    assert [problems for event in backend.events if (problems := problems_of(event))] == []


async def post(url: str, events: list[Any]) -> Any:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        async with session.post(url, json=events) as response:
            assert response.status == 201, await response.text()
            return await response.json()


def known(graph: set[tuple[str, str]], events: list[Any]) -> set[tuple[str, str]]:
    """The graph, with the digest by which dlt names a destination."""
    spaces = {one["namespace"].rpartition("/")[2] for event in events for one in event["outputs"]}
    return {(made_of, made.format(*spaces) if "{}" in made else made) for made_of, made in graph}


def test_the_judge_knows_the_facets_and_sees_what_is_wrong() -> None:
    assert {"SchemaDatasetFacet", "ColumnLineageDatasetFacet", "SQLJobFacet", "ParentRunFacet"} <= classes().keys()
    [first, *_] = (RECORDED / "dbt-ol-1.54.0.ndjson").read_text("utf-8").splitlines()
    event = json.loads(first)
    assert problems_of(event) == []
    url = "https://openlineage.io/spec/facets/1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet"
    broken = {"_producer": "urn:x", "_schemaURL": url, "fields": [{"type": "int"}]}
    event["outputs"] = [{"namespace": "n", "name": "d", "facets": {"schema": broken}}]
    assert any("`name`" in told for told in problems_of(event))
