"""The graph around a column as people draw it: tree, Mermaid, DOT; and what breaks if it goes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from service.cli.drawing import TITLES, as_dot, as_mermaid, label_of
from service.mirror.lineage.columns import WHOLE, ColumnGraph, Impact, Link, Node
from service.mirror.lineage.walk import Direction
from service.text.visible import visible_line

#: What stands for a data set as a whole.
_WHOLE = "(all of it)"


#: By column, what is one link away, with the words for how.
_Beyond = dict[Node, dict[Node, set[str]]]


class ColumnDrawing:
    """A graph of columns with what its nodes are called.

    Args:
        names: call assets by their names alone, where they have one; else by name and id.
    """

    def __init__(self, graph: ColumnGraph, *, names: bool = False) -> None:
        self._graph = graph
        self._names = names
        self._links = sorted(graph.links, key=lambda link: (link.source, link.target, _how(link)))
        self._numbers = {node: number for number, node in enumerate(sorted(graph.columns))}

    def data(self) -> dict[str, Any]:
        """For machines."""
        return self._graph.data()

    def tree(self, depth: int, directions: Sequence[Direction]) -> Tree:
        """For people: a branch per direction. A column that is drawn already is named again, and ends there."""
        graph = self._graph
        tree = Tree(Text(visible_line(", ".join(map(self._label, graph.start)))))
        for direction in directions:
            branch, beyond, drawn = tree.add(TITLES[direction]), self._beyond(direction), set(graph.start)
            for start in graph.start:
                self._grow(branch, start, beyond, depth, drawn)
            if not branch.children:
                branch.add("nothing known")
        if graph.cut:
            tree.add("… cut: there is more")
        return tree

    def mermaid(self) -> str:
        """A Mermaid flowchart: a box per asset, columns in it; a dotted arrow where a column only decides."""
        lines = ["flowchart LR"]
        for number, (asset_id, nodes) in enumerate(self._by_asset()):
            lines.append(f'  subgraph a{number}["{as_mermaid(self._asset(asset_id))}"]')
            lines += [f'    {self._node(node)}["{as_mermaid(self._column(node))}"]' for node in nodes]
            lines.append("  end")
        for link in self._links:
            how = f'|"{as_mermaid(told)}"|' if (told := _how(link)) else ""
            arrow = "-->" if link.is_direct else "-.->"
            lines.append(f"  {self._node(link.source)} {arrow}{how} {self._node(link.target)}")
        return "\n".join(lines) + "\n"

    def dot(self) -> str:
        """A Graphviz digraph: a cluster per asset; a dashed arrow where a column only decides."""
        lines = ["digraph columns {", "  rankdir=LR;", "  node [shape=box];"]
        for number, (asset_id, nodes) in enumerate(self._by_asset()):
            lines.append(f"  subgraph cluster_{number} {{ label={as_dot(self._asset(asset_id))};")
            lines += [f"    {self._node(node)} [label={as_dot(self._column(node))}];" for node in nodes]
            lines.append("  }")
        for link in self._links:
            style = "" if link.is_direct else ", style=dashed"
            ends = f"{self._node(link.source)} -> {self._node(link.target)}"
            lines.append(f"  {ends} [label={as_dot(_how(link))}{style}];")
        return "\n".join([*lines, "}"]) + "\n"

    def _grow(self, branch: Tree, node: Node, beyond: _Beyond, depth: int, drawn: set[Node]) -> None:
        for other, words in sorted(beyond.get(node, {}).items()) if depth else ():
            again = "…" if other in drawn and beyond.get(other) else ""
            how = f"({', '.join(sorted(words - {''}))})" if words - {""} else ""
            told = "  ".join(part for part in (self._label(other), how, again) if part)
            twig = branch.add(Text(visible_line(told)))
            if not again:
                drawn.add(other)
                self._grow(twig, other, beyond, depth - 1, drawn)

    def _beyond(self, direction: Direction) -> _Beyond:
        """What a data set as a whole decides about, or is decided by, is that of its columns, too."""
        forward, found = direction is Direction.FORWARD, _Beyond()
        for link in self._links:
            near, far = (link.source, link.target) if forward else (link.target, link.source)
            found.setdefault(near, {}).setdefault(far, set()).add(_how(link))
        for whole in [node for node in self._numbers if node.key == WHOLE]:
            for node in [node for node in self._numbers if node.asset_id == whole.asset_id and node != whole]:
                giver, taker = (node, whole) if forward else (whole, node)
                for far, words in found.get(giver, {}).items():
                    found.setdefault(taker, {}).setdefault(far, set()).update(words)
        return found

    def _by_asset(self) -> Iterator[tuple[str, list[Node]]]:
        for asset_id, mine in groupby(self._numbers, key=lambda node: node.asset_id):
            yield asset_id, list(mine)

    def _node(self, node: Node) -> str:
        return f"c{self._numbers[node]}"

    def _label(self, node: Node) -> str:
        return self._asset(node.asset_id) + (f".{self._column(node)}" if node.key else f" {_WHOLE}")

    def _column(self, node: Node) -> str:
        return self._graph.labels.get(node, node.key) or _WHOLE

    def _asset(self, asset_id: str) -> str:
        return label_of(asset_id, self._graph.names.get(asset_id), alone=self._names)


def _how(link: Link) -> str:
    """How the one was made of the other, in a few words."""
    words = ["" if link.is_direct else "decides", link.transformation or "", "masked" if link.masking else ""]
    return " ".join(word for word in words if word)


def impact_tables(impact: Impact) -> RenderableType:
    """What breaks, for people: columns, the nearest first, then jobs."""
    graph = impact.graph
    columns = Table(title="Columns that depend on it", title_justify="left", header_style="bold")
    for header in ("asset", "column", "links away"):
        columns.add_column(header, overflow="fold", justify="right" if header == "links away" else "left")
    for node in graph.nearest():
        if graph.columns[node]:
            told = graph.told(node)
            asset = told["asset_name"] or node.asset_id
            columns.add_row(Text(asset), Text(told["column"] or _WHOLE), str(graph.columns[node]))
    jobs = Table(title="Jobs", title_justify="left", header_style="bold")
    jobs.add_column("job", overflow="fold")
    jobs.add_column("why")
    for job in impact.jobs:
        jobs.add_row(Text(job), "makes one of them")
    for asset_id, unsure in sorted(impact.unsure.items()):
        for job in unsure:
            why = f"reads {graph.names.get(asset_id) or asset_id}, and does not say which columns"
            jobs.add_row(Text(job), Text(why))
    shown: list[RenderableType] = [columns if columns.row_count else "No column is known to depend on it."]
    shown += [jobs if jobs.row_count else "No job is known to read it."]
    return Group(*shown, *(["… cut: there is more"] if graph.cut else []))
