"""Relationships: named edges between assets, columns and glossary artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.catalog.assets import Assets, Life, Record
from sandbox.catalog.clock import Clock
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.problems import bad_request

Effect = Literal["IGNORE", "CASCADE"]
#: Between an asset's id and a column's name.
COLUMN_MARK = "#COLUMN#"
#: Relationships that columns may have too: their ends must not be deleted along.
COLUMN_NAMES = ("related_to", "describes", "implements")


@dataclass(frozen=True, slots=True)
class RelationshipType:
    """Two named ends; a relationship has the name of the end it points to."""

    id: str
    #: What the source is called by the target.
    end1: str
    #: What the target is called by the source: the name of the relationship.
    end2: str
    #: A source has one target at most; setting another replaces it.
    to_one: bool = False
    #: What deleting, or copying, the source does to the target.
    on_delete: Effect = "IGNORE"
    on_copy: Effect = "IGNORE"

    def as_document(self) -> dict[str, Any]:
        """As the service lists it; the names `name` and `multiplicity` are assumed, no sample shows them."""
        copying = {"on_clone": self.on_copy, "on_publish": self.on_copy, "on_promote": self.on_copy}
        ignored = {"on_clone": "IGNORE", "on_publish": "IGNORE", "on_promote": "IGNORE"}
        return {
            "relationship_type_id": self.id,
            "end1": {"name": self.end1, "multiplicity": "MANY", "on_delete": self.on_delete, **copying},
            "end2": {
                "name": self.end2,
                "multiplicity": "ONE" if self.to_one else "MANY",
                "on_delete": "IGNORE",
                **ignored,
            },
            "flags": {"use_for_lineage_traversal": "false", "copy_to_knowledge_graph": "true"},
        }


_TYPES = (
    ("part_of", "has_part", False, "CASCADE", "CASCADE"),
    ("related", "related_to", False, "IGNORE", "IGNORE"),
    ("child_of", "parent", True, "IGNORE", "IGNORE"),
    ("described_by", "describes", False, "IGNORE", "CASCADE"),
    ("implemented_by", "implements", False, "IGNORE", "IGNORE"),
    ("copied_to", "copied_from", True, "IGNORE", "IGNORE"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class End:
    """An asset, a column of one, or a glossary artifact (then `artifact_type` is set and `id` a global id)."""

    id: str
    column: str | None = None
    artifact_type: str | None = None

    @property
    def is_asset(self) -> bool:
        """Whether it is an asset or a column of one."""
        return self.artifact_type is None


@dataclass(frozen=True, slots=True)
class Edge:
    """One relationship; `number` orders those that were set in the same millisecond."""

    name: str
    type: RelationshipType
    source: End
    target: End
    created_s: float
    updated_s: float
    creator: str
    number: int

    @property
    def has_column(self) -> bool:
        """Whether one of its ends is a column."""
        return self.source.column is not None or self.target.column is not None


class Relationships:
    """All edges; one whose end is not live is not seen, and is back when the end is."""

    def __init__(self, assets: Assets, ids: Ids, clock: Clock) -> None:
        self._assets, self._clock = assets, clock
        self.types: dict[str, RelationshipType] = {}
        for end1, end2, to_one, on_delete, on_copy in _TYPES:
            type_id = ids.new(Kind.RELATIONSHIP_TYPE)
            self.types[end2] = RelationshipType(
                type_id,
                end1,
                end2,
                to_one,
                "CASCADE" if on_delete == "CASCADE" else "IGNORE",
                "CASCADE" if on_copy == "CASCADE" else "IGNORE",
            )
        self._edges: dict[tuple[End, str, End], Edge] = {}
        self._number = 0
        assets.watchers.append(self._forget_purged)

    def set(self, source: End, name: str, target: End, *, by: str = "IBMid-270000DANA") -> None:
        """Draw an edge; one that is there stays as it is, and to-one ends lose the edge they had.

        Raises:
            Problem: no such type of relationship, no such asset, or two artifacts.
        """
        if name not in self.types:
            raise bad_request(f"No relationship is called {name}.")
        if not source.is_asset and not target.is_asset:
            raise bad_request("One end must be an asset.")
        for end in (source, target):
            if end.is_asset:
                self._assets.live(end.id)
        if (source, name, target) in self._edges:
            return
        kind = self.types[name]
        if kind.to_one:
            for edge in [edge for edge in self._edges.values() if edge.source == source and edge.name == name]:
                del self._edges[edge.source, name, edge.target]
        self._number += 1
        at_s = self._clock.now()
        self._edges[source, name, target] = Edge(name, kind, source, target, at_s, at_s, by, self._number)

    def unset(self, source: End, name: str, target: End) -> None:
        """Remove an edge that may be there; no search tells of it."""
        self._edges.pop((source, name, target), None)

    def all(self) -> Iterator[Edge]:
        """Every edge whose ends are live."""
        return (edge for edge in list(self._edges.values()) if self._lives(edge.source) and self._lives(edge.target))

    def of_container(self, container_id: str) -> list[Edge]:
        """Edges with an end in the container."""
        return [edge for edge in self.all() if container_id in (self.where(edge.source), self.where(edge.target))]

    def targets(self, asset_id: str, *, on: Literal["delete", "copy"]) -> list[str]:
        """Other assets that follow this one when it is deleted or copied."""
        found = []
        for edge in self._edges.values():
            follows = (edge.type.on_delete if on == "delete" else edge.type.on_copy) == "CASCADE"
            if follows and edge.source == End(asset_id) and edge.target.is_asset and self._lives(edge.target):
                found.append(edge.target.id)
        return found

    def where(self, end: End) -> str | None:
        """The container of an end; an artifact has none."""
        place = self._assets.place(end.id) if end.is_asset else None
        return place[0] if place else None

    def _lives(self, end: End) -> bool:
        if not end.is_asset:
            return True
        place = self._assets.place(end.id)
        return place is not None and place[1] is Life.LIVE and not self._assets.containers.get(place[0]).deleted

    def _forget_purged(self, _before: Record | None, after: Record) -> None:
        if after.life is Life.PURGED:
            gone = [key for key in self._edges if after.asset_id in (key[0].id, key[2].id)]
            for key in gone:
                del self._edges[key]
