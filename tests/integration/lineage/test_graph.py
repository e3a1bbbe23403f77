"""The graph's answers, held against those of networkx on random graphs, with cycles, on both kinds of store."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from service.changes import AssetSaved, Container, LineageEdge, LineageRecorded, Origin, Rank, Version
from service.cli.drawing import Drawing
from service.mirror import writer
from service.mirror.lineage.graph import graph
from service.mirror.lineage.questions import LineageType, Question, answer, find_named, is_connected
from service.mirror.lineage.summary import Part, parts_of, summarise
from service.mirror.lineage.walk import Direction, walk
from service.text.documents import document

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror

pytestmark = pytest.mark.partitioned

Opened = Callable[..., AbstractAsyncContextManager["Mirror"]]
ASSETS = [f"a{number}" for number in range(9)]
EVERYTHING = 10_000

#: A lineage graph: what each event used, and what it generated.
Drawn = list[tuple[set[str], set[str]]]
some_assets = st.sets(st.sampled_from(ASSETS), max_size=3)
graphs = st.lists(st.tuples(some_assets, some_assets).filter(any), min_size=1, max_size=12)


def networkx_graph(drawn: Drawn) -> nx.DiGraph[str]:
    """The same graph: from what was used to the event, from the event to what it generated."""
    found: nx.DiGraph[str] = nx.DiGraph()
    found.add_nodes_from(ASSETS)
    for number, (uses, generates) in enumerate(drawn):
        found.add_node(f"e{number}")
        found.add_edges_from((asset, f"e{number}") for asset in uses)
        found.add_edges_from((f"e{number}", asset) for asset in generates)
    return found


def events_of(nodes: Any) -> set[str]:
    return {node for node in nodes if node.startswith("e")}


async def fill(mirror: Mirror, events: Events, drawn: Drawn, times: list[int] | None = None) -> None:
    await mirror.clear()
    moments = times or list(range(len(drawn)))
    messages = [
        events.lineage(f"e{number}", f"2026-05-10T15:{moments[number]:02d}:00Z", sorted(uses), sorted(generates))
        for number, (uses, generates) in enumerate(drawn)
    ]
    await mirror.pipeline().process(messages, Origin.LIVE)


async def ids(mirror: Mirror, asset_id: str, lineage_type: LineageType, **more: Any) -> list[str]:
    async with mirror.store.read() as connection:
        found = await answer(connection, Question(asset_id, lineage_type, **{"limit": EVERYTHING, **more}))
    return [event.event_id for event in found.events]


@pytest.mark.parametrize("kind", ["sqlite_url", "postgres_url"])
def test_answers_equal_those_of_networkx(
    kind: str, request: pytest.FixtureRequest, opened: Opened, events: Events
) -> None:
    runner = asyncio.Runner()
    context = opened(request.getfixturevalue(kind))
    mirror = runner.run(context.__aenter__())

    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(graphs, st.sampled_from(ASSETS))
    def holds(drawn: Drawn, asset: str) -> None:
        runner.run(compare(mirror, events, drawn, asset))

    try:
        holds()
    finally:
        runner.run(context.__aexit__(None, None, None))
        runner.close()


async def compare(mirror: Mirror, events: Events, drawn: Drawn, asset: str) -> None:
    await fill(mirror, events, drawn)
    truth = networkx_graph(drawn)
    ancestors, descendants = nx.ancestors(truth, asset), nx.descendants(truth, asset)
    making = {event for event in events_of(descendants) if truth.out_degree(event)}

    assert set(await ids(mirror, asset, LineageType.BACKWARD)) == events_of(ancestors)
    assert set(await ids(mirror, asset, LineageType.FORWARD)) == making | set(truth.predecessors(asset))
    touching = {*truth.predecessors(asset), *truth.successors(asset)}
    assert set(await ids(mirror, asset, LineageType.PARTIAL)) == touching
    hops = await ids(mirror, asset, LineageType.FORWARD_HOP, hop_count=100, event_count=100)
    assert set(hops) == making | set(truth.predecessors(asset))
    async with mirror.store.read() as connection:
        for depth in (1, 2, 10):
            near = nx.single_source_shortest_path_length(truth, asset, cutoff=2 * depth)
            reach = await walk(connection, asset, Direction.FORWARD, depth=depth)
            assert {node: hops * 2 for node, hops in reach.assets.items()} == {
                node: length for node, length in near.items() if node.startswith("a")
            }
        others = sorted({*ancestors, *descendants} - {asset})
        for other in (node for node in ASSETS[:3]):
            assert await is_connected(connection, other, asset) == (other == asset or other in others)


@pytest.fixture
async def chain(mirror: Mirror, events: Events) -> Mirror:
    """raw → (e0) → clean → (e1) → report and cube; e2 only looks at clean; e3 makes report anew from report."""
    drawn: Drawn = [
        ({"raw"}, {"clean"}), ({"clean"}, {"report", "cube"}), ({"clean"}, set()), ({"report"}, {"report"}),
    ]  # fmt: skip
    await fill(mirror, events, drawn)
    return mirror


async def test_events_come_newest_first_by_pages_after_a_moment(chain: Mirror) -> None:
    assert await ids(chain, "clean", LineageType.PARTIAL) == ["e2", "e1", "e0"]
    assert await ids(chain, "clean", LineageType.PARTIAL, limit=1, offset=1) == ["e1"]
    after = datetime(2026, 5, 10, 15, 1, tzinfo=UTC)
    assert await ids(chain, "raw", LineageType.FORWARD, after=after) == ["e3"]
    async with chain.store.read() as connection:
        assert (await answer(connection, Question("clean", limit=2))).next
        assert not (await answer(connection, Question("clean", limit=3))).next


@pytest.mark.parametrize("seed", range(6))
async def test_no_run_is_missed_by_pages_while_runs_go_on(mirror: Mirror, events: Events, seed: int) -> None:
    """Each page is read by its own; in between, runs get a newer state, which moves them before what was read."""
    dice = random.Random(seed)
    numbers = range(17)

    async def go_on(chosen: list[int], minute: int) -> None:
        told = [
            events.lineage(f"e{number}", f"2026-05-10T{minute:02d}:{number:02d}:00Z", ["x"], []) for number in chosen
        ]
        await mirror.pipeline().process(told, Origin.LIVE)

    await go_on(list(numbers), 1)
    await mirror.execute("UPDATE lineage_events SET event_time = NULL WHERE event_id IN ('e3', 'e4', 'e5')")
    seen: dict[str, datetime | None] = {}
    question = Question("x", limit=4)
    for page in range(2, 100):
        async with mirror.store.read() as connection:
            found = await answer(connection, question)
        seen |= {event.event_id: event.event_time for event in found.events}
        if found.next is None:
            break
        question = replace(question, place=found.next)
        if page < 12:
            await go_on(dice.sample(numbers, 3), page)

    rows = await mirror.all("SELECT event_id, event_time FROM lineage_events")
    assert seen.keys() == {event_id for event_id, _ in rows} == {f"e{number}" for number in numbers}
    times = {str(at)[:16].replace("T", " ") for at in seen.values()}
    assert times == {str(at)[:16].replace("T", " ") for _, at in rows}


async def test_pages_of_what_rests_show_each_event_once(mirror: Mirror, events: Events) -> None:
    told = [events.lineage(f"e{number}", f"2026-05-10T15:{number // 2:02d}:00Z", ["x"], []) for number in range(9)]
    await mirror.pipeline().process(told, Origin.LIVE)
    shown: list[list[str]] = []
    question: Question | None = Question("x", limit=3)
    while question and len(shown) < 9:
        async with mirror.store.read() as connection:
            found = await answer(connection, question)
        shown.append([event.event_id for event in found.events])
        question = replace(question, place=found.next) if found.next else None

    assert shown == [["e8", "e6", "e7"], ["e4", "e5", "e2"], ["e3", "e0", "e1"]]


async def test_an_asset_is_found_by_its_name_or_the_end_of_its_path(mirror: Mirror) -> None:
    where, version = Container("catalog", "c1"), Version(1, Rank.READ)
    hidden = AssetSaved("a4", version, document({}), where, "Totals", visibility_mode=16)
    states = [
        *(AssetSaved(asset_id, version, document({}), where, "Totals") for asset_id in ("a1", "a2")), hidden,
        AssetSaved("a3", version, document({}), where, "Orders 100%"),
    ]  # fmt: skip
    edges = (LineageEdge("s3://lake/day/orders.parquet", "uses", name="orders.parquet"), LineageEdge("a1", "generates"))
    event = LineageRecorded("e1", Version(1, Rank.EVENT), document({}), edges=edges)
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate([*states, event]))

    async with mirror.store.read() as connection:
        found = {
            text: [one.asset_id for one in await find_named(connection, text, 20)]
            for text in ("totals", "orders 100%", "orders.parquet", "parquet", "day/orders.parquet", "rders 1", "%")
        }
        few = await find_named(connection, "TOTALS", 1)

    lake = ["s3://lake/day/orders.parquet"]
    assert found == {
        "totals": ["a1", "a2"], "orders 100%": ["a3"], "orders.parquet": lake, "parquet": lake,
        "day/orders.parquet": lake, "rders 1": [], "%": [],
    }  # fmt: skip
    assert len(few) == 1


async def test_hops_are_other_assets_and_each_has_its_newest_events(chain: Mirror) -> None:
    assert await ids(chain, "raw", LineageType.FORWARD_HOP, hop_count=1) == ["e0"]
    assert await ids(chain, "clean", LineageType.FORWARD_HOP, hop_count=1) == ["e1", "e0"]
    few = await ids(chain, "raw", LineageType.FORWARD_HOP, hop_count=3, event_count=1)
    assert few == ["e1", "e0"]
    assert await ids(chain, "report", LineageType.FORWARD_HOP) == ["e3", "e1"]


async def test_the_summary_counts_both_sides_and_what_events_are_to_the_asset(chain: Mirror) -> None:
    async with chain.store.read() as connection:
        found = await summarise(connection, "clean")
        parts = await parts_of(connection, "clean", ["e0", "e1", "e2", "e3"], Part.USAGE)

    assert (found.upstream.assets, found.upstream.events, found.upstream.depth) == (1, 1, 1)
    assert (found.downstream.assets, found.downstream.events, found.downstream.depth) == (2, 2, 1)
    assert found.parts == {Part.GENERATION: 1, Part.USAGE: 1, Part.MODIFICATION: 1}
    assert [parts[event] for event in ("e0", "e1", "e2", "e3")] == ["generation", "usage", "modification", "usage"]


async def test_hidden_assets_are_walked_through_and_not_shown(chain: Mirror) -> None:
    await chain.execute("UPDATE assets SET visibility_mode = 16 WHERE asset_id = 'clean'")

    async with chain.store.read() as connection:
        found = await graph(connection, "raw", 5)
        hidden = await graph(connection, "clean", 5)

    assert found.assets == ["cube", "raw", "report"]
    assert found.known
    assert not hidden.known


async def test_a_graph_that_is_too_wide_is_cut_and_says_so(mirror: Mirror, events: Events) -> None:
    wide: Drawn = [({"a0"}, {f"b{number}"}) for number in range(40)]
    random.Random(7).shuffle(wide)
    await fill(mirror, events, wide)

    async with mirror.store.read() as connection:
        whole = await walk(connection, "a0", Direction.FORWARD)
        cut = await walk(connection, "a0", Direction.FORWARD, max_edges=30)

    assert (len(whole.events), whole.cut) == (40, False)
    assert cut.cut
    assert len(cut.events) < 40


async def test_a_drawing_shows_the_newest_branches_and_how_many_older_ones_there_are(
    mirror: Mirror, events: Events
) -> None:
    wide: Drawn = [({f"b{number}"}, {"a0"}) for number in range(50)]
    order = list(range(50))
    random.Random(7).shuffle(order)
    await fill(mirror, events, wide, order)
    newest = {f"e{number}" for number in range(50) if order[number] >= 40}

    async with mirror.store.read() as connection:
        few = await graph(connection, "a0", 3, newest=10)
        exact = await graph(connection, "a0", 3, newest=50)
        both = await graph(connection, "b7", 3, newest=10)

    assert few.events.keys() == newest
    assert (few.older, few.cut) == ({Direction.FORWARD: 0, Direction.BACKWARD: 40}, False)
    assert (len(exact.events), exact.older[Direction.BACKWARD]) == (50, 0)
    assert both.events.keys() == {"e7"}
    console = Console(file=io.StringIO(), width=100)
    console.print(Drawing(few).tree(3, [Direction.BACKWARD]))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "… and 40 older events: --newest NUMBER shows more" in shown
    assert shown.count("2026-05-10") == 10
    assert Drawing(few).data()["older"] == {"backward": 40, "forward": 0}


async def test_assets_that_only_events_of_ours_name_can_be_asked_about(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile())

    async with mirror.store.read() as connection:
        assert (await graph(connection, "p1", 2)).known
        assert not (await graph(connection, "nobody", 2)).known
    assert await ids(mirror, "p1", LineageType.BACKWARD) != []
