"""The graph of columns: told in any order it is one graph, walked as networkx walks it, and shown as people ask."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import networkx as nx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from service.changes import AssetColumn, AssetSaved, Change, ConnectionDetails, Container, Origin, Rank, Version
from service.cli.column_drawing import ColumnDrawing, impact_tables
from service.events.message import Message
from service.mirror import writer
from service.mirror.lineage import facets
from service.mirror.lineage.columns import Node, column_graph, impact, nodes_of
from service.mirror.lineage.walk import Direction
from service.mirror.retention import prune
from service.openlineage import reading
from service.settings.model import RetentionSettings
from service.text.documents import document
from tests.integration.lineage.test_distinct_events import FACET, message
from tests.integration.mirror.test_any_order import in_two_orders

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror
    from tests.integration.lineage.conftest import Client

VIEW = """
    SELECT from_asset_id, from_column, to_asset_id, to_column, kind, transformation
      FROM v1_column_edges ORDER BY 1, 2, 3, coalesce(to_column, ''), 5
"""

#: By column of the output, the columns that it was made of, each as `table.column`.
Fields = dict[str, list[str]]


def source(text: str, kind: str = "DIRECT", how: str | None = None, namespace: str = "n") -> dict[str, Any]:
    table, _, column = text.rpartition(".")
    told = {"type": kind} | ({"subtype": how} if how else {})
    return {"namespace": namespace, "name": table, "field": column, "transformations": [told]}


def run_event(number: int, output: str, fields: Fields, whole: list[str] | None = None, **more: Any) -> dict[str, Any]:
    facet = {
        **FACET,
        "fields": {name: {"inputFields": [source(text) for text in texts]} for name, texts in fields.items()},
        "dataset": [source(text, "INDIRECT", "FILTER") for text in whole or ()],
    }
    tables = {text.rpartition(".")[0] for texts in [*fields.values(), whole or []] for text in texts}
    return {
        "eventType": "COMPLETE", "eventTime": "2026-05-10T15:04:15Z", "producer": "urn:x",
        "run": {"runId": f"3f5e83fa-3480-44ff-99c5-ff94390{number:05d}"},
        "job": {"namespace": "dbt", "name": f"make.{output}"},
        "inputs": [{"namespace": "n", "name": table} for table in sorted(tables)],
        "outputs": [{"namespace": "n", "name": output, "facets": {"columnLineage": facet}}], **more,
    }  # fmt: skip


async def take(mirror: Mirror, *events: dict[str, Any]) -> None:
    await mirror.pipeline().process([message(event) for event in events], Origin.LIVE)


#: raw → clean → report, and a filter by a column of clean that decides about all of cube.
CHAIN = [
    run_event(1, "clean", {"id": ["raw.id"], "total": ["raw.price", "raw.amount"]}),
    run_event(2, "report", {"sum": ["clean.total"]}),
    run_event(3, "cube", {"id": ["clean.id"]}, whole=["clean.total"]),
    run_event(4, "last", {"copy": ["cube.id"]}),
]


async def reached(mirror: Mirror, text: str, direction: Direction = Direction.FORWARD, **more: Any) -> dict[str, int]:
    table, _, column = text.rpartition(".")
    async with mirror.store.read() as connection:
        start = await nodes_of(connection, f"n/{table}", column)
        found = await column_graph(connection, start, [direction], **more)
    return {f"{node.asset_id[2:]}.{node.key}": level for node, level in found.columns.items()}


def printed(shown: Any) -> str:
    Console(width=100, file=(written := io.StringIO())).print(shown)
    return written.getvalue()


async def test_a_column_is_followed_both_ways_to_the_end_or_so_far(mirror: Mirror) -> None:
    await take(mirror, *CHAIN)

    far = {"raw.price": 0, "clean.total": 1, "report.sum": 2, "cube.": 2, "last.copy": 3}
    assert await reached(mirror, "raw.price") == far
    assert await reached(mirror, "raw.price", depth=1) == {"raw.price": 0, "clean.total": 1}
    assert await reached(mirror, "raw.id") == {"raw.id": 0, "clean.id": 1, "cube.id": 2, "last.copy": 3}
    back = {"last.copy": 0, "cube.id": 1, "clean.id": 2, "clean.total": 2, "raw.id": 3, "raw.price": 3, "raw.amount": 3}
    assert await reached(mirror, "last.copy", Direction.BACKWARD) == back


async def test_the_view_has_a_row_for_each_edge_of_each_run(mirror: Mirror) -> None:
    await take(mirror, *CHAIN[2:], {**CHAIN[3], "run": {"runId": "3f5e83fa-3480-44ff-99c5-ff9439000009"}})

    assert await mirror.all(VIEW) == [
        ("n/clean", "id", "n/cube", "id", "direct", None),
        ("n/clean", "total", "n/cube", None, "indirect", "FILTER"),
        ("n/cube", "id", "n/last", "copy", "direct", None),
        ("n/cube", "id", "n/last", "copy", "direct", None),
    ]
    assert await mirror.one("SELECT count(*) FROM column_flows") == 3, "runs that tell the same share their edges"


async def test_the_newest_facet_of_a_run_replaces_the_one_before(mirror: Mirror) -> None:
    start = run_event(1, "t", {"a": ["s.a"]}, eventType="START", eventTime="2026-05-10T15:04:10Z")
    await take(mirror, start, run_event(1, "t", {"b": ["s.b"]}))
    assert [row[3] for row in await mirror.all(VIEW)] == ["b"]

    bare = run_event(1, "t", {}, eventTime="2026-05-10T15:04:16Z")
    del bare["outputs"][0]["facets"]
    await take(mirror, bare)
    assert [row[3] for row in await mirror.all(VIEW)] == ["b"], "an event without the facet takes back nothing"
    await take(mirror, run_event(1, "t", {}, eventTime="2026-05-10T15:04:17Z"))
    assert await mirror.all(VIEW) == []


async def test_what_a_job_is_made_to_do_is_what_its_newest_event_says(mirror: Mirror) -> None:
    def job_event(second: int, **fields: list[str]) -> dict[str, Any]:
        event = run_event(1, "t", fields, eventTime=f"2026-05-10T15:04:{second}Z")
        return {name: value for name, value in event.items() if name not in ("run", "eventType")}

    await take(mirror, job_event(11, a=["s.a"]))
    await take(mirror, job_event(10, b=["s.b"]))
    assert [row[3] for row in await mirror.all(VIEW)] == ["a"]
    await take(mirror, job_event(12))
    assert await mirror.all(VIEW) == []


async def test_what_failed_made_nothing_unless_it_is_asked_for(mirror: Mirror) -> None:
    fields: Fields = {"a": ["s.a"]}
    await take(mirror, run_event(1, "t", fields, eventType="START", eventTime="2026-05-10T15:04:10Z"))
    assert await reached(mirror, "s.a") == {"s.a": 0, "t.a": 1}
    failed = run_event(1, "t", {}, eventType="FAIL")
    failed["outputs"] = []
    await take(mirror, failed)
    assert await reached(mirror, "s.a") == {"s.a": 0}
    assert await reached(mirror, "s.a", failed=True) == {"s.a": 0, "t.a": 1}

    await take(mirror, run_event(2, "t", fields))
    assert await reached(mirror, "s.a") == {"s.a": 0, "t.a": 1}, "another run told the same and succeeded"


async def test_columns_meet_as_the_data_source_compares_them_and_are_called_as_the_catalog_does(mirror: Mirror) -> None:
    version, place = Version(1, Rank.READ), Container("catalog", "c1")
    link = ConnectionDetails("postgresql", None, "db", "5432", "shop")
    states: list[Change] = [
        AssetSaved("k", version, document({}), place, connection=link),
        AssetSaved(
            "a1", version, document({}), place, "Orders", connection_id="k", connection_path="/public/orders",
            columns=(AssetColumn("Order_Id", 1), AssetColumn("state", 2)),
        ),
    ]  # fmt: skip
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate(states))
    known = [{"namespace": "postgres://db", "name": "shop.public.orders", "asset_id": "a1", "title": "Orders"}]
    one, other = run_event(1, "t", {}), run_event(2, "u", {})
    for event, name in ((one, "ORDER_ID"), (other, "order_id")):
        facet = event["outputs"][0]["facets"]["columnLineage"]
        facet["fields"] = {"id": {"inputFields": [source(f"shop.public.orders.{name}", namespace="postgres://db")]}}
        body = json.dumps(reading.envelope(event, known)).encode()
        await mirror.pipeline().process([Message("api.airflow.openlineage.POST", body)], Origin.LIVE)

    assert {row[:2] for row in await mirror.all(VIEW)} == {("a1", "Order_Id")}
    async with mirror.store.read() as connection:
        for asked in ("Order_Id", "ORDER_ID", "order_id"):
            (node,) = await nodes_of(connection, "a1", asked)
            found = await column_graph(connection, [node], [Direction.FORWARD])
            assert {target.asset_id for _, target, *_ in found.links} == {"n/t", "n/u"}
            assert found.labels[node] == "Order_Id"
        assert await nodes_of(connection, "a1", "STATE") == [Node("a1", "state")], "known, and nothing is made of it"
        assert await nodes_of(connection, "a1", "nothing") == []


async def test_an_event_finds_the_assets_that_only_its_columns_name(mirror: Mirror, api: Client) -> None:
    version = Version(1, Rank.READ)
    link = ConnectionDetails("postgresql", None, "db", "5432", "shop")
    states: list[Change] = [
        AssetSaved("k", version, document({}), connection=link),
        AssetSaved("a1", version, document({}), name="Orders", connection_id="k", connection_path="/public/orders"),
    ]
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate(states))
    event = run_event(1, "t", {"id": ["x.y"]}, inputs=[])
    field = source("shop.public.orders.id", namespace="postgres://db:5432")
    event["outputs"][0]["facets"]["columnLineage"]["fields"] = {"id": {"inputFields": [field]}}

    assert (await api.post("/api/v1/lineage", event, "airflow"))[0] == 201
    assert [row[0] for row in await mirror.all(VIEW)] == ["a1"]


async def test_columns_are_followed_over_all_names_of_a_data_set_whenever_they_are_joined(mirror: Mirror) -> None:
    link = {**FACET, "identifiers": [{"namespace": "n", "name": "also", "type": "TABLE"}]}
    joined = run_event(3, "x", {}, inputs=[{"namespace": "n", "name": "clean", "facets": {"symlinks": link}}])
    await take(mirror, run_event(1, "clean", {"id": ["raw.id"]}), run_event(2, "report", {"n": ["also.id"]}))
    assert await reached(mirror, "raw.id") == {"raw.id": 0, "clean.id": 1}
    await take(mirror, joined)

    far = {"raw.id": 0, "also.id": 1, "report.n": 2}
    assert await reached(mirror, "raw.id") == far
    assert await reached(mirror, "report.n", Direction.BACKWARD) == {"report.n": 0, "also.id": 1, "raw.id": 2}
    for name in ("clean", "also"):
        assert await reached(mirror, f"{name}.ID") == {"also.id": 0, "report.n": 1}
    async with mirror.store.read() as connection:
        found = await impact(connection, await nodes_of(connection, "n/raw", "id"))
    assert found.jobs == ["dbt/make.clean", "dbt/make.report"]
    assert found.unsure == {}, "the one that joins them tells of columns, if of none"


async def test_private_assets_are_walked_through_and_never_shown(mirror: Mirror) -> None:
    await take(mirror, *CHAIN)
    await mirror.execute("UPDATE assets SET visibility_mode = 8 WHERE asset_id = 'n/clean'")

    assert await reached(mirror, "raw.price") == {"raw.price": 0, "report.sum": 2, "cube.": 2, "last.copy": 3}
    assert not [row for row in await mirror.all(VIEW) if "n/clean" in row]
    async with mirror.store.read() as connection:
        found = await column_graph(connection, [Node("n/raw", "price")], [Direction.FORWARD])
    assert "clean" not in json.dumps(found.data())


async def test_a_wide_graph_is_cut_and_says_so(mirror: Mirror) -> None:
    await take(mirror, run_event(1, "t", {f"c{number}": ["s.a"] for number in range(20)}))
    async with mirror.store.read() as connection:
        start = [Node("n/s", "a")]
        assert (await column_graph(connection, start, [Direction.FORWARD], max_edges=19)).cut
        assert not (await column_graph(connection, start, [*Direction], max_edges=20)).cut


async def test_what_breaks_are_columns_jobs_and_maybe_those_that_do_not_say(mirror: Mirror) -> None:
    silent = run_event(5, "export", {})
    silent["inputs"] = [{"namespace": "n", "name": "report"}]
    del silent["outputs"][0]["facets"]
    await take(mirror, *CHAIN, silent)
    async with mirror.store.read() as connection:
        found = await impact(connection, await nodes_of(connection, "n/raw", "price"))

    assert found.graph.assets == ["n/clean", "n/cube", "n/last", "n/raw", "n/report"]
    assert found.jobs == ["dbt/make.clean", "dbt/make.cube", "dbt/make.last", "dbt/make.report"]
    assert found.unsure == {"n/report": ["dbt/make.export"]}
    shown = printed(impact_tables(found))
    assert "dbt/make.export" in shown
    assert "does not say which columns" in shown


async def test_jobs_that_read_a_private_name_of_an_asset_are_not_told(mirror: Mirror) -> None:
    """Two assets that somebody links: the one stands for both, and the other one stays unseen."""
    link = {**FACET, "identifiers": [{"namespace": "catalog://catalog/c1", "name": "z9", "type": "TABLE"}]}
    reads = run_event(5, "export", {}, inputs=[{"namespace": "catalog://catalog/c1", "name": "z9"}])
    joins = run_event(
        6, "x", {}, inputs=[{"namespace": "catalog://catalog/c1", "name": "a1", "facets": {"symlinks": link}}]
    )
    del reads["outputs"][0]["facets"]
    field = source("a1.id", namespace="catalog://catalog/c1")
    made = run_event(1, "clean", {})
    made["outputs"][0]["facets"]["columnLineage"]["fields"] = {"id": {"inputFields": [field]}}
    await take(mirror, made, reads, joins)
    async with mirror.store.read() as connection:
        nodes = await nodes_of(connection, "a1", "id")
        assert (await impact(connection, nodes)).unsure == {"z9": ["dbt/make.export"]}
    await mirror.execute("UPDATE assets SET visibility_mode = 8 WHERE asset_id = 'z9'")
    async with mirror.store.read() as connection:
        assert (await impact(connection, nodes)).unsure == {}


async def test_edges_go_with_the_last_event_that_tells_them(mirror: Mirror) -> None:
    await take(
        mirror,
        run_event(1, "t", {"a": ["s.a"]}),
        run_event(2, "t", {"a": ["s.a"]}, eventTime=datetime.now(UTC).isoformat()),
    )
    await prune(mirror.store, RetentionSettings(lineage_s=86_400.0))
    assert await mirror.one("SELECT count(*) FROM column_flows") == 1
    await mirror.execute("UPDATE lineage_events SET event_time = '2026-05-10T15:04:15.000000Z'")
    gone = await prune(mirror.store, RetentionSettings(lineage_s=86_400.0))

    assert gone["column_flows"] == 1
    for table in ("column_flows", "column_facets", "run_facts"):
        assert await mirror.one(f"SELECT count(*) FROM {table}") == 0


async def test_edges_that_are_told_again_while_they_are_removed_stay(
    postgres_url: str, opened: Callable[..., Any]
) -> None:
    """Whoever tells them waits for the removal, or the removal for him; without the lock the edges would be gone."""
    async with opened(postgres_url) as mirror:
        await take(mirror, run_event(1, "t", {"a": ["s.a"]}))
        await mirror.execute("DELETE FROM column_facets")
        async with mirror.store.write() as writing:
            told = reading.recorded(reading.envelope(run_event(2, "t", {"a": ["s.a"]}), []), "x")
            await facets.write(writing, [told])
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                removing = group.create_task(remove(mirror))
                await asyncio.sleep(0.3)
                assert not removing.done()
                await writing.commit()
        assert removing.result() == 0
        assert await mirror.one("SELECT count(*) FROM v1_column_edges") == 1


async def remove(mirror: Mirror) -> int:
    async with mirror.store.write() as connection:
        return await facets.remove_unused(connection)


# As people ask.


async def test_over_http_the_events_come_with_the_links(mirror: Mirror, api: Client) -> None:
    await take(mirror, *CHAIN)

    status, found = await api.get("/v2/asset_lineages/n%2Fclean", "reader", column="TOTAL")
    assert status == 200
    assert {one["metadata"]["id"][-1] for one in found["resources"]} == {"1", "2", "3"}
    links = {(one["from"]["column"], one["to"]["column"], one["kind"]) for one in found["column_lineage"]["links"]}
    assert links == {
        ("price", "total", "direct"), ("amount", "total", "direct"), ("total", "sum", "direct"),
        ("total", None, "indirect"),
    }  # fmt: skip
    _, far = await api.get("/v2/asset_lineages/n%2Fraw", "reader", column="price", lineage_type="forward", limit=2)
    assert (len(far["resources"]), "next" in far, len(far["column_lineage"]["columns"])) == (2, True, 5)
    _, broken = await api.get("/v2/asset_lineages/n%2Fraw/impact", "reader", column="price")
    assert (len(broken["jobs"]), len(broken["assets"]), broken["jobs_without_columns"]) == (4, 5, [])

    refusals: list[tuple[str, dict[str, Any], int]] = [
        ("", {"column": "nothing"}, 404), ("/impact", {"column": "nothing"}, 404), ("/impact", {}, 400),
        ("", {"column": "total", "lineage_type": "forward_hop"}, 400),
    ]  # fmt: skip
    for path, query, code in refusals:
        status, refused = await api.get(f"/v2/asset_lineages/n%2Fclean{path}", "reader", **query)
        assert (status, bool(refused["errors"][0]["message"])) == (code, True)


async def test_drawings_show_assets_with_their_columns(mirror: Mirror) -> None:
    odd = run_event(9, 're"port', {'a"<b>': ["clean.total"]})
    await take(mirror, *CHAIN[:3], odd)
    async with mirror.store.read() as connection:
        found = await column_graph(connection, [Node("n/clean", "total")], [*Direction])
    drawing = ColumnDrawing(found)
    tree = printed(drawing.tree(4, [Direction.BACKWARD, Direction.FORWARD]))

    assert "made of" in tree
    assert "n/raw.price" in tree
    assert "n/cube (all of it)  (decides FILTER)" in tree
    mermaid = drawing.mermaid()
    assert mermaid.count("subgraph ") == mermaid.count("\n  end\n") == 5
    assert '-.->|"decides FILTER"|' in mermaid
    assert "a#quot;#lt;b#gt;" in mermaid
    dot = drawing.dot()
    assert (dot.count("subgraph cluster_"), "style=dashed" in dot) == (5, True)


async def test_the_command_takes_a_column_after_a_dot_or_by_its_option(
    sqlite_url: str, opened: Callable[..., Any], run_command: Callable[..., Awaitable[str]]
) -> None:
    async with opened(sqlite_url) as mirror:
        await take(mirror, *CHAIN, run_event(7, "a.b", {"x.y": ["raw.id"]}))
    for words in (["n/clean.total"], ["n/clean", "--column", "total"], ["clean.TOTAL"]):
        graph = json.loads(await run_command("lineage", *words, "--json", STORE__URL=sqlite_url))
        assert len(graph["links"]) == 5, words
    dotted = json.loads(await run_command("lineage", "n/a.b.x.y", "--json", STORE__URL=sqlite_url))
    assert [link["from"]["column"] for link in dotted["links"]] == ["id"]
    assert "n/report.sum" in await run_command("lineage", "n/raw.price", STORE__URL=sqlite_url)
    assert "makes one of them" in await run_command("lineage", "n/raw.price", "--impact", STORE__URL=sqlite_url)
    told = await run_command("lineage", "n/clean", "--column", "nothing", expect=1, STORE__URL=sqlite_url)
    assert "Its columns are id, total." in told
    assert "ASSET.COLUMN" in await run_command("lineage", "n/clean", "--impact", expect=2, STORE__URL=sqlite_url)
    assert "Nothing is known" in await run_command("lineage", "who.what", expect=1, STORE__URL=sqlite_url)


# Any order, and the truth.

TABLES = ["t1", "t2", "t3"]
texts = st.builds(lambda table, column: f"{table}.{column}", st.sampled_from(TABLES), st.sampled_from("ab"))


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    fields = draw(st.dictionaries(st.sampled_from("ab"), st.lists(texts, max_size=3), max_size=2))
    number, output = draw(st.integers(1, 4)), draw(st.sampled_from(TABLES))
    state = draw(st.sampled_from(["START", "COMPLETE", "COMPLETE", "FAIL"]))
    event = run_event(
        number, output, fields, draw(st.lists(texts, max_size=1)), eventType=state,
        eventTime=f"2026-05-10T15:04:1{draw(st.integers(0, 2))}Z",
    )  # fmt: skip
    if draw(st.integers(0, 4)) == 0:
        del event["outputs"][0]["facets"]
    return event


def without_run(event: dict[str, Any]) -> dict[str, Any]:
    """What a job is made to do, be it run or not."""
    return {name: value for name, value in event.items() if name not in ("run", "eventType")}


@st.composite
def ways(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[list[Message]], list[list[Message]]]:
    drawn = draw(st.lists(events(), min_size=2, max_size=10))
    history = [message(event) for event in drawn]
    history += [message(without_run(event)) for event in drawn if draw(st.integers(0, 3)) == 0]
    if len(history) > len(drawn):
        drawn = []  # the truth knows runs alone
    return drawn, *draw(in_two_orders(history))


async def mirrored(mirror: Mirror, way: list[list[Message]]) -> list[Any]:
    await mirror.clear()
    pipeline = mirror.pipeline()
    for batch in way:
        await pipeline.process(batch, Origin.LIVE)
    told = await mirror.all("SELECT facet_id, version, event_id, flow_id FROM column_facets ORDER BY 1")
    runs = await mirror.all("SELECT event_id, fact, version, job_name FROM run_facts ORDER BY 1, 2")
    return [told, runs, await mirror.all(VIEW)]


def truth_of(drawn: list[dict[str, Any]]) -> nx.DiGraph[tuple[str, str]]:
    """The graph of runs that did not fail, by their newest facets; nothing of the product's code."""
    newest: dict[tuple[str, str], tuple[Any, dict[str, Any]]] = {}
    ends: dict[str, Any] = {}
    for event in drawn:
        run = event["run"]["runId"]
        stage = {"START": 0, "COMPLETE": 1, "FAIL": 1}[event["eventType"]]
        ends.setdefault(run, []).append((stage, event["eventTime"], event))
        facet = event["outputs"][0].get("facets", {}).get("columnLineage")
        if facet is not None:
            key = run, event["outputs"][0]["name"]
            newest.setdefault(key, (event["eventTime"], facet))
            newest[key] = max(newest[key], (event["eventTime"], facet), key=lambda one: one[0])
    graph: nx.DiGraph[tuple[str, str]] = nx.DiGraph()
    graph.add_nodes_from((table, column) for table in TABLES for column in "ab")
    for (run, output), (_, facet) in newest.items():
        last = max(one[:2] for one in ends[run])
        if any(one[2]["eventType"] == "FAIL" for one in ends[run] if one[:2] == last):
            continue
        for column, field in facet["fields"].items():
            graph.add_edges_from(((one["name"], one["field"]), (output, column)) for one in field["inputFields"])
        for one in facet["dataset"]:
            graph.add_edges_from(((one["name"], one["field"]), (output, column)) for column in "ab")
    return graph


def is_clear(drawn: list[dict[str, Any]]) -> bool:
    """No two events of a run at one moment: which of them counts is by rules that the truth does not know."""
    moments = [(event["run"]["runId"], event["eventTime"]) for event in drawn]
    return len(set(moments)) == len(moments)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(way=ways())
async def test_columns_are_the_same_in_any_order_on_either_store_and_true(
    both: list[Mirror], way: tuple[list[dict[str, Any]], list[list[Message]], list[list[Message]]]
) -> None:
    drawn, *orders = way
    first = await mirrored(both[0], orders[0])
    for mirror in both:
        for one in orders:
            assert await mirrored(mirror, one) == first
        if drawn and is_clear(drawn):
            await compare(mirror, truth_of(drawn))


async def compare(mirror: Mirror, truth: nx.DiGraph[tuple[str, str]]) -> None:
    async with mirror.store.read() as connection:
        for node in truth:
            start = [Node(f"n/{node[0]}", node[1])]
            for direction, expected in ((Direction.FORWARD, nx.descendants), (Direction.BACKWARD, nx.ancestors)):
                found = await column_graph(connection, start, [direction])
                columns = {(one.asset_id[2:], one.key) for one in found.columns if one.key} - {node}
                whole = {(one.asset_id[2:], column) for one in found.columns if not one.key for column in "ab"}
                assert columns | (whole - {node}) == set(expected(truth, node)) - {node}
