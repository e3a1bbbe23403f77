"""A lineage graph as tree, Mermaid, DOT and data."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest
from rich.console import Console

from service.changes import LineageEdge
from service.cli.drawing import Drawing
from service.mirror.lineage.graph import EventNode, Graph
from service.mirror.lineage.walk import Direction

ODD = 'Orders "new" [2026] <b>'


@pytest.fixture
def graph() -> Graph:
    """raw → e1 → clean → e2 → clean (a cycle)."""
    at = datetime(2026, 5, 10, 15, 4, tzinfo=UTC)
    return Graph(
        "clean", known=True,
        events={"e1": EventNode("e1", "COPIED", at, "svc", False), "e2": EventNode("e2", None, None, None, True)},
        edges={
            "e1": [LineageEdge("raw", "uses"), LineageEdge("clean", "generates")],
            "e2": [LineageEdge("clean", "uses"), LineageEdge("clean", "generates")],
        },
        names={"raw": ODD},
    )  # fmt: skip


def printed(drawing: Drawing, *directions: Direction) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(drawing.tree(5, directions))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_tree_shows_names_and_ids_and_ends_at_cycles(graph: Graph) -> None:
    shown = printed(Drawing(graph), Direction.BACKWARD, Direction.FORWARD)

    assert f"{ODD} [raw]" in shown
    assert "COPIED 2026-05-10 15:04:00" in shown
    assert "(ours)" in shown
    assert shown.count("event no time") == 2
    assert "made into" not in printed(Drawing(graph), Direction.BACKWARD)
    assert "[raw]" not in printed(Drawing(graph, names=True), Direction.BACKWARD)


def test_mermaid_and_dot_have_a_node_for_each_asset_and_event_and_an_arrow_for_each_edge(graph: Graph) -> None:
    mermaid, dot = Drawing(graph).mermaid(), Drawing(graph, names=True).dot()

    assert mermaid.startswith("flowchart LR\n")
    assert re.findall(r"^  (\w+)[\[(]", mermaid, re.M) == ["a0", "a1", "e0", "e1"]
    assert sorted(re.findall(r"^  (\w+) --> (\w+)$", mermaid, re.M)) == [
        ("a0", "e1"), ("a1", "e0"), ("e0", "a0"), ("e1", "a0"),
    ]  # fmt: skip
    assert "Orders #quot;new#quot; [2026] #lt;b#gt;" in mermaid
    assert '[shape=box, label="Orders \\"new\\" [2026] <b>"];' in dot
    assert dot.count(" -> ") == 4


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Größe 客户 😀", '"Größe 客户 😀"'),
        ('a "b"', '"a \\"b\\""'),
        ("C:\\new", '"C:\\\\new"'),
        ("two\nlines\r", '"two\\nlines\\\\x0d"'),
        ("tab\tnul\0", '"tab    nul\\\\x00"'),
    ],
)
def test_dot_shows_a_name_as_it_is(graph: Graph, name: str, label: str) -> None:
    """DOT knows no escapes of characters: only quotes, backslashes and line ends are written otherwise."""
    graph.names["raw"] = name

    assert f"label={label}]" in Drawing(graph, names=True).dot()


def test_data_has_everything(graph: Graph) -> None:
    data = Drawing(graph).data()

    assert data["assets"] == [{"asset_id": "clean", "name": None}, {"asset_id": "raw", "name": ODD}]
    assert len(data["edges"]) == 4
    assert {event["event_id"] for event in data["events"]} == {"e1", "e2"}


def test_a_tree_says_what_else_the_asset_is_called() -> None:
    graph = Graph("a", known=True, also=[f"s3://lake/[{number}]" for number in range(12)])

    lines = [str(child.label) for child in Drawing(graph).tree(1, [Direction.FORWARD]).children]

    assert lines[0] == "also called s3://lake/\\[0]"
    assert lines[10:] == ["… and by 2 more names: --json shows them", "made into"]
