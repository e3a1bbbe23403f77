"""A lineage graph as people and programs draw it: tree, Mermaid, DOT, data. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from rich.tree import Tree

from service.changes import Role
from service.mirror.lineage.graph import EventNode, Graph
from service.mirror.lineage.walk import Direction
from service.text.visible import visible, visible_line

#: Further names of the asset that a tree shows.
_ALSO = 10
#: What a direction leads to.
TITLES = {Direction.BACKWARD: "made of", Direction.FORWARD: "made into"}


class Drawing:
    """A graph with what its nodes are called.

    Args:
        names: call assets by their names alone, where they have one; else by name and id.
    """

    def __init__(self, graph: Graph, *, names: bool = False) -> None:
        self._graph = graph
        self._names = names

    def data(self) -> dict[str, Any]:
        """For machines: events, and edges between events and assets."""
        graph = self._graph
        events = sorted(graph.events.values(), key=lambda event: event.event_id)
        return {
            "asset_id": graph.asset_id,
            "also": graph.also,
            "assets": [{"asset_id": asset_id, "name": graph.names.get(asset_id)} for asset_id in graph.assets],
            "events": [asdict(event) for event in events],
            "edges": [
                {"event_id": event_id, **msgspec.to_builtins(edge), "name": graph.names.get(edge.asset_id)}
                for event_id in sorted(graph.edges)
                for edge in graph.edges[event_id]
            ],
            "cut": graph.cut,
            "older": {direction.value: number for direction, number in graph.older.items()},
        }

    def tree(self, depth: int, directions: Sequence[Direction]) -> Tree:
        """For people: a branch per direction. An asset that is on the way already is not drawn again."""
        asset_id = self._graph.asset_id
        tree = Tree(_plain(self._label(asset_id)))
        for other in self._graph.also[:_ALSO]:
            tree.add(_plain(f"also called {other}"))
        if len(self._graph.also) > _ALSO:
            tree.add(f"… and by {len(self._graph.also) - _ALSO:,} more names: --json shows them")
        for direction in directions:
            branch = tree.add(TITLES[direction])
            self._grow(branch, asset_id, direction, depth, {asset_id})
            if not branch.children:
                branch.add("nothing known")
            if older := self._graph.older.get(direction):
                branch.add(f"… and {older:,} older events: --newest NUMBER shows more")
        if self._graph.cut:
            tree.add("… cut: there is more")
        return tree

    def mermaid(self) -> str:
        """A Mermaid flowchart: assets are boxes, events are rounded."""
        lines = ["flowchart LR"]
        for node, shape, label in self._nodes():
            left, right = ("[", "]") if shape == "asset" else ("([", "])")
            lines.append(f'  {node}{left}"{as_mermaid(label)}"{right}')
        lines += [f"  {start} --> {end}" for start, end in self._arrows()]
        return "\n".join(lines) + "\n"

    def dot(self) -> str:
        """A Graphviz digraph: assets are boxes, events are ellipses."""
        lines = ["digraph lineage {", "  rankdir=LR;"]
        for node, shape, label in self._nodes():
            lines.append(f"  {node} [shape={'box' if shape == 'asset' else 'ellipse'}, label={as_dot(label)}];")
        lines += [f"  {start} -> {end};" for start, end in self._arrows()]
        return "\n".join([*lines, "}"]) + "\n"

    def _grow(self, branch: Tree, asset_id: str, direction: Direction, depth: int, path: set[str]) -> None:
        if depth == 0:
            return
        for event in self._graph.events_of(asset_id, direction.near):
            twig = branch.add(_plain(_event_label(event)))
            for other in self._graph.assets_of(event.event_id, direction.far):
                if other not in path:
                    self._grow(twig.add(_plain(self._label(other))), other, direction, depth - 1, path | {other})

    def _label(self, asset_id: str) -> str:
        return label_of(asset_id, self._graph.names.get(asset_id), alone=self._names)

    def _nodes(self) -> Iterator[tuple[str, str, str]]:
        """Name of the node in the drawing, what it is, its label."""
        for number, asset_id in enumerate(self._graph.assets):
            yield f"a{number}", "asset", self._label(asset_id)
        for number, event_id in enumerate(sorted(self._graph.events)):
            yield f"e{number}", "event", _event_label(self._graph.events[event_id])

    def _arrows(self) -> Iterator[tuple[str, str]]:
        """From what was used to the event, from the event to what was generated."""
        assets = {asset_id: f"a{number}" for number, asset_id in enumerate(self._graph.assets)}
        for number, event_id in enumerate(sorted(self._graph.events)):
            for edge in self._graph.edges.get(event_id, ()):
                ends = (assets[edge.asset_id], f"e{number}")
                yield ends if _is_use(edge.role) else (ends[1], ends[0])


def label_of(asset_id: str, name: str | None, *, alone: bool) -> str:
    """What an asset is called in a drawing: by its name (`alone`: without its id), where it has one."""
    if not name or name == asset_id:
        return asset_id
    return name if alone else f"{name} [{asset_id}]"


def _is_use(role: Role) -> bool:
    return role == "uses"


def _event_label(event: EventNode) -> str:
    when = event.event_time.strftime("%Y-%m-%d %H:%M:%S") if event.event_time else "no time"
    return f"{event.event_type or 'event'} {when}{' (ours)' if event.own else ''}"


def _plain(text: str) -> str:
    """Text of one line in which Rich sees no markup."""
    return visible_line(text).replace("[", "\\[")


def as_dot(text: str) -> str:
    """Text in quotes of DOT, in which a backslash begins an escape of labels and every other character is itself."""
    text = visible(text)
    for char, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        text = text.replace(char, escape)
    return f'"{text}"'


def as_mermaid(text: str) -> str:
    """Text in quotes of Mermaid, whose escapes are those of HTML."""
    text = visible(text)
    for char, entity in (("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("\n", " ")):
        text = text.replace(char, entity)
    return text
