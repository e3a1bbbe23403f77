"""What is said of each thing that can be found: its words, what it is filtered by, what its labels are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import among
from service.mirror.lineage.events import PRIVATE_MODES
from service.mirror.tables import (
    asset_classifications,
    asset_columns,
    asset_terms,
    assets,
    containers,
    lineage_edges,
    things,
)
from service.text.words import MAX_WORDS, mark_of, name_of, words_of

#: Characters of a description that are looked through, and of a name that is sorted by.
_DESCRIBED, _SORTED = 2000, 200
#: Labels of one kind that are counted for a thing.
_LABELS = 20
#: Rows of parts that are read for one batch of assets: a table may have thousands of columns.
_PARTS = 100_000


@dataclass(slots=True)
class Document:
    """What can be found of one thing."""

    kind: str
    thing_id: str
    source_at: datetime
    changed_at: datetime | None = None
    name: str = ""
    thing_type: str | None = None
    container_id: str | None = None
    owner_id: str | None = None
    #: Texts whose words lead to it, beside its name.
    texts: list[str] = field(default_factory=list)
    #: By kind (tag, term, class) what it has.
    labels: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: Of what it has, further names by which it is filtered: ids of terms.
    also: list[tuple[str, str]] = field(default_factory=list)

    @property
    def sort_name(self) -> str:
        """The words of its name."""
        return name_of(self.name)[:_SORTED]

    def words(self) -> Words:
        """All words that lead to it."""
        named = words_of(self.name)
        known, others = set(named), dict[str, None]()
        for text in (*self.texts, *(label for labels in self.labels.values() for label in labels)):
            others.update(dict.fromkeys(words_of(text)))
            if len(others) >= MAX_WORDS:
                break
        rest = [word for word in others if word not in known]
        return Words(self, named, rest[:MAX_WORDS], self._marks())

    def _marks(self) -> list[str]:
        """What it is filtered by, each as a word."""
        told = [("kind", self.kind), ("type", self.thing_type), ("container", self.container_id)]
        told += [("owner", self.owner_id), *self.also]
        told += [(kind, label) for kind, labels in self.labels.items() for label in labels]
        return list(dict.fromkeys(mark_of(kind, value) for kind, value in told if value))

    @property
    def counted(self) -> dict[str, list[str]]:
        """Its labels, as they are counted."""
        return {kind: list(dict.fromkeys(labels))[:_LABELS] for kind, labels in self.labels.items() if labels}


@dataclass(frozen=True, slots=True)
class Words:
    """A document with its words: of its name, of the rest, and marks of what it has."""

    document: Document
    name: Sequence[str]
    others: Sequence[str]
    marks: Sequence[str]


Make = Callable[[AsyncConnection, Sequence[Any]], Awaitable[list[Document]]]


@dataclass(frozen=True, slots=True)
class Source:
    """A table whose rows can be found; `documents` makes of rows what is found, of some nothing."""

    name: str
    key: sa.Column[Any]
    columns: tuple[sa.ColumnElement[Any], ...]
    kinds: tuple[str, ...]
    documents: Make

    @property
    def written_at(self) -> sa.Column[Any]:
        """When a row was written."""
        return self.key.table.c.mirrored_at


def _split(joined: str | None) -> list[str]:
    return [one for one in (joined or "").split(",") if one]


async def _assets(connection: AsyncConnection, rows: Sequence[Any]) -> list[Document]:
    """Assets, and data sets that only lineage knows; not those that not everybody may see."""
    shown = [row for row in rows if row.deleted_at is None and row.visibility_mode not in PRIVATE_MODES]
    made = {row.asset_id: _asset(row) for row in shown}
    known = [one.thing_id for one in made.values() if one.kind == "asset"]
    for row in await _parts(connection, asset_columns, ("name", "description", "data_class", "tags"), known):
        one = made[row.asset_id]
        one.texts += [row.name, (row.description or "")[:_DESCRIBED]]
        one.labels["class"] += [row.data_class] if row.data_class else []
        one.labels["tag"] += _split(row.tags)
    for row in await _parts(connection, asset_terms, ("term_id", "term", "standing"), known):
        if row.standing != "rejected":
            made[row.asset_id].labels["term"].append(row.term or row.term_id)
            made[row.asset_id].also.append(("term", row.term_id))
    for row in await _parts(connection, asset_classifications, ("classification",), known):
        made[row.asset_id].labels["class"] += [row.classification] if row.classification else []
    for asset_id, name in await _told_names(connection, [key for key, one in made.items() if not one.name]):
        made[asset_id].name = name
    return list(made.values())


def _asset(row: Any) -> Document:
    is_asset = row.has_document or row.container_id is not None
    texts = [row.asset_id, (row.description or "")[:_DESCRIBED], row.connection_path or "", row.resource_key or ""]
    made = Document("asset" if is_asset else "data_set", row.asset_id, row.mirrored_at, row.version_at, row.name or "",
                    row.asset_type, row.container_id, row.owner_id, texts)  # fmt: skip
    made.labels["tag"] += _split(row.tags)
    return made


async def _parts(
    connection: AsyncConnection, table: sa.Table, columns: Iterable[str], ids: Collection[str]
) -> Sequence[Any]:
    if not ids:
        return []
    shown = (table.c[name] for name in columns)
    query = sa.select(table.c.asset_id, *shown).where(among(connection, table.c.asset_id, ids)).limit(_PARTS)
    return (await connection.execute(query)).all()


async def _told_names(connection: AsyncConnection, ids: Collection[str]) -> Sequence[tuple[str, str]]:
    """How lineage events name what the catalog has no name for; else its id does."""
    if not ids:
        return []
    asset, edge = assets.c, lineage_edges.c
    told = sa.select(edge.name).where(edge.asset_id == asset.asset_id, edge.name.is_not(None)).limit(1)
    query = sa.select(asset.asset_id, told.scalar_subquery()).where(among(connection, asset.asset_id, ids))
    found = {asset_id: name for asset_id, name in await connection.execute(query) if name}
    return [(asset_id, found.get(asset_id, asset_id)) for asset_id in ids]


async def _artifacts(_: AsyncConnection, rows: Sequence[Any]) -> list[Document]:
    return [_artifact(row) for row in rows if row.deleted_at is None]


def _artifact(row: Any) -> Document:
    texts = [row.artifact_id, (row.short_description or "")[:_DESCRIBED], (row.long_description or "")[:_DESCRIBED]]
    owner = next(iter(_split(row.steward_ids)), None)
    made = Document("artifact", row.artifact_id, row.mirrored_at, row.version_at, row.name or "", row.artifact_type,
                    row.container_id, owner, texts)  # fmt: skip
    made.labels["tag"] += _split(row.tags)
    return made


async def _containers(_: AsyncConnection, rows: Sequence[Any]) -> list[Document]:
    return [
        Document("container", row.container_id, row.mirrored_at, row.version_at, row.name or "", row.kind,
                 row.container_id, row.creator_id, [row.container_id, (row.description or "")[:_DESCRIBED]])
        for row in rows
        if row.deleted_at is None
    ]  # fmt: skip


def _of(table: sa.Table, *names: str) -> tuple[sa.Column[Any], ...]:
    always = ("container_id", "mirrored_at", "version_at", "deleted_at")
    return tuple(table.c[name] for name in dict.fromkeys((*names, *always)))


_artifact_table = things["artifact"]
#: What can be found, in the order in which it is followed.
SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("containers", containers.c.container_id,
               _of(containers, "container_id", "kind", "name", "description", "creator_id"), ("container",),
               _containers),
        Source("artifacts", _artifact_table.c.artifact_id,
               _of(_artifact_table, "artifact_id", "artifact_type", "name", "short_description", "long_description",
                   "tags", "steward_ids"), ("artifact",), _artifacts),
        Source("assets", assets.c.asset_id,
               (*_of(assets, "asset_id", "name", "asset_type", "visibility_mode", "description", "tags", "owner_id",
                     "resource_key", "connection_path"),
                assets.c.document.is_not(None).label("has_document")), ("asset", "data_set"), _assets),
    )
}  # fmt: skip
